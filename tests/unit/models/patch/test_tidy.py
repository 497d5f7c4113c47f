"""Fewer and larger pieces, and no difference to be seen."""

from __future__ import annotations

import numpy as np

from magic_eraser.models.patch.tidy import absorb, pieces_of, tidy
from magic_eraser.models.watch import Watch


def labels_of(hole, choices):
    rng = np.random.default_rng(0)
    labels = np.zeros((2, *hole.shape), np.int32)
    at = np.nonzero(hole)
    labels[:, at[0], at[1]] = np.array(choices)[rng.integers(0, len(choices), len(at[0]))].T
    return labels


def count(labels, hole):
    return pieces_of(hole, labels, np.zeros_like(hole)).max()


def copied(image, hole, labels):
    y, x = np.nonzero(hole)
    v, u = y + labels[0][hole], x + labels[1][hole]
    assert not hole[v, u].any()
    return image[v, u].astype(int)


def test_copies_that_look_the_same_become_one_piece(square_hole):
    image = np.full((100, 100, 3), 90, np.uint8)
    hole = square_hole(100, 100, 30)
    labels = labels_of(hole, [(-35, 0), (0, 35), (0, -35)])
    assert count(tidy(image, hole, labels, np.zeros_like(hole), Watch()), hole) < count(labels, hole) / 3


def test_copies_change_by_ten_levels_at_most(texture, square_hole):
    image = texture(100, 100, grain=5.0) // 8 + 100
    hole = square_hole(100, 100, 30)
    labels = labels_of(hole, [(-35, 0), (-35, 4), (35, 0)])
    done = tidy(image, hole, labels, np.zeros_like(hole), Watch())
    assert (done != labels).any()
    assert np.abs(copied(image, hole, done) - copied(image, hole, labels)).max() <= 10
    assert (done[:, ~hole] == 0).all()


def test_small_pieces_go_to_the_nearest_large_one(square_hole):
    hole = square_hole(100, 100, 30)
    labels = np.zeros((2, 100, 100), np.int32)
    labels[1][hole] = 35
    labels[0][50, 50], labels[0][50, 51] = 40, 47
    done = absorb(hole, labels, np.zeros_like(hole))
    assert (done[1][hole] == 35).all()
    assert (done[0] == 0).all()


def test_a_hole_of_small_pieces_alone_stays_as_it_is(square_hole):
    hole = square_hole(60, 60, 12)
    labels = labels_of(hole, [(-20, 0), (0, 20), (0, -20), (20, 0)])
    assert (absorb(hole, labels, np.zeros_like(hole)) == labels).all()

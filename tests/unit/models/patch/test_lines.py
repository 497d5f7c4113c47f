"""Contours that enter the hole go on through it; where none surely does, nothing is laid."""

from __future__ import annotations

import numpy as np
import pytest

from magic_eraser.models.patch.bands import lay, soften
from magic_eraser.models.patch.contours import trace
from magic_eraser.models.patch.joins import FEW, join

CENTRE, RADIUS = 120, 70
INSIDE, LEFT, RIGHT = (225, 220, 210), (60, 70, 95), (130, 50, 40)


def disc(outside_below=LEFT):
    """A bright disc on dark, 240 px, whose ground may change at half height, with a soft rim."""
    y, x = np.mgrid[:240, :240]
    image = np.where((y < CENTRE)[..., None], LEFT, outside_below).astype(np.float32)
    cover = np.clip(RADIUS + 0.5 - np.hypot(y - CENTRE, x - CENTRE), 0, 1)[..., None]
    return np.rint(cover * INSIDE + (1 - cover) * image).astype(np.uint8)


def stroke():
    """A generous stroke down the right rim: no upright rim is left on that side."""
    hole = np.zeros((240, 240), bool)
    hole[75:165, 165:215] = True
    return hole


def hidden(image, hole):
    out = image.copy()
    out[hole] = 0
    return out


@pytest.fixture
def rim():
    image, hole = disc(), stroke()
    return image, hole, join(trace(hidden(image, hole), hole), hole)


def test_a_rim_goes_on_as_an_arc_of_its_circle(rim):
    _, _, curves = rim
    assert len(curves) == 1
    off = np.hypot(*(curves[0].points - CENTRE).T) - RADIUS
    assert np.abs(off).max() < 1.5


def test_the_ground_behind_a_rim_may_change():
    image, hole = disc(RIGHT), stroke()
    curves = join(trace(hidden(image, hole), hole), hole)
    assert len(curves) == 1
    assert np.abs(np.hypot(*(curves[0].points - CENTRE).T) - RADIUS).max() < 1.5


def test_a_filled_rim_neither_bulges_nor_caves_in(fill):
    image, hole = disc(), stroke()
    out = fill(hidden(image, hole), hole)
    y, x = np.mgrid[:240, :240]
    inside = np.hypot(y - CENTRE, x - CENTRE) < RADIUS
    bright = out.astype(int).sum(2) > 420
    wrong = (bright != inside)[hole]
    assert wrong.mean() < 0.015  # 0.077 without strips


def test_a_rim_before_a_changing_ground_does_not_cave_in(fill):
    image, hole = disc(RIGHT), stroke()
    out = fill(hidden(image, hole), hole)
    y, x = np.mgrid[:240, :240]
    inside = hole & (np.hypot(y - CENTRE, x - CENTRE) < RADIUS - 4)
    assert (out.astype(int).sum(2) < 420)[inside].mean() < 0.01


def test_a_straight_edge_goes_on_straight():
    image = np.zeros((200, 200, 3), np.uint8)
    y, x = np.mgrid[:200, :200]
    image[y > 80 + 0.2 * x] = 180
    hole = np.zeros((200, 200), bool)
    hole[60:140, 70:130] = True
    (curve,) = join(trace(hidden(image, hole), hole), hole)
    assert np.abs(curve.points[:, 0] - 80.5 - 0.2 * curve.points[:, 1]).max() < 1.0


def test_edges_that_do_not_face_each_other_are_left_alone():
    image = np.zeros((200, 200, 3), np.uint8)
    image[:80, :100] = 180
    image[150:, 100:] = 180
    hole = np.zeros((200, 200), bool)
    hole[60:170, 75:125] = True
    assert join(trace(hidden(image, hole), hole), hole) == []


def test_one_edge_alone_is_left_alone():
    image = np.full((200, 200, 3), 60, np.uint8)
    image[:100, :100] = 180
    hole = np.zeros((200, 200), bool)
    hole[70:130, 70:130] = True
    assert join(trace(hidden(image, hole), hole), hole) == []


def test_two_partners_as_good_as_each_other_are_left_alone():
    image = np.full((200, 200, 3), 60, np.uint8)
    image[96:104] = 180  # both edges of the bar could go to either side's double bar
    image[:, 110:] = 60
    image[88:96, 110:] = 180
    image[104:112, 110:] = 180
    hole = np.zeros((200, 200), bool)
    hole[60:140, 60:140] = True
    assert join(trace(hidden(image, hole), hole), hole) == []


def test_a_pattern_of_many_edges_is_left_to_the_patches(stripes):
    image = np.ascontiguousarray(stripes(200, 24).transpose(1, 0, 2))
    hole = np.zeros((200, 200), bool)
    hole[40:160, 80:120] = True
    tracks = trace(hidden(image, hole), hole)
    assert len(tracks) > 2 * FEW
    assert join(tracks, hole) == []


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_no_contours_to_join(texture, seed):
    image, hole = texture(200, 200, seed), stroke()[:200, :200]
    assert join(trace(hidden(image, hole), hole), hole) == []


def test_flat_ground_has_no_tracks():
    hole = stroke()
    assert trace(hidden(np.full((240, 240, 3), 90, np.uint8), hole), hole) == []


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (9, 9)])
def test_a_small_picture_has_no_tracks(shape):
    hole = np.zeros(shape, bool)
    hole[0, 0] = True
    assert trace(np.full((*shape, 3), 90, np.uint8), hole) == []


def test_strips_copy_known_pixels_into_the_hole_alone(rim):
    image, hole, curves = rim
    bands = lay(hidden(image, hole), hole, curves)
    assert bands.laid.any()
    assert not (bands.laid & ~hole).any()
    assert not bands.labels[:, ~bands.laid].any()
    y, x = np.nonzero(bands.laid)
    assert not hole[y + bands.labels[0][y, x], x + bands.labels[1][y, x]].any()


def test_without_curves_no_strip_is_laid(rim):
    image, hole, _ = rim
    bands = lay(image, hole, [])
    assert not bands.laid.any()
    assert not bands.labels.any()
    assert bands.open_edges == []


def test_a_strip_turns_with_its_curve(rim):
    image, hole, curves = rim
    bands = lay(hidden(image, hole), hole, curves)
    y, x = np.nonzero(bands.laid)
    copied = image[y + bands.labels[0][y, x], x + bands.labels[1][y, x]].astype(int)
    off = np.abs(copied - image[y, x]).max(1)
    far_from_rim = np.abs(np.hypot(y - CENTRE, x - CENTRE) - RADIUS) > 2
    assert off[far_from_rim].max() <= 8


def test_softening_keeps_what_is_constant_along_the_curve_and_what_is_known(rim):
    image, hole, curves = rim
    picture = image.astype(np.float32)
    teeth = picture.copy()
    y, x = np.mgrid[:240, :240]
    at_rim = hole & (np.abs(np.hypot(y - CENTRE, x - CENTRE) - RADIUS) < 1.5)
    teeth[at_rim & (y % 2 == 0)] += 60
    soft = soften(teeth, hole, curves)
    assert (soft[~hole] == teeth[~hole]).all()
    assert np.abs(soft - picture)[at_rim].std() < 0.6 * np.abs(teeth - picture)[at_rim].std()
    assert np.abs(soften(picture, hole, curves) - picture).max() < 90


def test_the_same_seed_gives_the_same_bytes(fill):
    image, hole = disc(RIGHT), stroke()
    first = fill(hidden(image, hole), hole, seed=3)
    assert (first == fill(hidden(image, hole), hole, seed=3)).all()
    assert (first[~hole] == image[~hole]).all()

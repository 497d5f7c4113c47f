"""Lines that cross the hole meet, at its border and within."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magic_eraser.models.patch.shrink import shrink
from magic_eraser.models.patch.straighten import Strips, straighten
from magic_eraser.models.patch.transfer import Plan, transfer
from magic_eraser.models.watch import Watch

SCALE = 5
HEIGHT, WIDTH = 1000, 1500


def scene(edge, slope=0.0):
    """A dark bar, or a dark lower half, before a pale sky with grain."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    below = y - (500 + slope * (x - WIDTH / 2))
    inside = np.clip(below, 0, 1) * (1.0 if edge == "horizon" else np.clip(8 - below, 0, 1))
    image = 190 - 140 * inside[..., None] + np.random.default_rng(0).normal(0, 3, (HEIGHT, WIDTH, 1))
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8), 3, 2)


def jumpy(small, jumps):
    """Labels that copy from the left and the right of the hole, rows off by so many pixels of working size."""
    columns = np.flatnonzero(small.hole.any(0))
    left, right = columns.min(), columns.max() + 1
    labels = np.zeros((2, *small.hole.shape), np.int32)
    for index, jump in enumerate(jumps):
        first = left + (right - left) * index // len(jumps)
        last = left + (right - left) * (index + 1) // len(jumps)
        labels[0][:, first:last] = jump
        labels[1][:, first:last] = -(right - left + 3) if index % 2 else right - left + 3
    labels[:, ~small.hole] = 0
    return labels


def nothing_laid(small):
    return Strips(np.zeros_like(small.hole), np.zeros((2, *small.hole.shape), np.float32))


def filled(image, hole, small, offsets):
    out = image.copy()
    correction = np.zeros((*small.hole.shape, 3), np.float32)
    transfer(image, hole, Plan(small.hole, offsets, small.scale, correction), out, Watch())
    return out


def heights(image, hole):
    """The row in which each column of the hole and its rim turns dark, in grey of less grain."""
    columns = np.flatnonzero(hole.any(0))
    part = cv2.blur(image[..., 0], (5, 1))[:, columns[0] - 20 : columns[-1] + 20]
    return (part < 120).argmax(0).astype(int)


@pytest.fixture
def hole():
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[350:650, 600:900] = True
    return hole


@pytest.mark.parametrize("edge", ["wire", "horizon"])
@pytest.mark.parametrize("jumps", [(3,), (-4, 2), (1, -2, 4)])
def test_a_line_goes_on_without_a_jump(hole, edge, jumps):
    image = scene(edge)
    small = shrink(image, hole, SCALE, Watch())
    labels = jumpy(small, jumps)
    before = filled(image, hole, small, labels * np.float32(SCALE))
    moved, offsets = straighten(small, labels, nothing_laid(small), image, hole, Watch())
    after = filled(image, hole, small, offsets)

    assert np.abs(np.diff(heights(before, hole))).max() >= 2 * SCALE
    assert np.abs(np.diff(heights(after, hole))).max() <= 3
    assert np.abs(heights(after, hole) - 500).max() <= 4
    y, x = np.nonzero(small.hole)
    assert not small.hole[y + moved[0][y, x], x + moved[1][y, x]].any()


def test_a_slanted_line_stays_straight(hole):
    image = scene("horizon", slope=0.05)
    small = shrink(image, hole, SCALE, Watch())
    _, offsets = straighten(small, jumpy(small, (3, -3)), nothing_laid(small), image, hole, Watch())
    found = heights(filled(image, hole, small, offsets), hole)
    true = 500 + 0.05 * (np.arange(len(found)) + 580 - WIDTH / 2)
    assert np.abs(found - true).max() <= 6


def test_sixteen_bits_are_straightened_alike(hole):
    image = scene("wire")
    small = shrink(image, hole, SCALE, Watch())
    labels = jumpy(small, (3, -2))
    _, of_eight = straighten(small, labels, nothing_laid(small), image, hole, Watch())
    deep = image.astype(np.uint16) * np.uint16(257)
    _, of_sixteen = straighten(small, labels, nothing_laid(small), deep, hole, Watch())
    assert np.abs(of_eight - of_sixteen).max() < 1


def test_pieces_without_lines_stay_where_they_are(hole):
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    small = shrink(image, hole, SCALE, Watch())
    labels = jumpy(small, (3, -2))
    moved, offsets = straighten(small, labels, nothing_laid(small), image, hole, Watch())
    assert (moved == labels).all()
    assert np.abs(offsets - labels * SCALE).max() < 0.1


def test_the_same_input_gives_the_same_bytes(hole):
    image = scene("wire")
    small = shrink(image, hole, SCALE, Watch())
    labels = jumpy(small, (1, -2, 4))
    runs = [
        straighten(small, labels, nothing_laid(small), image, hole, Watch())[1].tobytes() for _ in range(2)
    ]
    assert runs[0] == runs[1]

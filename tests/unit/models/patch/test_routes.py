"""Thin, smooth or neither: each piece of a hole goes one way, and the whole is filled."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.patch import PatchInpainter
from magic_eraser.models.patch.smooth import fill_smooth
from magic_eraser.models.patch.thin import fill_thin
from magic_eraser.models.thinness import thin_parts
from magic_eraser.models.watch import Watch

BLOBS = st.lists(
    st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(1, 20), st.integers(1, 50)),
    min_size=1,
    max_size=5,
)


def scene():
    """Sky over grass."""
    rng = np.random.default_rng(0)
    image = np.full((100, 100, 3), (120, 150, 200), np.float32) + rng.normal(0, 1.5, (100, 100, 3))
    image[60:] = np.array([60, 90, 40]) + rng.normal(0, 25, (40, 100, 1))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(BLOBS)
def test_every_piece_goes_exactly_one_way(blobs):
    image, hole = scene(), np.zeros((100, 100), bool)
    for y, x, height, width in blobs:
        hole[y : y + height, x : x + width] = True
    image[hole] = 0

    thin = thin_parts(hole, Watch())
    fill_thin(image, hole, thin, Watch())
    smooth = fill_smooth(image, hole & ~thin, image, np.random.default_rng(0), Watch())

    assert not (thin & smooth).any()
    assert not ((thin | smooth) & ~hole).any()
    count, pieces = cv2.connectedComponents(hole.view(np.uint8), connectivity=8)
    for piece in range(1, count):
        at = pieces == piece
        assert {(bool(a), bool(b)) for a, b in zip(thin[at], smooth[at], strict=True)} in (
            {(True, False)},
            {(False, True)},
            {(False, False)},
        )
    left = hole & ~thin & ~smooth
    assert (image[~hole] == scene()[~hole]).all()
    assert (image[left] == 0).all()


def holes(name, side):
    mask = np.zeros((side, side), np.uint8)
    if name == "scratch":
        cv2.line(mask, (20, 30), (side - 20, side - 60), 1, 2)
    elif name == "letters":
        cv2.putText(mask, "Ab", (20, side // 2), cv2.FONT_HERSHEY_SIMPLEX, 3, 1, 8)
    elif name == "specks":
        for y, x in np.random.default_rng(1).integers(6, side - 6, (60, 2)):
            cv2.circle(mask, (int(x), int(y)), int(1 + (x + y) % 4), 1, -1)
    else:
        mask[60:140, 60:160] = 1
        mask[160:163, 20:200] = 1
    return mask > 0


@pytest.mark.parametrize("name", ["scratch", "letters", "specks", "object and scratch"])
@pytest.mark.parametrize("slope", [0.05, 0.3, 0.66])
def test_a_ramp_is_continued_within_two_levels_whatever_the_hole(fill, name, slope):
    y, x = np.mgrid[:220, :220]
    image = np.rint(np.stack([20 + slope * x, 20 + slope * y, 30 + slope * (x + y) / 2], -1)).astype(np.uint8)
    hole = holes(name, 220)
    broken = image.copy()
    broken[hole] = (255, 0, 255)

    assert np.abs(fill(broken, hole).astype(int) - image).max() <= 2


@pytest.mark.parametrize("name", ["scratch", "letters", "specks", "object and scratch"])
def test_flat_stays_flat_whatever_the_hole(fill, name):
    image = np.full((220, 220, 3), (90, 141, 33), np.uint8)
    hole = holes(name, 220)
    broken = image.copy()
    broken[hole] = (255, 0, 255)

    assert (fill(broken, hole) == image).all()


@pytest.mark.parametrize("name", ["scratch", "letters", "specks"])
def test_dust_letters_and_scratches_on_grain_keep_its_strength(fill, name):
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.standard_normal((220, 220, 3)).astype(np.float32), (0, 0), 0.7)
    image = np.rint(130 + noise * 4 / noise.std()).astype(np.uint8)
    hole = holes(name, 220)

    assert fill(image, hole)[hole].std() == pytest.approx(image.std(), rel=0.15)


@pytest.mark.parametrize("name", ["specks", "wires"])
def test_thin_holes_in_a_large_picture_are_quick_and_looked_after(texture, name):
    class Timed(Watch):
        last, longest = 0.0, 0.0

        def check(self):
            now = time.thread_time()
            self.longest = max(self.longest, now - (self.last or now))
            self.last = now
            super().check()

    image = texture(1500, 2000, grain=6.0)
    mask = np.zeros((1500, 2000), np.uint8)
    if name == "wires":
        for y in (300, 700, 1100):
            cv2.line(mask, (0, y), (1999, y + 200), 1, 8)
    else:
        for y, x in np.random.default_rng(1).integers(6, 1490, (500, 2)):
            cv2.circle(mask, (int(x), int(y)), int(1 + (x + y) % 4), 1, -1)
    watch, begun = Timed(), time.thread_time()

    filled = PatchInpainter().inpaint(image, mask > 0, InpaintOptions(), watch)

    assert time.thread_time() - begun < 2  # 0.1-0.15 s on a quiet machine
    assert watch.longest < 0.5  # 0.04 s
    assert np.abs(filled.astype(int) - image)[mask > 0].mean() < 12

"""`telea` and `ns`."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from magic_eraser.errors import Cancelled
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.opencv import LARGEST_HOLE, NavierStokesInpainter, TeleaInpainter
from magic_eraser.models.watch import Watch

BOTH = pytest.mark.parametrize("kind", [TeleaInpainter, NavierStokesInpainter])


def ramp(dtype: type) -> np.ndarray:
    top = np.iinfo(dtype).max
    row = np.linspace(top * 0.2, top * 0.8, 120)
    return np.repeat(np.tile(row, (80, 1))[..., None], 3, axis=2).astype(dtype)


@BOTH
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_ramp_is_continued(kind, dtype):
    image = ramp(dtype)
    hole = np.zeros((80, 120), bool)
    hole[35:45, 50:60] = True
    broken = image.copy()
    broken[hole] = 0

    out = kind().inpaint(broken, hole, InpaintOptions(), Watch())

    error = np.abs(out[hole].astype(float) - image[hole]).max() / np.iinfo(dtype).max
    assert out.dtype == dtype
    assert error < 0.02


@BOTH
def test_the_input_is_not_written_to(kind):
    image = ramp(np.uint8)
    before = image.copy()
    hole = np.zeros((80, 120), bool)
    hole[10:20, 10:20] = True

    kind().inpaint(image, hole, InpaintOptions(), Watch())

    assert (image == before).all()


@BOTH
def test_a_cancelled_request_does_not_begin(kind):
    watch = Watch()
    watch.cancel()

    with pytest.raises(Cancelled):
        kind().inpaint(ramp(np.uint8), np.ones((80, 120), bool), InpaintOptions(), watch)


@BOTH
def test_thin_holes_are_filled_in_tiles_as_they_would_be_at_once(kind, coffee):
    image = coffee.repeat(2, axis=0).repeat(2, axis=1)
    scratches = np.zeros(image.shape[:2], np.uint8)
    cv2.line(scratches, (20, 30), (1150, 760), 1, 2)
    cv2.line(scratches, (200, 0), (300, 799), 1, 1)
    hole = scratches > 0
    broken = image.copy()
    broken[hole] = 255

    out = kind().inpaint(broken, hole, InpaintOptions(), Watch())

    at_once = cv2.inpaint(broken, scratches, InpaintOptions().radius, kind.method)
    assert np.abs(out.astype(int) - at_once).mean() < 0.01
    assert np.abs(out[hole].astype(int) - at_once[hole]).mean() < 1
    assert (out[~hole] == image[~hole]).all()


def scratched(shape):
    mask = np.zeros(shape, np.uint8)
    cv2.line(mask, (20, 30), (shape[1] - 30, shape[0] - 20), 1, 2)
    mask[shape[0] // 2 : shape[0] // 2 + 60, 40:100] = 1
    return mask > 0


@BOTH
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_for_auto_the_thin_pieces_alone_are_filled_and_what_else_is_unknown_is_not_seen(kind, dtype):
    image = ramp(dtype).repeat(3, axis=0).repeat(3, axis=1)
    hole = scratched(image.shape[:2])
    dark, bright = image.copy(), image.copy()
    dark[hole], bright[hole] = 0, np.iinfo(dtype).max
    object_ = np.zeros_like(hole)
    object_[120:180, 40:100] = True

    one = kind().inpaint(dark, hole, InpaintOptions(thin=True), Watch())
    other = kind().inpaint(bright, hole, InpaintOptions(thin=True), Watch())

    thin = hole & ~object_
    thin[110:190, 30:110] = False
    assert (one[thin] == other[thin]).all()
    assert np.abs(one[thin].astype(float) - image[thin]).max() / np.iinfo(dtype).max < 0.02
    assert (one[~hole] == image[~hole]).all()


@BOTH
@pytest.mark.parametrize("slope", [0.1, 0.3, 0.7])
def test_a_ramp_under_thin_holes_is_continued_within_two_levels_for_auto(kind, slope):
    y, x = np.mgrid[:200, :300]
    image = np.rint(np.stack([20 + slope * x, 20 + slope * y, 30 + slope * (x + y) / 2], -1)).astype(np.uint8)
    hole = scratched((200, 300))
    hole[100:160, 40:100] = False
    broken = image.copy()
    broken[hole] = 255

    out = kind().inpaint(broken, hole, InpaintOptions(thin=True), Watch())

    assert np.abs(out.astype(int) - image).max() <= 2


@BOTH
@pytest.mark.parametrize("radius", [4, 64])
def test_a_large_hole_is_filled_with_looks_at_the_watch_in_between(kind, radius):
    class Timed(Watch):
        last, longest = 0.0, 0.0

        def check(self):
            now = time.thread_time()
            self.longest = max(self.longest, now - (self.last or now))
            self.last = now
            super().check()

    side = int(LARGEST_HOLE**0.5)
    image = np.full((side + 60, side + 60, 3), 90, np.uint8)
    hole = np.zeros(image.shape[:2], bool)
    hole[30 : 30 + side, 30 : 30 + side] = True
    watch = Timed()

    out = kind().inpaint(image, hole, InpaintOptions(radius=radius), watch)

    assert (out[~hole] == 90).all()
    assert np.abs(out[hole].mean() - 90) < 15  # Telea drifts upwards in OpenCV's 8 bit
    assert watch.longest < 0.5  # 0.1 s on a quiet machine

"""`telea` and `ns`."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magic_eraser.errors import Cancelled
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.opencv import NavierStokesInpainter, TeleaInpainter
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

"""`telea` and `ns`."""

from __future__ import annotations

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

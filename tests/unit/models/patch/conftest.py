"""Synthetic pictures and a fill: nothing here reads a photograph."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.patch import PatchInpainter
from magic_eraser.models.watch import Watch


@pytest.fixture(autouse=True)
def _one_thread():
    """The fills are small, and other tests run beside these."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


@pytest.fixture(scope="session")
def fill():
    """`fill(image, hole, seed=0)` with a fresh engine."""

    def run(image, hole, seed=0):
        return PatchInpainter().inpaint(image, hole, InpaintOptions(seed=seed), Watch())

    return run


@pytest.fixture(scope="session")
def texture():
    """Cloudy noise in three colours, uint8 (height, width, 3)."""

    def make(height, width, seed=0, grain=2.0):
        rng = np.random.default_rng(seed)
        noise = cv2.GaussianBlur(rng.normal(size=(height, width, 3)).astype(np.float32), (0, 0), grain)
        return np.clip(128 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def stripes():
    """Dark and light bars; slope 0 makes them upright, 1 diagonal."""

    def make(size, period, slope=0.0):
        y, x = np.mgrid[:size, :size]
        bars = ((x + np.rint(slope * y).astype(int)) // (period // 2)) % 2
        return np.repeat((40 + 170 * bars)[..., None], 3, 2).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def square_hole():
    """A square of `side` in the middle of bool (height, width)."""

    def make(height, width, side):
        hole = np.zeros((height, width), bool)
        top, left = (height - side) // 2, (width - side) // 2
        hole[top : top + side, left : left + side] = True
        return hole

    return make

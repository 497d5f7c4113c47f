"""Large crops are filled small and made again from full-size pixels."""

from __future__ import annotations

import time

import cv2
import numpy as np


def sharpness(image, hole):
    """Mean gradient well inside the hole over that outside."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    steep = np.hypot(*np.gradient(grey))
    inner = cv2.erode(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return steep[inner].mean() / steep[~hole].mean()


def test_a_wide_hole_keeps_the_grain_of_full_size(fill, texture, square_hole):
    image = cv2.add(texture(1800, 2400, grain=20.0) // 2, texture(1800, 2400, seed=1, grain=1.0) // 2)
    hole = square_hole(1800, 2400, 900)
    begun = time.thread_time()
    filled = fill(image, hole)
    assert time.thread_time() - begun < 8  # 1.5 s on a quiet machine
    assert (filled[~hole] == image[~hole]).all()
    assert 0.8 < sharpness(filled, hole) < 1.2


def test_full_size_pixels_are_copied_not_drawn(fill, square_hole):
    """A fill at working size would blur these one-pixel lines away."""
    y, x = np.mgrid[:1300, :1300]
    fine = ((x % 2) * 120 + (y // 40 % 2) * 60 + 30).astype(np.uint8)
    image = np.repeat(fine[..., None], 3, 2)
    hole = square_hole(1300, 1300, 420)
    filled = fill(image, hole)
    steps = np.abs(np.diff(filled[..., 0].astype(int), axis=1))
    assert np.median(steps[hole[:, 1:]]) > 60


def test_thin_scratches_in_a_large_picture_are_quick(fill, texture):
    image = texture(1500, 2000, grain=6.0)
    mask = np.zeros((1500, 2000), np.uint8)
    cv2.line(mask, (100, 100), (1900, 1400), 1, 3)
    cv2.line(mask, (100, 1400), (1900, 200), 1, 3)
    hole = mask > 0
    begun = time.thread_time()
    filled = fill(image, hole)
    assert time.thread_time() - begun < 2  # 0.2 s on a quiet machine
    assert np.abs(filled.astype(int) - image)[hole].mean() < 7


def test_a_ramp_of_full_size_is_continued(fill, square_hole):
    y, x = np.mgrid[:1500, :1500]
    image = np.stack([20 + x // 8, 20 + y // 8, 40 + (x + y) // 16], -1).astype(np.uint8)
    hole = square_hole(1500, 1500, 700)
    assert np.abs(fill(image, hole).astype(int) - image)[hole].max() <= 3

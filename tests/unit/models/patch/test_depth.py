"""Sixteen bits and opacity are copied, not rebuilt from eight bits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest


def deep_scene(size):
    """A ramp with texture on it, uint16 (size, size, 3)."""
    x = np.arange(size, dtype=np.float32)[None, :, None]
    noise = np.random.default_rng(0).normal(size=(size, size, 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 2.0)
    image = 12_000 + 30_000 * x / size + 4000 * noise / noise.std()
    return np.clip(image, 0, 65_535).astype(np.uint16)


@pytest.mark.parametrize(("size", "side"), [(300, 90), (1500, 400)])
def test_sixteen_bits_stay_sixteen(fill, square_hole, size, side):
    image, hole = deep_scene(size), square_hole(size, size, side)
    filled = fill(image, hole)
    assert filled.dtype == np.uint16
    assert (filled[~hole] == image[~hole]).all()
    assert len(np.unique(filled[hole][:, 0])) > 2000
    assert 0.8 < filled[hole].std() / image[hole].std() < 1.3
    assert abs(filled[hole].mean() - image[hole].mean()) < 2000


def test_eight_bits_are_found_in_sixteen(fill, texture, square_hole):
    image, hole = texture(260, 260), square_hole(260, 260, 70)
    deep = fill(image.astype(np.uint16) * np.uint16(257), hole)
    assert np.abs(deep / 257 - fill(image, hole)).max() < 1.01


def test_hidden_samples_of_a_large_picture_do_not_matter(fill, square_hole):
    image, hole = deep_scene(1700), square_hole(1700, 1700, 500)
    other = image.copy()
    other[hole] = 65_535
    assert (fill(image, hole)[hole] == fill(other, hole)[hole]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("size", "side"), [(400, 110), (1400, 400)])
def test_an_edge_of_opacity_is_continued(fill, square_hole, dtype, size, side):
    top = np.iinfo(dtype).max
    opaque = np.arange(size) < size // 2
    image = np.zeros((size, size, 4), dtype)
    image[..., :3] = deep_scene(size) // (1 if dtype == np.uint16 else 257)
    image[..., :3][:, ~opaque] = top  # white, and not to be seen
    image[:, opaque, 3] = top
    hole = square_hole(size, size, side)
    filled = fill(image, hole)
    assert filled.shape == image.shape
    assert (filled[~hole] == image[~hole]).all()
    wrong = np.abs(filled[..., 3].astype(float) - image[..., 3])[hole] > top / 4
    assert wrong.mean() < 0.06


def test_opacity_of_thin_and_of_smooth_holes_is_continued(fill):
    image = np.full((300, 300, 4), 120, np.uint8)
    image[..., 3] = np.linspace(40, 240, 300).astype(np.uint8)[None, :]
    hole = np.zeros((300, 300), bool)
    hole[20:280, 60:63] = True
    hole[100:180, 150:230] = True
    filled = fill(image, hole)
    assert np.abs(filled[..., 3].astype(int) - image[..., 3]).max() <= 6
    assert np.abs(filled[..., :3].astype(int) - 120).max() <= 1

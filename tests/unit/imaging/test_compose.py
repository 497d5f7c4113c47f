"""Compose: an enlarged fill meets the picture at its seam and has its grain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magic_eraser.imaging.compose import blend, enlarge


@pytest.fixture
def hole():
    mask = np.zeros((240, 240), np.uint8)
    cv2.circle(mask, (120, 120), 60, 1, -1)
    return mask > 0


def small(image: np.ndarray, scale: int) -> np.ndarray:
    size = (image.shape[1] // scale, image.shape[0] // scale)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def test_flat_stays_flat(hole):
    image = np.full((240, 240, 3), 137, np.uint8)

    out = enlarge(small(image, 4), image, hole, hole)

    assert (out[hole] == 137).all()


def test_the_fill_gets_the_grain_of_its_surroundings(hole):
    rng = np.random.default_rng(1)
    image = np.clip(128 + rng.normal(0, 9, (240, 240, 3)), 0, 255).astype(np.uint8)
    fill = np.full((60, 60, 3), 128, np.uint8)

    out = enlarge(fill, image, hole, hole).astype(float)

    inside = cv2.erode(hole.view(np.uint8), np.ones((9, 9))) > 0
    assert 0.8 < out[inside].std() / image[~hole].std() < 1.2


def test_an_edge_beside_the_hole_does_not_count_as_grain(hole):
    image = np.full((240, 240, 3), 40, np.uint8)
    image[:, 130:] = 210

    out = enlarge(small(image, 4), image, hole, hole).astype(float)

    assert out[hole & (np.arange(240) < 110)].std() < 3


def test_a_fill_that_misses_the_picture_is_met_at_the_seam(hole):
    image = np.full((240, 240, 3), 100, np.uint8)
    fill = np.full((60, 60, 3), 108, np.uint8)

    out = enlarge(fill, image, hole, hole).astype(float)

    rim = hole & ~(cv2.erode(hole.view(np.uint8), np.ones((3, 3))) > 0)
    assert abs(out[rim].mean() - 100) < 2
    assert abs(out[115:125, 115:125].mean() - 108) < 3


def test_sixteen_bits_stay_sixteen_bits(hole):
    image = np.full((240, 240, 3), 40_000, np.uint16)

    out = enlarge(np.full((60, 60, 3), 40_000, np.uint16), image, hole, hole)

    assert out.dtype == np.uint16
    assert (out[hole] == 40_000).all()


def test_the_same_seed_gives_the_same_grain(hole):
    image = np.random.default_rng(2).integers(0, 255, (240, 240, 3), np.uint8)
    fill = small(image, 4)

    assert (enlarge(fill, image, hole, hole, 3) == enlarge(fill, image, hole, hole, 3)).all()
    assert (enlarge(fill, image, hole, hole, 3) != enlarge(fill, image, hole, hole, 4)).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_blend_is_exact_at_both_ends(dtype):
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    original, fill = (rng.integers(0, top, (9, 9, 3), dtype, endpoint=True) for _ in range(2))
    weight = np.zeros((9, 9), np.uint8)
    weight[3:6] = 255
    weight[6:] = 128

    out = blend(original, fill, weight)

    assert out.dtype == dtype
    assert (out[:3] == original[:3]).all()
    assert (out[3:6] == fill[3:6]).all()
    low, high = np.minimum(original, fill)[6:], np.maximum(original, fill)[6:]
    assert ((out[6:] >= low) & (out[6:] <= high)).all()

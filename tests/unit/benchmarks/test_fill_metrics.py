"""The figures of benchmarks/engine.py where the answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fill_metrics import Figures, measure, psnr, seam, sharpness, swd


@pytest.fixture
def hole(coffee: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """A disc over wood, saucer and shadow: bool (400, 600)."""
    canvas = np.zeros(coffee.shape[:2], np.uint8)
    cv2.circle(canvas, (150, 300), 60, 1, -1)
    return canvas > 0


def inside(hole: NDArray[np.bool_], fill: NDArray[np.uint8], image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(hole[..., None], fill, image)


def test_the_truth_itself_is_perfect(coffee, hole):
    assert measure(coffee, hole, coffee) == Figures(
        1.0, 1.0, 0.0, pytest.approx(10 * np.log10(255**2 / 1e-3))
    )


def test_without_a_truth_there_is_no_distance(coffee, hole):
    figures = measure(coffee, hole)
    assert figures.swd is figures.psnr is None
    assert figures.seam == pytest.approx(1, abs=0.25)


def test_a_blur_is_less_sharp_and_further_away(coffee, hole):
    blurred = inside(hole, cv2.GaussianBlur(coffee, (0, 0), 4), coffee)
    assert sharpness(blurred, hole, coffee) < 0.5
    assert sharpness(blurred, hole) < 0.7 * sharpness(coffee, hole)
    assert swd(blurred, coffee, hole) > 1


def test_a_step_at_the_edge_raises_seam_and_leaves_sharpness(coffee, hole):
    lighter = inside(hole, np.clip(coffee.astype(int) + 40, 0, 255).astype(np.uint8), coffee)
    assert seam(lighter, hole) > 3 * seam(coffee, hole)
    assert sharpness(lighter, hole, coffee) == pytest.approx(1, abs=0.1)


def test_the_seam_of_a_step_of_known_height_is_its_ratio():
    columns = np.arange(64, dtype=np.uint8) * 2  # steps of 2 between columns, none between rows
    image = np.repeat(np.tile(columns, (64, 1))[..., None], 3, axis=2)
    hole = np.zeros((64, 64), np.bool_)
    hole[:, 32:] = True
    raised = image.copy()
    raised[hole] += 10
    # beside the edge: 3 columns' steps of 2 on the hole's side and 4 on the other, and 8 columns of rows without any
    assert seam(raised, hole) == pytest.approx(12 / (2 * 7 * 64 / (7 * 64 + 8 * 63)))


def test_the_distance_of_a_shift_in_level_is_the_same_at_any_place(coffee, hole):
    near, far = (
        inside(hole, np.clip(coffee.astype(int) + by, 0, 255).astype(np.uint8), coffee) for by in (5, 20)
    )
    assert 0 < swd(near, coffee, hole) < swd(far, coffee, hole)


def test_psnr_of_a_known_error():
    image = np.full((32, 32, 3), 100, np.uint8)
    hole = np.zeros((32, 32), np.bool_)
    hole[8:20, 8:20] = True
    assert psnr(inside(hole, image + np.uint8(10), image), image, hole) == pytest.approx(20 * np.log10(25.5))


def test_a_hole_too_thin_for_a_figure_has_none(coffee):
    scratch = np.zeros(coffee.shape[:2], np.bool_)
    scratch[200, 100:140] = True
    figures = measure(coffee, scratch, coffee)
    assert figures.sharpness is None
    assert figures.swd is None
    assert figures.seam == pytest.approx(1)


def test_pictures_smaller_than_a_patch_have_no_distance():
    image = np.zeros((5, 40, 3), np.uint8)
    hole = np.ones((5, 40), np.bool_)
    assert swd(image, image, hole) is None
    assert seam(image, hole) is None  # no known neighbour

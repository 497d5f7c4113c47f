"""Crops as networks want them, and answers as pixels."""

from __future__ import annotations

import numpy as np
import pytest

from magic_eraser.errors import UnusableOutput
from magic_eraser.models.framing import common_size, padded, to_pixels


def holes(*shapes: tuple[int, int]) -> list[np.ndarray]:
    return [np.ones(shape, bool) for shape in shapes]


def test_all_crops_fit_in_the_common_size_and_not_in_less():
    assert common_size(holes((10, 30), (20, 5))) == (20, 30)
    assert common_size(holes((10, 30), (20, 5)), 8) == (24, 32)
    assert common_size(holes((10, 30)), 8, least=16) == (16, 32)
    assert common_size(holes((10, 30)), 8, square=True) == (32, 32)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 2, 3)])
def test_a_crop_is_mirrored_as_often_as_it_takes(shape):
    pixels = np.arange(np.prod(shape)).reshape(shape)

    whole = padded(pixels, (7, 11))

    assert whole.shape == (7, 11, *shape[2:])
    height, width = shape[:2]
    assert (whole[:height, :width] == pixels).all()
    for row in range(7):
        back = row % (2 * height)
        assert (whole[row] == whole[min(back, 2 * height - 1 - back)]).all()


def test_an_answer_is_cut_to_its_crop_rounded_and_held_within_its_range():
    answer = np.full((4, 4, 3), 0.5, np.float32)
    answer[0, 0] = (-0.2, 1.3, 1 / 255)
    answer[0, 1] = (np.float32(3e38), np.float32(-3e38), 0.999)

    pixels = to_pixels(answer, like=np.zeros((2, 3, 3), np.uint8))

    assert pixels.dtype == np.uint8
    assert pixels.shape == (2, 3, 3)
    assert pixels[0, :2].tolist() == [[0, 255, 1], [255, 0, 255]]
    assert (pixels[1] == 128).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_unusable(value):
    answer = np.full((4, 4, 3), value, np.float32)
    with pytest.raises(UnusableOutput, match="not numbers"):
        to_pixels(answer, like=np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize("shape", [(3, 4, 3), (4, 3, 3), (4, 4, 1), (4, 4)])
def test_an_answer_of_another_shape_is_unusable(shape):
    with pytest.raises(UnusableOutput, match="for a crop of"):
        to_pixels(np.zeros(shape, np.float32), like=np.zeros((4, 4, 3), np.uint8))

"""Crops as a network wants them, and its answer as pixels again. In numpy, for whichever runtime."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magic_eraser.errors import UnusableOutput
from magic_eraser.models.inpainter import Hole, Pixels


def common_size(
    holes: Sequence[Hole], multiple_of: int = 1, *, least: int = 1, square: bool = False
) -> tuple[int, int]:
    """(height, width): the least that all crops fit in.

    Args:
        holes: of the crops, (h, w) each.
        multiple_of: of both sides.
        least: of both sides.
        square: whether both sides are to be the same.
    """
    sides = [max(least, *(hole.shape[axis] for hole in holes)) for axis in (0, 1)]
    if square:
        sides = [max(sides)] * 2
    height, width = (-(-side // multiple_of) * multiple_of for side in sides)
    return height, width


def working_pixels(shapes: Iterable[tuple[int, ...]], multiple_of: int = 1) -> int:
    """What a model works on: the pixels of all crops, (h, w) each, their sides brought to a multiple."""
    return sum(
        math.prod(-(-side // multiple_of) * multiple_of for side in (height, width))
        for height, width in shapes
    )


def padded(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """A crop (h, w) or (h, w, c), mirrored at its right and bottom until it is (height, width)."""
    below, beside = size[0] - pixels.shape[0], size[1] - pixels.shape[1]
    if not below and not beside:
        return pixels
    return np.pad(pixels, ((0, below), (0, beside), *((0, 0),) * (pixels.ndim - 2)), mode="symmetric")


def to_pixels(answer: NDArray[Any], like: Pixels) -> Pixels:
    """A network's answer in 0..1 as 8-bit pixels of a crop's own size.

    Args:
        answer: float (height, width, 3), 0 black and 1 white; at least as large as the crop.
        like: the crop it was made for, (h, w, 3).

    Raises:
        UnusableOutput: it holds what is not a number, or is too small.
    """
    height, width = like.shape[:2]
    if answer.shape[0] < height or answer.shape[1] < width or answer.shape[2:] != (3,):
        raise UnusableOutput(
            f"The model answered {answer.shape} for a crop of {like.shape}.",
            f"模型输出的尺寸 {answer.shape} 与输入 {like.shape} 不符。",
        )
    part = answer[:height, :width]
    if not np.isfinite(part).all():
        raise UnusableOutput(
            "The model answered values that are not numbers (NaN or infinity).",
            "模型输出了无效数值（NaN 或无穷大）。",
        )
    pixels: Pixels = np.rint(np.clip(part, 0, 1) * 255).astype(np.uint8)
    return pixels

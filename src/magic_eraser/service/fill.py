"""Between the picture's samples and what a model can take."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from magic_eraser.models.card import ModelCard
from magic_eraser.models.inpainter import Hole, Pixels


def to_model_depth(image: Pixels, card: ModelCard) -> Pixels:
    """16-bit samples as 8-bit ones where the model knows no better."""
    if image.dtype == np.uint16 and not card.deep:
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return image


def to_picture_depth(filled: Pixels, dtype: DTypeLike) -> Pixels:
    """8-bit answers as 16-bit ones where the picture has 16: 255 becomes 65535."""
    if filled.dtype == np.uint8 and np.dtype(dtype) == np.uint16:
        return filled.astype(np.uint16) * np.uint16(257)
    return filled


def alpha_fill(alpha: NDArray[Any], hole: Hole, unknown: Hole) -> NDArray[Any]:
    """The opacity of what comes into the hole: constant where it is constant around, else smoothly continued.

    Args:
        alpha: (h, w) uint8 or uint16.
        hole: (h, w), what is to be filled.
        unknown: (h, w), contains `hole`.

    Returns:
        A new array like `alpha`.
    """
    known = alpha[~unknown]
    level = known.flat[0] if known.size else np.iinfo(alpha.dtype).max
    if not known.size or (known == level).all():
        return np.where(hole, level, alpha)
    return cv2.inpaint(np.ascontiguousarray(alpha), unknown.view(np.uint8), 3, cv2.INPAINT_TELEA)

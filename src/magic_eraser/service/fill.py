"""Between the picture's samples and what a model can take."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from magic_eraser.imaging.compose import blend
from magic_eraser.models.card import ModelCard
from magic_eraser.models.inpainter import Hole, Pixels


def with_opacity(colours: Pixels, alpha: NDArray[Any] | None, unknown: Hole, card: ModelCard) -> Pixels:
    """Opacity as a fourth channel, where there is one, it is not the same everywhere, and the model knows what to do.

    Args:
        colours: (h, w, 3). alpha: (h, w), of the same dtype.
        unknown: (h, w), what must not be looked at.
    """
    if not card.alpha or alpha is None or _is_even(alpha, unknown):
        return colours
    return np.dstack([colours, alpha])


def without_opacity(filled: Pixels) -> tuple[Pixels, NDArray[Any] | None]:
    """Colours (h, w, 3), and what the model made of the opacity (h, w), where it was given one."""
    if filled.shape[2] == 3:
        return filled, None
    return np.ascontiguousarray(filled[..., :3]), filled[..., 3]


def feathered(
    original: NDArray[Any], filled: NDArray[Any], hole: Hole, weight: NDArray[np.uint8]
) -> NDArray[Any]:
    """The fill, mixed with the original where the weight is neither 0 nor 255: a rim, so no copies of a large crop.

    Args:
        original, filled: (h, w, 3) or (h, w), uint8 or uint16, alike.
        hole: (h, w). weight: (h, w), see `Mask`.

    Returns:
        `filled` itself, written to, or a copy where that cannot be.
    """
    rim = np.nonzero(hole & (weight < 255))
    out = filled if filled.flags.writeable else filled.copy()
    # one row of pixels, as `blend` wants pictures
    out[rim] = blend(original[rim][None], filled[rim][None], weight[rim][None])[0]
    return out


def _is_even(alpha: NDArray[Any], unknown: Hole) -> bool:
    known = alpha[~unknown]
    return not known.size or bool((known == known[0]).all())


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

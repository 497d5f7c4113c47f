"""OpenCV's PDE fills on pictures of any size and depth; shared by `telea`, `ns` and the thin parts of `patch`."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.inpainter import Hole, Pixels
from magic_eraser.models.watch import Watch

TILE, APRON = 256, 16
"""Pixels. Dust on 12 MP need not cost 12 MP: a thin hole sees no further than a tile's apron."""


def diffuse(image: Pixels, hole: Hole, radius: int, method: int) -> Pixels:
    """The whole hole at once: one call, which cannot be interrupted.

    Args:
        image: uint8 or uint16 (H, W, 3). hole: bool (H, W), all that is unknown.
        radius: neighbourhood in pixels. method: `cv2.INPAINT_TELEA` or `cv2.INPAINT_NS`.

    Returns:
        A new array like `image`.
    """
    mask = hole.astype(np.uint8)
    if image.dtype == np.uint8:
        return np.asarray(cv2.inpaint(np.ascontiguousarray(image), mask, radius, method))
    # 16 bit is offered for one channel only
    channels = [np.ascontiguousarray(image[..., k]) for k in range(image.shape[2])]
    return np.stack([cv2.inpaint(c, mask, radius, method) for c in channels], axis=-1)


def diffuse_tiles(image: Pixels, hole: Hole, wanted: Hole, radius: int, method: int, watch: Watch) -> Pixels:
    """A thin part of the hole, tile by tile; `watch` is checked before each.

    Args:
        wanted: bool (H, W), the part of `hole` to fill. The rest as `diffuse`.

    Returns:
        A new array like `image`, different from it in `wanted` only.
    """
    height, width = hole.shape
    filled: NDArray[Any] = image.copy()
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            inner = (slice(top, top + TILE), slice(left, left + TILE))
            if not wanted[inner].any():
                continue
            watch.check()
            y, x = max(0, top - APRON), max(0, left - APRON)
            outer = (slice(y, top + TILE + APRON), slice(x, left + TILE + APRON))
            done = diffuse(image[outer], hole[outer], radius, method)
            rows = slice(top - y, top - y + filled[inner].shape[0])
            columns = slice(left - x, left - x + filled[inner].shape[1])
            np.copyto(filled[inner], done[rows, columns], where=wanted[inner][..., None])
    return filled

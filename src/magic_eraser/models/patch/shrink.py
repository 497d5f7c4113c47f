"""The picture at working size, whatever its size, depth and channels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.inpainter import Pixels
from magic_eraser.models.patch.windows import Bools
from magic_eraser.models.watch import Watch

BAND = 512  # rows between two checks: 50 MP in bands of 5-10 ms
BLOCKS = ((6.0, 4), (3.0, 2))
"""(least scale, side): whole blocks of pixels are averaged first, which takes a third of what INTER_AREA alone does."""


@dataclass(frozen=True, slots=True)
class Small:
    """What the fill is found on.

    Attributes:
        image: uint8 (h, w, 3), see `as_seen`.
        hole: bool (h, w): a pixel is hole as soon as any part of it is, so every hole pixel at full size has a filled
            one under it, and nothing of the object bleeds into what counts as known.
        scale: full-size pixels per pixel, rows and columns. Up to three pixels at the lower and the right edge may
            lie beyond the last pixel; they belong to it.
    """

    image: NDArray[np.uint8]
    hole: Bools
    scale: tuple[float, float]


def as_seen(image: Pixels, hole: Bools) -> NDArray[np.uint8]:
    """What the fill is to be found by: 16 bit rounded to 8, transparency laid over black or white.

    Of the two the one further from the picture's colours, so that edges of opacity are seen like those of colour: over
    grey they wandered 8 px in a texture of that mean.

    Args:
        image: uint8 or uint16 (H, W, 3) or (H, W, 4). hole: bool (H, W).

    Returns:
        A new uint8 (H, W, 3), zero in the hole.
    """
    unit = np.iinfo(image.dtype).max / 255
    if image.shape[2] == 3 and unit == 1:
        seen = np.array(image, np.uint8, order="C")
        seen[hole] = 0
        return seen
    colours = image[..., :3].astype(np.float32) / np.float32(unit)
    if image.shape[2] == 4:
        share = image[..., 3:].astype(np.float32) / np.float32(255 * unit)
        share[hole] = 0
        mean = float((colours * share).mean(-1).sum() / max(float(share.sum()), 1e-6))
        behind = np.float32(255 if mean < 128 else 0)
        colours = behind + (colours - behind) * share
    colours[hole] = 0
    return np.asarray(np.rint(colours), np.uint8)


def shrink(image: Pixels, hole: Bools, scale: float, watch: Watch) -> Small:
    """Picture and hole by area.

    Args:
        image: uint8 or uint16 (H, W, 3) or (H, W, 4). hole: bool (H, W), some True.
        scale: > 1, full-size pixels per pixel wanted, about.
        watch: checked between bands.
    """
    side = next((side for least, side in BLOCKS if scale >= least), 1)
    rows, columns = (n // side for n in hole.shape)
    size = (max(1, round(columns * side / scale)), max(1, round(rows * side / scale)))
    blocks = image
    if side > 1:
        blocks = np.empty((rows, columns, image.shape[2]), image.dtype)
        for top in range(0, rows, BAND):
            watch.check()
            here = min(BAND, rows - top)
            part = image[top * side : (top + here) * side, : columns * side]
            cv2.resize(part, (columns, here), blocks[top : top + here], interpolation=cv2.INTER_AREA)
    watch.check()
    small = np.asarray(cv2.resize(blocks, size, interpolation=cv2.INTER_AREA))
    del blocks
    watch.check()
    unknown = _shrink_hole(hole, side, size)
    return Small(as_seen(small, unknown), unknown, (rows * side / size[1], columns * side / size[0]))


def _shrink_hole(hole: Bools, side: int, size: tuple[int, int]) -> Bools:
    """bool (h, w): True where any part of the pixel is hole."""
    cells = _any_of(_any_of(hole, side, 0), side, 1)
    known = cv2.resize((~cells).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(known < 1.0 - 1e-5)


def _any_of(hole: Bools, side: int, axis: int) -> Bools:
    """Every `side` rows (axis 0) or columns as one; the last one takes what is left over."""
    if side == 1:
        return hole
    turned = hole if axis == 0 else hole.T
    count = len(turned) // side
    found = turned[: count * side : side].copy()
    for step in range(1, side):
        found |= turned[step : count * side : side]
    for row in turned[count * side :]:
        found[-1] |= row
    return found if axis == 0 else np.ascontiguousarray(found.T)

"""The border of a mask, unrolled: what lies along the normals of every border pixel, as rows of an array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

DEPTH = 10
"""Pixels inside the border that are unrolled; the border pixel itself is column `DEPTH`."""
MOST_POINTS = 20_000
"""Border pixels; a mask with more is dust, not a stroke."""

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Border:
    """The n border pixels of all holes, contour after contour, each contour a ring.

    Attributes:
        x, y: (n,), pixels of the hole.
        first, length: (n,), where the pixel's contour begins and how many it has.
        owner: (n,), which piece of the mask it belongs to.
    """

    x: Ints
    y: Ints
    first: Ints
    length: Ints
    owner: Ints

    @classmethod
    def of(cls, hole: Bools) -> Border | None:
        """Of hole (h, w); None where there is no border or one of more than `MOST_POINTS`."""
        bits = hole.view(np.uint8)
        contours = cv2.findContours(bits, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
        count = np.array([len(c) for c in contours], np.intp)
        if not 0 < count.sum() <= MOST_POINTS:
            return None
        points = np.concatenate(contours)[:, 0].astype(np.intp)
        x, y = points[:, 0], points[:, 1]
        pieces = np.asarray(cv2.connectedComponents(bits, connectivity=8)[1])
        first = np.repeat(np.cumsum(count) - count, count)
        return cls(x, y, first, np.repeat(count, count), pieces[y, x].astype(np.intp))

    def beside(self, steps: NDArray[Any]) -> Ints:
        """(len(steps), n): the border pixels so many steps along the contour."""
        return np.asarray(self.first + (np.arange(len(self.x)) - self.first + steps[:, None]) % self.length)

    def over(self, values: NDArray[Any], half: int, how: Callable[..., Any]) -> NDArray[Any]:
        """Each value replaced by the mean, median, least or most of those up to `half` steps away."""
        return np.asarray(how(values[self.beside(np.arange(-half, half + 1))], axis=0), values.dtype)


def unroll(
    image: NDArray[np.uint8], hole: Bools, depth: NDArray[Any], border: Border, beyond: int
) -> tuple[Floats, Bools]:
    """Colours along the border's normals.

    Args:
        image: (h, w, 3) RGB.
        hole: (h, w).
        depth: (h, w), signed distance from the border in pixels, negative inside; right near the border.
        border: that of the hole, n pixels.
        beyond: how many pixels outside.

    Returns:
        (n, DEPTH + 1 + beyond, 3): Lab with L x 0.8, grain smoothed; and bool (n, DEPTH + 1 + beyond): inside the
        picture, in the hole up to the border, and outside every hole after it.
    """
    smooth = cv2.GaussianBlur(depth, (0, 0), 2)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0)[border.y, border.x]
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1)[border.y, border.x]
    norm = np.maximum(np.hypot(dx, dy), 1e-6)
    t = np.arange(-DEPTH, beyond + 1, dtype=np.float32)
    x = (border.x[:, None] + (dx / norm)[:, None] * t).astype(np.float32)
    y = (border.y[:, None] + (dy / norm)[:, None] * t).astype(np.float32)
    lab = np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32)
    lab = np.asarray(cv2.GaussianBlur(lab, (0, 0), 0.7), np.float32)  # grain
    lab[..., 0] *= 0.8  # shading changes lightness within one thing
    colours = cv2.remap(lab, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    height, width = hole.shape
    column, row = np.rint(x).astype(np.intp), np.rint(y).astype(np.intp)
    valid = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    valid &= hole[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)] == (t <= 0)
    valid[:, DEPTH] = True
    # What lies behind another part of the hole is not this border's surroundings.
    valid[:, DEPTH:] = np.logical_and.accumulate(valid[:, DEPTH:], axis=1)
    return np.asarray(colours, np.float32), valid

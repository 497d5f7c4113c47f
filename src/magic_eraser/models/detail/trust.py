"""How much of the detail that was found is taken, place by place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.detail.field import Field, take
from magic_eraser.models.detail.levels import Band, Floats, Size, stretch

MOST = 1.4  # of a source's detail, where the fill is busier than the source
QUIET = 0.5  # levels a pixel that slopes have anyway
BUSY, MEAN, DETAIL, EDGE, SOFT = 11, 9, 5, 7, 5
"""Pixels, sides of the boxes for slopes, colours, detail, edges and the result."""
COLOUR_APART = 25.0  # levels between the means, at which half is taken
APART = 30.0  # mean difference in levels, at which half is taken
DETAIL_OVER_SLOPE = 1.0
"""Mean of the detail over the mean slope of the fill, from which on it is lowered: smooth shading stays smooth."""
STRONG = 4.0  # levels a pixel from which a direction counts as an edge
EDGE_APART, EDGE_REST = 0.35, 1.5
"""Of the mean slope, and levels: difference at which half of an edge is taken. Texture differs by its whole slope."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Read at any size.

    Attributes:
        gain: float32 (h, w), 0..MOST, of the detail to be added.
        edge: float32 (h, w), 0..1, an edge for which no fitting one was found: to be sharpened instead.
        box, size: what they cover.
    """

    gain: Floats
    edge: Floats
    box: Band
    size: Size

    def at(self, size: Size, band: Band) -> tuple[Floats, Floats]:
        """`gain` and `edge` over a band of the picture at another size."""
        gain, edge = (stretch(plane, self.box, self.size, size, band) for plane in (self.gain, self.edge))
        return gain, edge


def judge(
    low: NDArray[np.uint8], whole: NDArray[np.uint8], valid: NDArray[np.uint8], field: Field, apart: Floats
) -> Trust:
    """Compare the fill with what its detail comes from.

    Args:
        low: uint8 (H, W), luminance without the detail, fill and picture.
        whole: uint8 (H, W), luminance of the picture.
        valid: uint8 (H, W), 0 where `whole` must not be used.
        field: where detail comes from.
        apart: float32 (h, w), mean absolute difference of `low` there, levels.
    """
    maps, box = field.maps(), field.box
    smooth = low.astype(np.float32)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, ksize=1, scale=0.5) for dx in (1, 0))
    busy = _mean(np.asarray(cv2.magnitude(across, down), np.float32), BUSY)
    mine, theirs = busy[box], take(busy, maps)
    gain = np.minimum((mine + QUIET) / (theirs + QUIET), MOST)
    detail = take(_mean(np.where(valid > 0, np.abs(whole - smooth), np.float32(0)), DETAIL), maps)
    gain *= np.minimum(1, (DETAIL_OVER_SLOPE * mine + 1) / (detail + 1))
    mean = _mean(smooth, MEAN)
    gain /= 1 + ((mean[box] - take(mean, maps)) / COLOUR_APART) ** 2
    gain /= 1 + (apart / APART) ** 4
    xx, yy, xy = (_mean(plane, EDGE)[box] for plane in (across * across, down * down, across * down))
    power = xx + yy
    # coherence of the structure tensor (Bigun and Granlund 1987), and how strong it is
    edge = ((xx - yy) ** 2 + 4 * xy * xy) / (power * power + 4)
    edge *= power / (power + STRONG**2)
    fits = 1 / (1 + (apart / (EDGE_APART * mine + EDGE_REST)) ** 4)
    edge *= 1 - fits
    gain *= 1 - edge
    return Trust(_mean(gain, SOFT), _mean(edge, SOFT), box, field.size)


def _mean(plane: Floats, side: int) -> Floats:
    return np.asarray(cv2.blur(plane, (side, side)), np.float32)

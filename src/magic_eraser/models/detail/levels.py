"""The picture at the sizes between a network's and its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.inpainter import Hole, Pixels
from magic_eraser.models.watch import Watch

Floats = NDArray[np.float32]
Size = tuple[int, int]
"""(height, width), pixels."""
Band = tuple[slice, slice]

SPARE = 0.2  # octaves that the steps together may be longer than 2 each: 2.3 is one step, not two of 1.5
STEP_TRUSTED = 48
"""Levels of 255 by which a model's answer may miss the known and still be taken to speak about it."""
SEAM = 7  # px of working size round the hole in which it is asked
REACHES = (1.0, 2.0, 4.0)  # px, deviation


@dataclass(frozen=True, slots=True)
class Level:
    """One size.

    Attributes:
        image: (h, w, 3) like the picture; what it holds outside `known` must not be used.
        known: bool (h, w), pixels that nothing unknown is mixed into.
        hole: bool (h, w), pixels that some of the hole is in.
    """

    image: Pixels
    known: Hole
    hole: Hole

    @property
    def size(self) -> Size:
        height, width = self.known.shape
        return height, width


def build(image: Pixels, hole: Hole, unknown: Hole, small: Size, watch: Watch) -> list[Level]:
    """The sizes from `small` to the picture's own, smallest first, each about twice the one before."""
    levels = [Level(image, ~unknown, hole)]
    for size in _sizes(small, levels[0].size)[-2::-1]:
        finer = levels[0]
        watch.check()
        shrunk = cv2.resize(finer.image, size[::-1], interpolation=cv2.INTER_AREA)
        watch.check()
        known = ~_touched(~finer.known, size)
        watch.check()
        levels.insert(0, Level(np.asarray(shrunk), known, _touched(finer.hole, size) & ~known))
    return levels


def _sizes(small: Size, full: Size) -> list[Size]:
    octaves = math.log2(max(b / a for a, b in zip(small, full, strict=True)))
    count = max(1, math.ceil(octaves - SPARE))
    steps = [(k / count, small, full) for k in range(count + 1)]
    return [(round(a[0] * (b[0] / a[0]) ** t), round(a[1] * (b[1] / a[1]) ** t)) for t, a, b in steps]


def _touched(marked: Hole, size: Size) -> Hole:
    """Pixels of a smaller size that some marked pixel is in.

    Marks are grown by one pixel first: a share that is too small to be rounded up takes its whole neighbour along.
    """
    grown = cv2.dilate(marked.view(np.uint8) * np.uint8(255), np.ones((3, 3), np.uint8))
    return np.asarray(cv2.resize(grown, size[::-1], interpolation=cv2.INTER_AREA) > 0)


def surely(known: Hole, reach: int) -> NDArray[np.uint8]:
    """1 where everything within `reach` pixels is known, else 0."""
    side = 2 * reach + 1
    return np.asarray(cv2.erode(known.view(np.uint8), np.ones((side, side), np.uint8)))


def light(pixels: Pixels) -> NDArray[np.uint8]:
    """Luminance in levels of 255: uint8 (h, w)."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(grey if grey.dtype == np.uint8 else cv2.convertScaleAbs(grey, alpha=1 / 257))


def box_round(hole: Hole, margin: int) -> Band:
    left, top, width, height = cv2.boundingRect(hole.view(np.uint8))
    return (
        slice(max(0, top - margin), min(hole.shape[0], top + height + margin)),
        slice(max(0, left - margin), min(hole.shape[1], left + width + margin)),
    )


def stretch(plane: Floats, box: Band, small: Size, full: Size, band: Band) -> Floats:
    """`plane`, which covers `box` of a picture of size `small`, read linearly over `band` of it at size `full`."""
    down, across = small[0] / full[0], small[1] / full[1]
    top = (band[0].start + 0.5) * down - 0.5 - box[0].start
    left = (band[1].start + 0.5) * across - 0.5 - box[1].start
    matrix = np.array([[across, 0, left], [0, down, top]])
    size = (band[1].stop - band[1].start, band[0].stop - band[0].start)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(plane, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def joined(fill: Pixels, level: Level) -> Pixels:
    """The known pixels of a level and the fill between them, met at its seam.

    Where the answer speaks about the known, it drifts off the picture by some levels; what it misses there is spread
    inwards and fades within a few pixels (normalised convolution, Knutsson and Westin 1993).
    """
    top = np.iinfo(fill.dtype).max
    miss = level.image.astype(np.float32) - fill
    unknown = (~level.known).view(np.uint8)
    ring = cv2.dilate(unknown, np.ones((SEAM, SEAM), np.uint8)) > 0
    asked = ring & level.known & (np.abs(miss).max(axis=2) < STEP_TRUSTED * top / 255)
    weight = asked.astype(np.float32)
    miss *= weight[..., None]
    spread = np.zeros_like(miss)
    reached = np.zeros((*weight.shape, 1), np.float32)
    for deviation in REACHES:
        near = np.asarray(cv2.GaussianBlur(weight, (0, 0), deviation))[..., None]
        value = cv2.GaussianBlur(miss, (0, 0), deviation) / np.maximum(near, 1e-3)
        take = np.clip(4 * near, 0, 1) * (1 - reached)
        spread += value * take
        reached += take
    met = np.clip(np.rint(fill + spread), 0, top).astype(fill.dtype)
    return np.where(level.known[..., None], level.image, met)


def put(pixels: NDArray[Any], where: Hole, into: NDArray[Any]) -> None:
    """Copy pixels in place; numpy's own masked copy takes 20 times as long."""
    cv2.copyTo(pixels, np.ascontiguousarray(where).view(np.uint8), into)

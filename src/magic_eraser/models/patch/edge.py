"""The last pixels of a full-size fill beside the picture: as soft as edges in a photograph are.

Labels of working size leave the hole's border as sharp as a cut, sharper than anything that went through a lens.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.inpainter import Pixels
from magic_eraser.models.patch.windows import Bools
from magic_eraser.models.watch import Watch

REACH = 3  # pixels
GRAIN = 12.0  # levels by which the copy may miss the picture and nothing be done: grain, which a mean would double
BAND = 512  # rows

Places = NDArray[np.int32]
"""Rows and columns (n, 2)."""


def _near() -> list[tuple[int, int]]:
    """Steps of at most REACH pixels, the shortest first."""
    span = range(-REACH, REACH + 1)
    steps = [(dy, dx) for dy in span for dx in span if 0 < dy * dy + dx * dx <= REACH * REACH]
    return sorted(steps, key=lambda step: (step[0] ** 2 + step[1] ** 2, step))


NEAR = _near()


def soften(image: Pixels, hole: Bools, out: Pixels, copied: Callable[[Places], Places], watch: Watch) -> None:
    """Let the fill go over into the picture within REACH pixels: what the copy misses at the border is added, fading.

    Args:
        image: uint8 or uint16 (H, W, C). hole: bool (H, W).
        out: like `image`, filled; written to in the hole. May be `image` itself.
        copied: tells what pixels in the hole copy, offsets (n, 2) of places (n, 2).
        watch: checked between bands.
    """
    marked = hole.view(np.uint8)
    left, top, width, height = cv2.boundingRect(marked)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH + 1, 2 * REACH + 1))
    for first in range(top, top + height, BAND):
        watch.check()
        last = min(first + BAND, top + height)
        y0, x0 = max(0, first - REACH), max(0, left - REACH)
        part = marked[y0 : last + REACH, x0 : left + width + REACH]
        inner = np.asarray(cv2.erode(part, disc, borderType=cv2.BORDER_CONSTANT, borderValue=1))
        rim = part > inner
        y, x = np.nonzero(rim[first - y0 : last - y0])
        if y.size:
            _soften(image, hole, out, np.stack([y + first, x + x0], 1).astype(np.int32), copied)


def _soften(
    image: Pixels, hole: Bools, out: Pixels, place: Places, copied: Callable[[Places], Places]
) -> None:
    beside, distance = _nearest_known(hole, place)
    offset = copied(place)
    fine = (distance > 0) & _known(hole, beside + offset) & _known(hole, place + offset)
    place, beside, offset, distance = place[fine], beside[fine], offset[fine], distance[fine]
    top = np.iinfo(image.dtype).max
    now = _colours(out, place)
    # what is added to the copy already is no miss: pieces of other brightness were brought to the picture's
    miss = (
        _colours(image, beside) - _colours(image, beside + offset) - (now - _colours(image, place + offset))
    )
    miss = np.sign(miss) * np.maximum(np.abs(miss) - np.float32(GRAIN * top / 255), 0)
    now += miss * (1 - distance / (REACH + 1))[:, None]
    out[place[:, 0], place[:, 1], :3] = np.clip(np.rint(now), 0, top).astype(image.dtype)


def _colours(image: Pixels, place: Places) -> NDArray[np.float32]:
    return np.asarray(image[place[:, 0], place[:, 1], :3], np.float32)


def _nearest_known(hole: Bools, place: Places) -> tuple[Places, NDArray[np.float32]]:
    """The nearest known pixels, and how far they are; 0 where there is none within REACH."""
    beside, distance = place.copy(), np.zeros(len(place), np.float32)
    left = np.arange(len(place))
    for dy, dx in NEAR:
        there = place[left] + np.array([dy, dx], np.int32)
        found = _known(hole, there)
        beside[left[found]] = there[found]
        distance[left[found]] = np.hypot(dy, dx)
        left = left[~found]
    return beside, distance


def _known(hole: Bools, place: Places) -> Bools:
    y, x = place[:, 0], place[:, 1]
    inside = (y >= 0) & (y < hole.shape[0]) & (x >= 0) & (x < hole.shape[1])
    found: Bools = inside & ~hole[np.where(inside, y, 0), np.where(inside, x, 0)]
    return found

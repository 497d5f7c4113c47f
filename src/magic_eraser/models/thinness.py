"""Which parts of a hole are so thin that a PDE fills them as well as anything. The one rule for every model.

A piece (connected hole) is thin where 97 % of its pixels lie within a reach of known ones. The reach was set by eye,
on scratches, wires, letters and dust over photographs: up to 4 px of width nobody sees which of the two filled it,
at 5 px a PDE breaks slats, fences and lettering that patches continue. Patches, however, work on crops of about
1,000 px at most and shrink larger ones: what is `NARROW` px there is as thin at full size, up to `WIDEST`.
Many specks are dust, and thin as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.inpainter import Hole
from magic_eraser.models.watch import Watch

NARROW = math.sqrt(5.0)
"""Pixels from a known one, in a picture that patches take at full size: strokes up to 4 px wide at any angle."""
WIDEST = 7.0
"""Pixels from a known one, in any picture: wires up to 13 px wide over 12 MP, where those are a thread."""
SPECK, MANY = 8, 4
"""Pixels a side of a speck's box, and specks above which they count as dust: nobody looks at one of many, and
patches took 7 s for 500 of them over 12 MP."""
SHARE = 0.97  # of a piece's pixels: where 4 px scratches cross they reach 5 px
DIRECT_SIDE = 1000  # longest side of a crop that patches take at full size, and
WORKING_SIDE = 768  # what they shrink longer ones to
BAND = 512  # rows
RUNS_A_ROW = 4  # above so many there is more than one piece, and their contours take long

Statistics = NDArray[np.int32]
"""(n, 5), a row for each piece: what `cv2.connectedComponentsWithStats` tells."""


def thin_parts(hole: Hole, watch: Watch) -> Hole:
    """The pieces of the hole that a PDE should fill.

    A piece is thin or not as a whole; pieces are connected over corners. Of a crop with fewer pieces the answer never
    is more than it is of the whole, so that what the whole leaves to patches stays with them.

    Args:
        hole: bool (H, W).
        watch: checked between steps, of which 50 MP take 0.1 s at most each.

    Returns:
        bool (H, W), a subset of `hole`.
    """
    return _parts(hole, _reach, watch)


def slender_parts(hole: Hole, watch: Watch) -> Hole:
    """The pieces that may be thin, if what is round them says so: no deeper than `WIDEST`. As `thin_parts`."""
    return _parts(hole, lambda *_: WIDEST, watch)


def is_thin(hole: Hole, watch: Watch) -> bool:
    """Whether every piece of the hole is thin."""
    return bool((thin_parts(hole, watch) == hole).all())


def _parts(hole: Hole, reach_of: Callable[[Statistics, int], float], watch: Watch) -> Hole:
    """The pieces no deeper than NARROW, and of the others that are no deeper than WIDEST those within a reach that
    is asked for (the others' statistics, longer side of the picture)."""
    marked = np.ascontiguousarray(hole).view(np.uint8)
    left, top, width, height = cv2.boundingRect(marked)
    if (
        not width or min(hole.shape) <= 2 * WIDEST
    ):  # a ribbon: nothing known may be within a tile of its middle
        return np.zeros(hole.shape, np.bool_)
    inner = (slice(top, top + height), slice(left, left + width))
    part = marked[inner]
    deep = _deeper(part, NARROW)
    if not deep.any():
        return np.array(hole)
    watch.check()
    pieces, stats = label_pieces(part, watch)
    watch.check()
    thin = _mostly_within(deep, pieces, stats, watch)
    specks = (stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] <= SPECK).all(1)
    if np.count_nonzero(specks) > MANY:
        thin[1:] |= specks
    del deep  # a byte a pixel, and the next one is as large
    slender = _mostly_within(_deeper(part, WIDEST), pieces, stats, watch)
    middling = slender & ~thin
    reach = reach_of(stats[middling], max(hole.shape)) if middling.any() else NARROW
    if reach >= WIDEST:
        thin = slender
    elif reach > NARROW:
        thin |= _mostly_within(_deeper(part, reach), pieces, stats, watch)
    chosen = np.zeros(hole.shape, np.bool_)
    mine = chosen[inner]
    for band in _bands(height):
        watch.check()
        at = part[band] > 0
        mine[band][at] = thin[pieces[band][at]]
    return chosen


def _bands(height: int) -> Iterator[slice]:
    """Rows to be looked at together: index arrays take 8 bytes for every hole pixel."""
    return (slice(first, first + BAND) for first in range(0, height, BAND))


def _deeper(part: NDArray[np.uint8], reach: float) -> NDArray[np.bool_]:
    """The hole pixels further than `reach` from a known one.

    Beyond the edge counts as known: a hole there is reached from inside just as well. By erosion, which takes 3-12 ms
    of 12 MP where a distance takes 25 ms and 48 MB.
    """
    span = np.arange(-int(reach), int(reach) + 1)
    disc = (span[:, None] ** 2 + span**2 <= reach * reach + 1e-6).astype(np.uint8)
    return cv2.erode(part, disc, borderType=cv2.BORDER_CONSTANT, borderValue=0).view(np.bool_)


def label_pieces(part: NDArray[np.uint8], watch: Watch) -> tuple[NDArray[Any], Statistics]:
    """The connected pieces, over corners too: their numbers from 1 on, (H, W), and their statistics.

    One piece without gaps, which is what a large hole mostly is, is found by its one contour: a sixth of the time, and
    `part` is its own numbering. Others are numbered in 16 bits where they are sure to suffice: three times faster,
    and half the memory. A number is used up at most at every beginning of a run in a row.

    Args:
        part: (H, W), 0 or 1.
        watch: checked between steps.
    """
    runs = np.count_nonzero(part[:, 1:] > part[:, :-1]) + np.count_nonzero(part[:, 0])
    watch.check()
    if 0 < runs < RUNS_A_ROW * len(part):
        contours, _ = cv2.findContours(part, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        watch.check()
        if len(contours) == 1:
            left, top, width, height = cv2.boundingRect(contours[0])
            area = np.count_nonzero(part)
            around = (0, 0, part.shape[1], part.shape[0], part.size - area)
            return part, np.array([around, (left, top, width, height, area)], np.int32)
    kind = cv2.CV_16U if runs < np.iinfo(np.uint16).max else cv2.CV_32S
    found = cv2.connectedComponentsWithStats(part, connectivity=8, ltype=kind)
    return np.asarray(found[1]), np.asarray(found[2], np.int32)


def _mostly_within(
    deep: NDArray[np.bool_], pieces: NDArray[Any], stats: Statistics, watch: Watch
) -> NDArray[np.bool_]:
    """Of each label, whether at most 3 % of its pixels are deep; never of label 0."""
    inside = np.zeros(len(stats), np.int64)
    for band in _bands(len(deep)):
        watch.check()
        inside += np.bincount(pieces[band][deep[band]], minlength=len(stats))
    mostly = inside <= (1.0 - SHARE) * stats[:, cv2.CC_STAT_AREA]
    mostly[0] = False
    return np.asarray(mostly)


def _reach(stats: Statistics, picture_side: int) -> float:
    """How deep a thin piece may be, by the crop that patches would need for all of these: their box with as much
    around it on either side."""
    first = stats[:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]]
    last = first + stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    crop = min(picture_side, 3 * int((last.max(0) - first.min(0)).max()))
    return NARROW if crop <= DIRECT_SIDE else min(WIDEST, NARROW * crop / WORKING_SIDE)

"""Detail of the picture itself for a fill made at a smaller size.

Colours and structure are the fill's; what is finer than it is copied from the known places that look most alike at
that size, by levels: Freedman and Fattal 2011, "Image and Video Upscaling from Local Self-Examples"; Glasner et
al. 2009, "Super-Resolution from a Single Image".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.imaging.compose import enlarge
from magic_eraser.models.detail.field import Field, take
from magic_eraser.models.detail.levels import (
    Band,
    Floats,
    Level,
    box_round,
    build,
    joined,
    light,
    put,
    surely,
)
from magic_eraser.models.detail.match import REACH, find_offsets
from magic_eraser.models.detail.trust import Trust, judge
from magic_eraser.models.inpainter import Pixels
from magic_eraser.models.watch import Watch

LEAST_SCALE = 1.15  # below it there is no detail to speak of
LONGEST_SIDE = 32_000  # `cv2.remap` counts in 16 bits
BAND_PIXELS = 250_000  # at a time: 15 ms, and float copies stay below 10 MB
CUBIC_REACH = 2  # px of the smaller size that a pixel of the larger one is read from
MARGIN = 8  # px round the hole that are compared, too
TILES, TILE = 8, 96  # a side of the picture, and px, in which the known edges are looked at
SPREAD = 1.3  # times what least squares say: the edges that were looked at are not all sharp
FADE, FADING = 2, 2.0
"""Pixels into the hole that the known's detail fades in, and its share over the known's own weight."""
SHARPER = 1.5  # of what a Gaussian takes away is added to an edge that has no example
SOFTNESS = 0.7  # px of the smaller size, that Gaussian's deviation
LEAST_EDGE = 0.02  # below it sharpening is not seen
OVERSHOOT = 0.75  # px of the smaller size round which the lightest and the darkest limit it


def restore(
    fill: NDArray[Any],
    image: NDArray[Any],
    hole: NDArray[np.bool_],
    unknown: NDArray[np.bool_],
    seed: int,
    watch: Watch,
) -> NDArray[Any]:
    """Bring a fill made at working size to the crop's full size, with the picture's own detail.

    A place without a fitting example takes less, so a fill is never made coarser than the picture is; edges without
    one are sharpened within the range of their neighbours. Where scale is near 1 or too little is known, it is
    `compose.enlarge`.

    Args:
        fill: (h', w', 3) uint8 or uint16, the model's whole answer, h' <= h. Outside the hole it may be anything; where
            it is near the picture there, the seam is met by what it misses.
        image: (h, w, 3), the crop at full size, of the fill's dtype.
        hole: (h, w), pixels to take from the fill; at least one True.
        unknown: (h, w), pixels of `image` that must not be looked at; contains `hole`.
        seed: of the search, 0..2**32-1.
        watch: checked between pieces of some 20 ms at 12 megapixels.

    Returns:
        (h, w, 3) like `image`; only its `hole` pixels are meant.

    Raises:
        Cancelled, DeadlineExceeded: as `watch` says.
    """
    small = (fill.shape[0], fill.shape[1])
    scale = max(hole.shape[0] / small[0], hole.shape[1] / small[1])
    if scale < LEAST_SCALE or max(hole.shape) > LONGEST_SIDE:
        return enlarge(fill, image, hole, unknown, seed)
    levels = build(image, hole, unknown, small, watch)
    first = levels[0]
    seen = joined(fill, first)
    watch.check()
    sources = surely(first.known, REACH) > 0
    found = find_offsets(seen, first.hole, sources, np.random.default_rng(seed), watch)
    if found is None:
        return enlarge(fill, image, hole, unknown, seed)
    field, trust = found, None
    for coarse, level in pairwise(levels):
        watch.check()
        low = np.asarray(cv2.resize(seen, level.size[::-1], interpolation=cv2.INTER_CUBIC))
        watch.check()
        step = _Step(level, low, level.size[0] / coarse.size[0], _valid(coarse, level), watch)
        # at full size only half a pixel is left to be gained, for as much work as all else
        if trust is None or level is not levels[-1]:
            field, trust = step.refine(field, trust)
        seen = step.paste(field, trust)
    return seen


def _valid(coarse: Level, level: Level) -> NDArray[np.uint8]:
    """Where detail of a level is wholly known, as the level below tells: uint8 (h, w)."""
    sure = surely(coarse.known, CUBIC_REACH)
    enlarged = cv2.resize(sure, level.size[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.bitwise_and(enlarged, level.known.view(np.uint8)))


@dataclass(frozen=True, slots=True)
class _Step:
    """From one size to the next.

    Attributes:
        level: the larger size.
        low: (h, w, 3), what the smaller one says about it.
        scale: of the larger over the smaller.
        valid: uint8 (h, w), see `_valid`.
        watch: checked between pieces.
    """

    level: Level
    low: Pixels
    scale: float
    valid: NDArray[np.uint8]
    watch: Watch

    @property
    def _box(self) -> Band:
        return box_round(self.level.hole, MARGIN)

    def refine(self, field: Field, trust: Trust | None) -> tuple[Field, Trust]:
        """Offsets at this size, and how far they are trusted; once judged, that stays."""
        grey = light(self.low)
        self.watch.check()
        field, apart = field.at(self.level.size, self._box).refined(grey, self.valid, self.watch)
        if trust is None:
            trust = judge(grey, light(self.level.image), self.valid, field, apart)
        return field, trust

    def paste(self, field: Field, trust: Trust) -> Pixels:
        """The picture at this size with the fill in it, written into `low`."""
        rows, columns = self._box
        field = field.counted_in(self.level.size)
        edge, met, share = self._edge()
        steeper = self._steepness()
        pasted = np.empty_like(self.low[rows, columns])
        high = max(1, BAND_PIXELS // (columns.stop - columns.start))
        for top in range(rows.start, rows.stop, high):
            self.watch.check()
            band = (slice(top, min(top + high, rows.stop)), columns)
            pasted[top - rows.start : band[0].stop - rows.start] = self._detailed(band, field, trust, steeper)
        put(pasted, self.level.hole[rows, columns], self.low[rows, columns])
        self.watch.check()
        self.low[edge] = self._rounded(self.low[edge] * (1 - share) + met * share)
        put(self.level.image, self.level.known, self.low)
        return self.low

    def _detailed(self, band: Band, field: Field, trust: Trust, steeper: float) -> Pixels:
        """One band of the fill with its detail: (rows, columns, 3)."""
        maps = field.at(self.level.size, band).maps()
        gain, edge = trust.at(self.level.size, band)
        gain *= take(self.valid, maps)
        detail = take(self.level.image, maps).astype(np.float32)
        detail -= take(self.low, maps)
        detail *= gain[..., None]
        detail += self.low[band]
        if steeper and (edge > LEAST_EDGE).any():
            detail += self._sharper(band) * (edge[..., None] * np.float32(steeper))
        return self._rounded(detail)

    def _rounded(self, samples: Floats) -> Pixels:
        top = np.iinfo(self.low.dtype).max
        return np.asarray(np.clip(np.rint(samples), 0, top), self.low.dtype)

    def _steepness(self) -> float:
        """How much of `_sharper` makes the known edges of this size what they are, 0..1: by least squares and more.

        A picture that is soft itself has soft edges in its hole, too.
        """
        along = across = 0.0
        for row, column in product(range(TILES), range(TILES)):
            self.watch.check()
            starts = (row * self.level.size[0] // TILES, column * self.level.size[1] // TILES)
            band = (
                slice(starts[0], min(starts[0] + TILE, self.level.size[0])),
                slice(starts[1], min(starts[1] + TILE, self.level.size[1])),
            )
            known = self.valid[band] > 0
            if not known.any():
                continue
            sharper = self._sharper(band)[known]
            detail = self.level.image[band][known].astype(np.float32) - self.low[band][known]
            along += float(np.vdot(sharper, detail))
            across += float(np.vdot(sharper, sharper))
        return min(1.0, max(0.0, SPREAD * along / across)) if across else 0.0

    def _edge(self) -> tuple[tuple[NDArray[np.intp], ...], Floats, Floats]:
        """The known's detail as it fades into the hole: pixels (n,) there, their samples (n, 3), and shares (n, 1).

        Without it the edge is seen: the step across it is 1.57 times the picture's own at five times the size, with it
        1.05.
        """
        known, box = self.level.known, self._box
        self.watch.check()
        near = cv2.dilate(known[box].view(np.uint8), np.ones((2 * FADE + 1, 2 * FADE + 1), np.uint8)) > 0
        y, x = np.nonzero(near & self.level.hole[box] & ~known[box])
        y, x = y + box[0].start, x + box[1].start
        missed = np.zeros((len(y), self.low.shape[2]), np.float32)
        weights = np.zeros((len(y), 1), np.float32)
        reach = range(-FADE, FADE + 1)
        for dy, dx in product(reach, reach):
            self.watch.check()
            v, u = np.clip(y + dy, 0, known.shape[0] - 1), np.clip(x + dx, 0, known.shape[1] - 1)
            weight = np.float32(math.exp(-(dy * dy + dx * dx) / 2) / math.tau) * known[v, u, None]
            missed += weight * (self.level.image[v, u].astype(np.float32) - self.low[v, u])
            weights += weight
        met = self.low[y, x] + missed / np.maximum(weights, np.float32(1e-6))
        return (y, x), np.asarray(met, np.float32), np.minimum(FADING * weights, np.float32(1))

    def _sharper(self, band: Band) -> Floats:
        """What makes edges steeper without passing the lightest and the darkest beside them: (rows, columns, 3)."""
        rim = int(4 * self.scale)
        wide, inner = [], []
        for part, length in zip(band, self.level.size, strict=True):
            start, stop = max(0, part.start - rim), min(length, part.stop + rim)
            wide.append(slice(start, stop))
            inner.append(slice(part.start - start, part.stop - start))
        low = self.low[wide[0], wide[1]]
        around = np.ones((2 * round(OVERSHOOT * self.scale) + 1,) * 2, np.uint8)
        darkest, lightest = (change(low, around)[inner[0], inner[1]] for change in (cv2.erode, cv2.dilate))
        blurred = cv2.GaussianBlur(low, (0, 0), SOFTNESS * self.scale)[inner[0], inner[1]]
        here = self.low[band].astype(np.float32)
        steeper = here + SHARPER * (here - blurred)
        return np.asarray(np.clip(steeper, darkest, lightest) - here, np.float32)

"""Which known place looks like each place of the fill, at working size.

PatchMatch (Barnes et al. 2009) in whole arrays, on every few pixels of the hole and on 16 numbers for each patch.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.detail.field import Field
from magic_eraser.models.detail.levels import Band, Floats, box_round
from magic_eraser.models.inpainter import Hole
from magic_eraser.models.watch import Watch

SIDE = 7  # px of a patch, as in the patch engine
REACH = SIDE // 2
WAVES = ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (0, 3), (3, 0))
"""Cosines down and across of a patch's luminance: natural patches hold little else."""
BUSY, BUSY_SIDE = 2.0, 11  # weight of the mean slopes round a pixel, and their box in px
FAR = (7.7, 3.9)  # levels that a source at the other end of the picture differs by, down and across
MOST_TARGETS = 25_000  # one target for every few pixels where the hole holds more
SPARSE = 4  # a quarter of a box counts where the hole is less: specks in 512 x 512 took 1.8 s instead of 0.8
FIRST = 800  # sources that every target is compared with to begin with
ROUNDS, FURTHEST = 4, 4  # of search; steps from one target to another that it is told of
WIDE, NARROW = (1 / 2, 2.0), (1 / 4, 4.0)  # reach of the random search, and by how much it shrinks
AGREEMENTS = 4
AGREE, AGREE_LEAST = 0.12, 1.0  # of the mean cost, and squared levels, that each differing neighbour costs
CHUNK = 4096
LEAST_SOURCES = 200
NO_OFFSET = -(10**9)
NEIGHBOURS = ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
BESIDE = 4  # of them, those that share a side


def find_offsets(
    seen: NDArray[Any], hole: Hole, sources: Hole, rng: np.random.Generator, watch: Watch
) -> Field | None:
    """A similar source for every pixel in the hole's box.

    Args:
        seen: (h, w, 3) uint8 or uint16, the picture with the fill in it.
        hole: bool (h, w), what was filled.
        sources: bool (h, w), pixels round which all is known.
        rng: of the search.
        watch: checked between steps of some milliseconds.

    Returns:
        Offsets over the hole's box; None where there is no hole at this size or too little to take from.
    """
    box = box_round(hole, 0)
    area = math.prod(part.stop - part.start for part in box)
    step = max(1, math.ceil(math.sqrt(max(np.count_nonzero(hole), area / SPARSE) / MOST_TARGETS)))
    rim = REACH + FURTHEST * step  # so that a step beyond a source stays inside
    usable = np.zeros_like(sources)
    usable[rim:-rim, rim:-rim] = sources[rim:-rim, rim:-rim]
    if np.count_nonzero(usable) < LEAST_SOURCES or not hole.any():
        return None
    ys, xs = (
        np.minimum(np.arange(part.start, part.stop, step) + step // 2, length - 1)
        for part, length in zip(box, hole.shape, strict=True)
    )
    search = _Search(_numbers(seen, watch), usable, ys, xs, step)
    search.begin(rng, watch)
    for turn in range(ROUNDS):
        search.propagate(FURTHEST, watch)
        search.propagate(1, watch)
        search.look_round(rng, watch, *(WIDE if turn == 0 else NARROW))
    for _ in range(AGREEMENTS):
        search.agree(watch)
    y, x = np.divmod(search.source, hole.shape[1])
    offsets = np.stack([y - ys[:, None], x - xs]).astype(np.int32).repeat(step, 1).repeat(step, 2)
    height, width = (part.stop - part.start for part in box)
    size = (hole.shape[0], hole.shape[1])
    return Field(offsets[:, :height, :width], box, size, size)


def _numbers(seen: NDArray[Any], watch: Watch) -> Floats:
    """What patches are compared by, (h * w, 16): their squared distance is about the mean squared difference of their
    pixels, levels of 255, and what `BUSY` and `FAR` add."""
    unit = np.float32(255 / np.iinfo(seen.dtype).max)
    colours = seen.astype(np.float32) * unit
    grey = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), np.float32)
    phase = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    waves = [np.cos(k * phase) * (math.sqrt(2) if k else 1) / SIDE for k in range(4)]
    planes = [cv2.sepFilter2D(grey, cv2.CV_32F, waves[across], waves[down]) for down, across in WAVES]
    watch.check()
    planes += [cv2.blur(colours[..., channel] - grey, (SIDE, SIDE)) for channel in (0, 2)]
    for dx in (0, 1):
        slope = np.abs(cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx, ksize=1, scale=0.5))
        planes.append(BUSY * cv2.blur(slope, (BUSY_SIDE, BUSY_SIDE)))
    height, width = grey.shape
    planes.append(np.broadcast_to(np.linspace(0, FAR[0], height, dtype=np.float32)[:, None], grey.shape))
    planes.append(np.broadcast_to(np.linspace(0, FAR[1], width, dtype=np.float32), grey.shape))
    watch.check()
    numbers = np.empty((height * width, len(planes)), np.float32)
    for k, plane in enumerate(planes):
        numbers[:, k] = np.ravel(plane)
    return numbers


class _Search:
    """Sources of a grid of targets.

    Attributes:
        source: (n, m), flat position of each target's source.
        cost: float32 (n, m).
    """

    def __init__(
        self, numbers: Floats, usable: Hole, ys: NDArray[np.intp], xs: NDArray[np.intp], step: int
    ) -> None:
        self._numbers = numbers
        self._usable = usable.ravel()
        self._height, self._width = usable.shape
        self._step = step
        self._targets = numbers[ys[:, None] * self._width + xs]
        self.source = np.zeros(self._targets.shape[:2], np.intp)
        self.cost = np.full(self._targets.shape[:2], np.inf, np.float32)

    def begin(self, rng: np.random.Generator, watch: Watch) -> None:
        """The best of a few sources, the same for all."""
        at = np.flatnonzero(self._usable)
        at = np.sort(rng.choice(at, min(FIRST, len(at)), replace=False))
        some = self._numbers[at]
        products = np.ascontiguousarray(-2 * some.T)
        norms = np.einsum("nk,nk->n", some, some)
        targets = self._targets.reshape(-1, some.shape[1])
        for first in range(0, len(targets), CHUNK):
            watch.check()
            part = targets[first : first + CHUNK]
            price = part @ products
            price += norms
            best = price.argmin(1)
            self.source.ravel()[first : first + CHUNK] = at[best]
            self.cost.ravel()[first : first + CHUNK] = _apart(some[best], part)

    def propagate(self, far: int, watch: Watch) -> None:
        """Offer each target what lies beside its neighbours' sources."""
        n, m = self.source.shape
        for rows, columns in ((far, 0), (-far, 0), (0, far), (0, -far)):
            if abs(rows) >= n or abs(columns) >= m:
                continue
            mine = (slice(max(rows, 0), n + min(rows, 0)), slice(max(columns, 0), m + min(columns, 0)))
            theirs = (slice(max(-rows, 0), n - max(rows, 0)), slice(max(-columns, 0), m - max(columns, 0)))
            shift = (rows * self._width + columns) * self._step
            self._offer(self.source[theirs] + shift, mine, watch)

    def look_round(self, rng: np.random.Generator, watch: Watch, first: float, ratio: float) -> None:
        """Offer each target sources drawn round its present one, at a reach that shrinks by `ratio` from `first`, a
        share of the picture's longer side."""
        reach = max(self._height, self._width) * first
        while reach >= 1:
            down, across = np.rint((rng.random((2, *self.source.shape)) * 2 - 1) * reach).astype(np.intp)
            y, x = np.divmod(self.source, self._width)
            y, x = np.clip(y + down, 0, self._height - 1), np.clip(x + across, 0, self._width - 1)
            self._offer(y * self._width + x, (slice(None), slice(None)), watch)
            reach /= ratio

    def agree(self, watch: Watch) -> None:
        """Take a neighbour's offset where it costs little more than the own one: pieces become larger.

        One step of iterated conditional modes (Besag 1986): each of eight neighbours that has another offset costs.
        """
        n, m = self.source.shape
        home = (np.arange(n)[:, None] * self._width + np.arange(m)) * self._step
        offset = self.source - home
        padded = np.pad(offset, 1, constant_values=NO_OFFSET)
        around = [padded[1 + a : 1 + a + n, 1 + b : 1 + b + m] for a, b in NEIGHBOURS]
        alone = AGREE * np.asarray(cv2.blur(self.cost, (5, 5)), np.float32) + AGREE_LEAST
        best = self.cost + alone * _differing(around, offset)
        for neighbour in around[:BESIDE]:
            watch.check()
            source = np.clip(neighbour + home, 0, self._usable.size - 1)
            row, column = np.nonzero(self._usable[source] & (neighbour != offset))
            price = np.full((n, m), np.inf, np.float32)
            price[row, column] = _apart(self._numbers[source[row, column]], self._targets[row, column])
            total = price + alone * _differing(around, neighbour)
            better = total < best
            for mine, offered in ((self.source, source), (self.cost, price), (best, total)):
                np.copyto(mine, offered, where=better)

    def _offer(self, source: NDArray[np.intp], part: Band, watch: Watch) -> None:
        watch.check()
        cost, now = self.cost[part], self.source[part]
        row, column = np.nonzero(self._usable[source] & (source != now))
        offered = source[row, column]
        price = _apart(self._numbers[offered], self._targets[part][row, column])
        better = price < cost[row, column]
        row, column = row[better], column[better]
        now[row, column], cost[row, column] = offered[better], price[better]


def _differing(around: list[NDArray[np.intp]], offset: NDArray[np.intp]) -> Floats:
    """How many of the neighbours have another offset."""
    count = np.zeros(offset.shape, np.float32)
    for other in around:
        count += other != offset
    return count


def _apart(a: Floats, b: Floats) -> Floats:
    away = a - b
    return np.asarray(np.einsum("nk,nk->n", away, away), np.float32)

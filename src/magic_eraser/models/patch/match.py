"""Nearest source patch of every target patch: PatchMatch on a few numbers per patch.

Barnes et al. 2009, "PatchMatch: A Randomized Correspondence Algorithm for Structural Image Editing", in whole arrays:
all targets propagate at once, all radii of the random search are tried at once.
"""

from __future__ import annotations

import numpy as np

from magic_eraser.models.patch import prior
from magic_eraser.models.patch.pyramid import Level
from magic_eraser.models.patch.rarity import Rarity
from magic_eraser.models.patch.windows import (
    AREA,
    PAD,
    REACH,
    Floats,
    Positions,
    patches_at,
    windows,
)
from magic_eraser.models.watch import Watch

HEAD = 8  # numbers of the first look, two of them the prior; it refuses most candidates, rows of 32 bytes fetch fastest
REFUSED = np.float32(1e4)  # feature of what is no source: its distance is beyond any other
CHUNK = 8192
EXACT_PAIRS = 10**8


class Matcher:
    """Source patch of every target of one level, and what it costs.

    Cost = mean over the 49 pixels of the squared feature difference (as far as the PCA numbers tell) + position prior
    + rarity of the offset.

    Attributes:
        nearest: flat positions (T + 1,) of source patches; the last one stands for "no target".
        cost: float32 (T + 1,).
        difference: float32 (T + 1,), the part of the cost that the pixels make, as of the last `compare`.
    """

    def __init__(
        self, level: Level, rarity: Rarity, numbers: int, samples: int, rng: np.random.Generator, watch: Watch
    ) -> None:
        self.level = level
        self._watch = watch
        self._rng = rng
        self._table = rarity.table(level)
        self._wide = rarity.positions(level)
        height, stride = level.features.shape[:2]
        self._centre = 2 * height * stride + stride  # [height, width] of a table (2 height, 2 width)
        at = level.source_at()
        self._window = windows(level.features)
        self._basis = self._learn(at, numbers, samples)
        self._rows, self._columns = self._prior()
        self._head, self._tail = self._project_sources(at)
        count = len(level.targets)
        self.nearest: Positions = np.full(count + 1, at[len(at) // 2], np.intp)
        self.cost: Floats = np.zeros(count + 1, np.float32)
        self.difference: Floats = np.zeros(count + 1, np.float32)
        self.look()

    def _learn(self, at: Positions, numbers: int, samples: int) -> Floats:
        chosen = self._rng.choice(at, min(samples, len(at)), replace=False)
        patches = patches_at(self._window, chosen, self.level.stride)
        patches = patches - patches.mean(0)
        _, axes = np.linalg.eigh(patches.T @ patches)
        return np.ascontiguousarray(axes[:, : -numbers - 1 : -1], np.float32) / np.float32(np.sqrt(AREA))

    def _prior(self) -> tuple[Floats, Floats]:
        height, stride = self.level.features.shape[:2]
        side = self.level.side
        rows = np.repeat(np.arange(height, dtype=np.float32), stride)
        columns = np.tile(np.arange(stride, dtype=np.float32), height)
        return rows * np.float32(np.sqrt(prior.DOWN) / side), columns * np.float32(
            np.sqrt(prior.ACROSS) / side
        )

    def _project_sources(self, at: Positions) -> tuple[Floats, Floats]:
        sources, numbers = self.level.sources, self._basis.shape[1]
        head = np.full((len(sources), HEAD), REFUSED, np.float32)
        tail = np.zeros((len(sources), numbers + 2 - HEAD), np.float32)
        corner = REACH * self.level.stride + REACH
        for start in range(int(at[0]), int(at[-1]) + 1, CHUNK):
            self._watch.check()
            stop = min(start + CHUNK, int(at[-1]) + 1)
            good = sources[start:stop]
            if not good.any():
                continue
            rows = self._window[start - corner : stop - corner].reshape(stop - start, -1) @ self._basis
            part = head[start:stop]
            part[good, 2:] = rows[good, : HEAD - 2]
            tail[start:stop] = rows[:, HEAD - 2 :]
        head[at, 0], head[at, 1] = self._rows[at], self._columns[at]
        return head, tail

    def look(self) -> None:
        """Take up the hole's colours as they are now: project all targets and price what they have."""
        level = self.level
        count = len(level.targets)
        self._target_head = np.empty((count, HEAD), np.float32)
        self._target_tail = np.empty((count, self._tail.shape[1]), np.float32)
        for start in range(0, count, CHUNK):
            self._watch.check()
            at = level.targets[start : start + CHUNK]
            rows = patches_at(self._window, at, level.stride) @ self._basis
            part = slice(start, start + len(at))
            self._target_head[part, 0], self._target_head[part, 1] = self._rows[at], self._columns[at]
            self._target_head[part, 2:] = rows[:, : HEAD - 2]
            self._target_tail[part] = rows[:, HEAD - 2 :]
            every = np.arange(start, start + len(at))
            nearest = self.nearest[part]
            self.cost[part] = self._first(nearest, every) + self._rest(nearest, every)

    def _first(self, source: Positions, target: Positions) -> Floats:
        head = self._head.take(source, axis=0)
        head -= self._target_head.take(target, axis=0)
        out: Floats = np.einsum("nk,nk->n", head, head)
        if self._table is not None:
            wide = self._wide
            offset = wide.take(source)
            offset -= wide.take(self.level.targets.take(target))
            offset += self._centre
            out += self._table.take(offset)
        return out

    def _rest(self, source: Positions, target: Positions) -> Floats:
        tail = self._tail.take(source, axis=0)
        tail -= self._target_tail.take(target, axis=0)
        out: Floats = np.einsum("nk,nk->n", tail, tail)
        return out

    def compare(self) -> None:
        """Take the price of the offsets out of the costs: `difference` is what the votes go by."""
        source, target = self.nearest[:-1], self.level.targets
        place = (self._rows[source] - self._rows[target]) ** 2
        place += (self._columns[source] - self._columns[target]) ** 2
        if self._table is not None:
            place += self._table.take(self._wide.take(source) - self._wide.take(target) + self._centre)
        np.maximum(self.cost[:-1] - place, 0.0, out=self.difference[:-1])

    def assign(self, nearest: Positions) -> None:
        """Take (T,) source positions as they are and price them."""
        self.nearest[:-1] = nearest
        every = np.arange(len(nearest))
        for start in range(0, len(nearest), 4 * CHUNK):
            part = every[start : start + 4 * CHUNK]
            self.cost[part] = self._first(nearest[part], part) + self._rest(nearest[part], part)

    def offer(self, candidates: Positions, start: int) -> None:
        """Try (n, k) candidates for the n targets from `start` on, and keep what is cheaper."""
        part = slice(start, start + len(candidates))
        nearest, cost = self.nearest[part], self.cost[part]
        fresh = np.flatnonzero(candidates != nearest[:, None])
        source, row = candidates.take(fresh), fresh // candidates.shape[1]
        price = self._first(source, row + start)
        keep = np.flatnonzero(price < cost.take(row))
        fresh, source, row, price = fresh[keep], source[keep], row[keep], price[keep]
        price += self._rest(source, row + start)
        table = np.full(candidates.shape, np.inf, np.float32)
        table.ravel()[fresh] = price
        best = table.argmin(1)
        lines = np.arange(len(candidates))
        found = table[lines, best]
        better = np.flatnonzero(found < cost)
        cost[better] = found[better]
        nearest[better] = candidates[better, best[better]]

    def sweep(self, thin_search: bool) -> None:
        """One pass: propagate from 1 and 4 px away, then search at random round the present source."""
        stride = self.level.stride
        for far in (1, 4):
            shifts = np.array([far, -far, far * stride, -far * stride], np.intp)
            for start in range(0, len(self.level.targets), CHUNK):
                self._watch.check()
                self.offer(self._from_neighbours(start, shifts), start)
        radii = [r for r in (self.level.side / 2**i for i in range(12)) if r >= 1.0]
        if thin_search:  # two thirds of the radii: at the finest level most offsets are settled
            radii = radii[::3]
        rows = max(1, 4 * CHUNK // len(radii))
        for start in range(0, len(self.level.targets), rows):
            self._watch.check()
            self.offer(self._around(slice(start, start + rows), np.array(radii, np.float32)), start)

    def _from_neighbours(self, start: int, shifts: Positions) -> Positions:
        at = self.level.targets[start : start + CHUNK]
        neighbour = self.level.number.take(at[:, None] + shifts)
        found = self.nearest.take(neighbour) - shifts
        own = self.nearest[:-1][start : start + CHUNK, None]
        result: Positions = np.where(neighbour < len(self.level.targets), found, own)
        return result

    def _around(self, part: slice, radii: Floats) -> Positions:
        height, width = self.level.hole.shape
        stride = self.level.stride
        at = self.nearest[:-1][part]
        y, x = np.divmod(at, stride)
        step = self._rng.random((2, len(at), len(radii)), np.float32)
        step -= 0.5
        step *= 2.0 * radii
        low = PAD + REACH
        rows = np.clip(y[:, None] + np.rint(step[0]).astype(np.intp), low, PAD + height - REACH - 1)
        columns = np.clip(x[:, None] + np.rint(step[1]).astype(np.intp), low, PAD + width - REACH - 1)
        result: Positions = rows * stride + columns
        return result

    def offer_offsets(self, offsets: Positions) -> None:
        """Try the same (k, 2) offsets (dy, dx) for every target."""
        if not len(offsets):
            return
        height, width = self.level.hole.shape
        stride, low = self.level.stride, PAD + REACH
        rows = max(1, 16 * CHUNK // len(offsets))
        for start in range(0, len(self.level.targets), rows):
            self._watch.check()
            y, x = np.divmod(self.level.targets[start : start + rows, None], stride)
            y, x = y + offsets[:, 0], x + offsets[:, 1]
            inside = (y >= low) & (y < PAD + height - REACH) & (x >= low) & (x < PAD + width - REACH)
            own = self.nearest[:-1][start : start + rows]
            self.offer(np.where(inside, y * stride + x, own[:, None]), start)

    def exhaust(self) -> None:
        """The true nearest source of every target as matrix products, on at most 1e8 pairs."""
        count = len(self.level.targets)
        at = self.level.source_at()
        if count * len(at) > EXACT_PAIRS:
            at = np.sort(self._rng.choice(at, max(1, EXACT_PAIRS // count), replace=False))
        sources = np.concatenate([self._head[at], self._tail[at]], 1)
        norms = np.einsum("nk,nk->n", sources, sources)
        columns = np.ascontiguousarray(-2.0 * sources.T)
        rows = max(1, 4_000_000 // len(at))
        best = np.empty(count, np.intp)
        for start in range(0, count, rows):
            self._watch.check()
            part = slice(start, min(start + rows, count))
            mine = np.concatenate([self._target_head[part], self._target_tail[part]], 1)
            best[part] = at[(mine @ columns + norms).argmin(1)]
        self.assign(best)

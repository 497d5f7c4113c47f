"""Nearest source patch of every target patch: PatchMatch on a few numbers per patch.

Barnes et al. 2009, "PatchMatch: A Randomized Correspondence Algorithm for Structural Image Editing", in whole arrays:
all targets propagate at once, all radii of the random search are tried at once. A candidate is refused by the price of
its offset first, then by eight numbers, then by all.
"""

from __future__ import annotations

import numpy as np

from magic_eraser.models.patch import prior
from magic_eraser.models.patch.parallel import Crew, pieces
from magic_eraser.models.patch.project import FINENESS, Projector, Shorts
from magic_eraser.models.patch.pyramid import Level
from magic_eraser.models.patch.rarity import Rarity
from magic_eraser.models.patch.windows import PAD, REACH, Floats, Positions

CHUNK = 8192
EXACT_PAIRS = 10**8


class Matcher:
    """Source patch of every target of one level, and what it costs.

    Cost = mean over the 49 pixels of the squared feature difference (as far as the PCA numbers tell) + position prior
    + rarity of the offset. All targets propagate from what their neighbours had before the step, so the result does not
    depend on the number of threads.

    Attributes:
        nearest: flat positions (T + 1,) of source patches; the last one stands for "no target".
        cost: float32 (T + 1,).
        place: float32 (T + 1,), the part of the cost that the offset makes.
    """

    def __init__(
        self, level: Level, rarity: Rarity, projector: Projector, rng: np.random.Generator, crew: Crew
    ) -> None:
        self.level = level
        self._rng = rng
        self._crew = crew
        self._projector = projector
        self._table = rarity.table(level)
        height, self._stride = level.features.shape[:2]
        self._centre = (
            2 * height * self._stride + self._stride
        )  # [height, width] of a table (2 height, 2 width)
        self._head, self._tail = projector.sources()
        self._target_head, self._target_tail = projector.targets()
        count = len(level.targets)
        self._row = (level.targets // self._stride).astype(np.int32)
        self._column = (level.targets - level.targets // self._stride * self._stride).astype(np.int32)
        self.nearest: Positions = np.full(count + 1, level.source_at()[0], np.intp)
        self.cost: Floats = np.zeros(count + 1, np.float32)
        self.place: Floats = np.full(count + 1, np.inf, np.float32)
        self._step = 0
        self._moved = np.zeros(count + 1, np.int32)  # the step at which a target last changed its source
        self._offered: dict[
            int, int
        ] = {}  # the step at which sources of neighbours so far away were last offered

    def look(self) -> None:
        """Take up the hole's colours as they are now: project all targets and price what they have."""
        self._target_head, self._target_tail = self._projector.targets()
        self._price()

    def assign(self, nearest: Positions) -> None:
        """Take (T,) source positions as they are and price them."""
        self.nearest[:-1] = nearest
        row = nearest // self._stride
        offset = (row - self._row) * (2 * self._stride) + (nearest - row * self._stride - self._column)
        self.place[:-1] = self._table.take(offset + self._centre)
        self._price()

    def _price(self) -> None:
        self._offered.clear()

        def price(part: slice) -> None:
            source = self.nearest[:-1][part]
            cost = _apart(self._head.take(source, axis=0), self._target_head[part])
            cost += _apart(self._tail.take(source, axis=0), self._target_tail[part])
            cost += self.place[:-1][part]
            self.cost[:-1][part] = cost

        self._crew.each(price, pieces(len(self.level.targets), 2 * CHUNK))

    def difference(self) -> Floats:
        """The part (T,) of the costs that the pixels make: what the votes go by."""
        found: Floats = np.maximum(self.cost[:-1] - self.place[:-1], 0.0)
        return found

    def _offer(self, source: Positions, target: Positions, place: Floats) -> None:
        """Try candidates (n,) for targets (n,), whose offsets cost `place`, and keep what is cheaper."""
        price = _apart(self._head.take(source, axis=0), self._target_head.take(target, axis=0))
        price += place
        keep = np.flatnonzero(price < self.cost.take(target))
        source, target, place, price = source[keep], target[keep], place[keep], price[keep]
        price += _apart(self._tail.take(source, axis=0), self._target_tail.take(target, axis=0))
        keep = np.flatnonzero(price < self.cost.take(target))
        keep = keep[
            np.argsort(-price[keep], kind="stable")
        ]  # of several for one target the last, cheapest one stays
        target = target[keep]
        self.nearest[target], self.cost[target], self.place[target] = source[keep], price[keep], place[keep]
        self._moved[target] = self._step

    def sweep(self, thin_search: bool) -> None:
        """One pass: propagate from 1 and 4 px away, then search at random round the present source."""
        for far in (1, 4):
            self._propagate(far)
        radii = [int(r) for r in (self.level.side / 2**i for i in range(12)) if r >= 1.0]
        # two thirds of the radii: at the finest level most offsets are settled
        self._search(radii[::3] if thin_search else radii)

    def _propagate(self, far: int) -> None:
        level = self.level
        shifts = np.array([far, -far, far * self._stride, -far * self._stride], np.intp)
        nearest, place = self.nearest.copy(), self.place.copy()
        since = self._offered.get(far)
        if since is not None:  # what was refused once stays refused until the colours change
            place[self._moved < since] = np.inf
        self._step += 1
        self._offered[far] = self._step

        def offer(part: slice) -> None:
            at = level.targets[part]
            neighbour = level.number.take(at + shifts[:, None])
            open_ = np.flatnonzero(place.take(neighbour) < self.cost[:-1][part])
            shift = open_ // len(at)
            target = open_ - shift * len(at)
            target += part.start
            neighbour = neighbour.take(open_)
            source = nearest.take(neighbour) - shifts.take(shift)
            other = np.flatnonzero(source != nearest.take(target))
            self._offer(source[other], target[other], place.take(neighbour[other]))

        self._crew.each(offer, pieces(len(level.targets), CHUNK))

    def _search(self, radii: list[int]) -> None:
        height, width = self.level.hole.shape
        stride, low = self._stride, PAD + REACH
        reach = np.array(radii, np.int32)[:, None]
        self._step += 1

        def offer(drawn: tuple[slice, bytes]) -> None:
            part, noise = drawn
            at = self.nearest[:-1][part].astype(np.int32)
            step = np.frombuffer(noise, np.int16).reshape(2, len(radii), len(at)).astype(np.int32)
            step *= reach
            step += 1 << 14
            step >>= 15  # -radius..radius
            row = at // stride
            rows, columns = step[0], step[1]
            rows += row
            columns += at - row * stride
            np.clip(rows, low, PAD + height - REACH - 1, out=rows)
            np.clip(columns, low, PAD + width - REACH - 1, out=columns)
            self._try(part, rows, columns)

        parts = pieces(len(self.level.targets), max(1, 4 * CHUNK // len(radii)))
        self._crew.each(offer, ((p, self._rng.bytes(4 * len(radii) * (p.stop - p.start))) for p in parts))

    def _try(self, part: slice, rows: Positions, columns: Positions) -> None:
        """Offer sources at rows and columns (k, n) to the n targets of `part`."""
        offset = (rows - self._row[part]) * np.int32(2 * self._stride)
        offset += columns
        offset -= self._column[part]
        offset += np.int32(self._centre)
        place = self._table.take(offset)
        open_ = np.flatnonzero(place < self.cost[:-1][part])
        target = open_ % rows.shape[1]
        target += part.start
        source = rows.take(open_).astype(np.intp) * self._stride + columns.take(open_)
        self._offer(source, target, place.take(open_))

    def offer_offsets(self, offsets: Positions) -> None:
        """Try the same (k, 2) offsets (dy, dx) for every target."""
        if not len(offsets):
            return
        height, width = self.level.hole.shape
        low = PAD + REACH
        down, across = (offsets[:, i, None].astype(np.int32) for i in (0, 1))
        self._step += 1

        def offer(part: slice) -> None:
            rows, columns = self._row[part] + down, self._column[part] + across
            np.clip(rows, low, PAD + height - REACH - 1, out=rows)
            np.clip(columns, low, PAD + width - REACH - 1, out=columns)
            self._try(part, rows, columns)

        self._crew.each(offer, pieces(len(self.level.targets), max(1, 8 * CHUNK // len(offsets))))

    def exhaust(self) -> None:
        """The true nearest source of every target as matrix products, on at most 1e8 pairs; rarity aside."""
        count = len(self.level.targets)
        at = self.level.source_at()
        if count * len(at) > EXACT_PAIRS:
            at = np.sort(self._rng.choice(at, max(1, EXACT_PAIRS // count), replace=False))
        row = at // self._stride
        sources = np.concatenate(
            [self._head[at], self._tail[at], self._where(row, at - row * self._stride)], 1
        )
        norms = np.einsum("nk,nk->n", sources, sources)
        products = np.ascontiguousarray(-2.0 * sources.T)
        best = np.empty(count, np.intp)

        def search(part: slice) -> None:
            where = self._where(self._row[part], self._column[part])
            price = np.concatenate([self._target_head[part], self._target_tail[part], where], 1) @ products
            price += norms
            best[part] = at[price.argmin(1)]

        self._crew.each(search, pieces(count, max(1, 1_000_000 // len(at))))
        self.assign(best)

    def _where(self, row: Positions, column: Positions) -> Floats:
        """Two numbers whose squared difference is the position prior."""
        share = (
            np.sqrt(np.array([prior.DOWN, prior.ACROSS], np.float32)) * FINENESS / np.float32(self.level.side)
        )
        return np.asarray(np.stack([row, column], 1) * share, np.float32)


def _apart(sources: Shorts, targets: Floats) -> Floats:
    """Squared distance (n,) of rows (n, k)."""
    a = sources.astype(np.float32)
    a -= targets
    a *= a
    # a matrix product sums rows twice as fast as einsum
    return np.asarray(a @ np.full(a.shape[1], 1.0 / FINENESS**2, np.float32))

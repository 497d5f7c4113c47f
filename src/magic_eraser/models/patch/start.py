"""First fill of the coarsest level: peel the hole like an onion.

After Criminisi et al. 2004 and Newson et al. 2014: layer by layer from the border, each pixel looks for the patch that
agrees best with the part already known. Exhaustive, as matrix products; a smooth first fill would stay smooth. What the
unknown part becomes is settled among many good candidates (as non-local means does, Wong & Orchard 2008).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch import prior
from magic_eraser.models.patch.guide import START, Guide
from magic_eraser.models.patch.parallel import Crew, pieces
from magic_eraser.models.patch.pyramid import Level
from magic_eraser.models.patch.windows import AREA, PAD, Floats, Positions, patches_at, steps, windows

MOST_SOURCES = 6000
LEAST_SOURCES = 150
MOST_PAIRS = 4 * 10**7
WIDE, WIDER = 20_000, 60_000  # hole pixels from which layers are 2 and 4 pixels thick
ROWS = 256
GROUPS = 8  # candidates that are asked for each pixel; 32 are softer (0.747 of the truth against 0.787)
MOST_ASKED = 200_000  # candidates in all
# Weight of the others' opinion; 1 is softer (sharpness 0.685 against 0.691), 0 brings strays.
AGREEMENT = 0.15
DOUBT = 20.0  # squared feature difference by which a candidate may be worse and still count


class _Sources:
    """Source patches, in random order, as the right-hand side of |a|^2 - 2 a.b + m.b^2, prior included."""

    def __init__(self, level: Level, at: Positions) -> None:
        self.at = at
        self.groups = int(np.clip(MOST_ASKED // len(level.hole_at), 1, min(GROUPS, len(at))))
        self.stride, self.reach = level.stride, level.side * prior.NEAR_SHARE
        patches = patches_at(windows(level.features), at, level.stride)
        channels = level.features.shape[2]
        self.mean = patches.reshape(-1, channels).mean(0)
        self.patches = patches - np.tile(self.mean, AREA)
        squares = (self.patches.reshape(len(at), AREA, channels) ** 2).sum(2)
        self.down, self.across = (float(np.sqrt(p)) / level.side for p in (prior.DOWN, prior.ACROSS))
        y, x = self._place(at)
        self.matrix = np.concatenate([self.patches, squares, np.stack([y, x, y * y + x * x], 1)], 1).T

    def _place(self, at: Positions) -> tuple[Floats, Floats]:
        y, x = np.divmod(at, self.stride)
        return (y * self.down).astype(np.float32), (x * self.across).astype(np.float32)

    def best(self, patches: Floats, known: Floats, at: Positions) -> tuple[Positions, Floats]:
        """Source (n,) of patches (n, 245) of which only a part (n, 49) is known, and what it costs."""
        channels = len(self.mean)
        count = np.maximum(known.sum(1, keepdims=True), 1.0)
        centred = patches.reshape(len(at), AREA, channels) - self.mean
        seen = centred * (known / count)[..., None]
        y, x = self._place(at)
        own = np.einsum("nkc,nkc->n", seen, centred) + y * y + x * x
        place = np.stack([-2.0 * y, -2.0 * x, np.ones_like(y)], 1)
        price: Floats = (
            np.concatenate([-2.0 * seen.reshape(len(at), -1), known / count, place], 1) @ self.matrix
        )
        price += own[:, None]
        price += self._near(at)
        return self._agreed(np.maximum(price, 0.0, out=price), known)

    def _near(self, at: Positions) -> Floats:
        y, x, v, u = (p.astype(np.float32) for q in (at, self.at) for p in np.divmod(q, self.stride))
        far: Floats = (y[:, None] - v) ** 2
        far += (x[:, None] - u) ** 2
        np.sqrt(far, out=far)
        far *= np.float32(-prior.NEAR / self.reach)
        far += np.float32(prior.NEAR)
        np.maximum(far, 0.0, out=far)
        return far

    def _agreed(self, price: Floats, known: Floats) -> tuple[Positions, Floats]:
        """Of the best of each group of sources the one whose hidden part is most like what all of them propose.

        The known part says nothing of what a patch brings along: the single best one put half a face beside a
        portrait, because the wall left of the hair fitted the wall at the hole's edge. Most good candidates are plain
        wall, so their weighted mean is, and the hair is far from it.
        """
        groups, length = self.groups, len(self.at) // self.groups
        cells = price[:, : groups * length].reshape(len(price), groups, length)
        which = cells.argmin(2)
        value = np.take_along_axis(cells, which[..., None], 2)[..., 0]
        which += np.arange(groups) * length
        least = value.min(1, keepdims=True)
        weight = np.exp((least - value) / (least + DOUBT))
        weight /= weight.sum(1, keepdims=True)
        found = self.patches[which].reshape(len(price), groups, AREA, len(self.mean))
        found -= np.einsum("ng,ngkc->nkc", weight, found)[:, None]
        hidden = 1.0 - known
        hidden /= np.maximum(hidden.sum(1, keepdims=True), 1.0)
        odd = np.einsum("ngk,nk->ng", np.einsum("ngkc,ngkc->ngk", found, found), hidden)
        chosen = (value + AGREEMENT * odd).argmin(1)
        rows = np.arange(len(price))
        return self.at[which[rows, chosen]], value[rows, chosen]


def peel(level: Level, guide: Guide, rng: np.random.Generator, crew: Crew) -> None:
    """Paint the level's hole layer by layer; `level.features` holds the result.

    Args:
        level: with at least one source patch.
        guide: where it is trusted, what is not painted yet counts a little.
        rng: picks the sources where there are more than time allows.
    """
    at = level.source_at()
    most = int(np.clip(MOST_PAIRS // len(level.hole_at), LEAST_SOURCES, MOST_SOURCES))
    sources = _Sources(level, rng.permutation(at)[:most])
    thick = 1 + (len(level.hole_at) > WIDE) + 2 * (len(level.hole_at) > WIDER)
    kernel = np.ones((2 * thick + 1, 2 * thick + 1), np.uint8)
    known: NDArray[np.uint8] = np.zeros(level.features.shape[:2], np.uint8)
    known[PAD:-PAD, PAD:-PAD] = ~level.hole
    todo = np.zeros_like(known)
    todo[PAD:-PAD, PAD:-PAD] = level.hole
    level.features[PAD:-PAD, PAD:-PAD], trust = guide.at(level)
    counts = known.astype(np.float32)
    counts[PAD:-PAD, PAD:-PAD] += START * trust
    planes = [plane.ravel() for plane in np.moveaxis(level.features, -1, 0).copy()]
    while todo.any():
        reached = np.asarray(cv2.dilate(known, kernel), np.uint8)
        layer = np.flatnonzero(reached & todo)
        _paint(level, sources, planes, layer, counts, crew)
        known.ravel()[layer] = 1
        counts.ravel()[layer] = 1.0
        todo.ravel()[layer] = 0
    level.extend_border()


def _paint(
    level: Level,
    sources: _Sources,
    planes: list[Floats],
    layer: Positions,
    counts: Floats,
    crew: Crew,
) -> None:
    """Give the pixels of one layer the weighted mean of what the layer's patches propose for them."""
    stride = level.stride
    view, seen = windows(level.features), windows(counts[..., None])
    nearest = np.empty(len(layer) + 1, np.intp)
    cost = np.full(len(layer) + 1, np.inf, np.float32)
    share = np.zeros(len(layer) + 1, np.float32)

    def search(part: slice) -> None:
        at = layer[part]
        mask = patches_at(seen, at, stride)
        nearest[part], cost[part] = sources.best(patches_at(view, at, stride), mask, at)
        share[part] = mask.mean(1)

    crew.each(search, pieces(len(layer), ROWS))
    nearest[-1] = sources.at[0]
    number = np.full(counts.size, len(layer), np.intp)
    number[layer] = np.arange(len(layer))
    around = steps(stride)
    flat = level.features.reshape(counts.size, -1)

    def repaint(part: slice) -> None:
        at = layer[part]
        ids = number.take(at[:, None] + around)
        price = cost.take(ids)
        real = np.isfinite(price)
        least = price.min(1, keepdims=True)
        mean = np.where(real, price, 0.0).sum(1, keepdims=True) / real.sum(1, keepdims=True)
        weight = np.exp(np.where(real, -(price - least) / (0.5 * mean + 1e-3), -np.inf)) * share.take(ids)
        weight /= np.maximum(weight.sum(1, keepdims=True), 1e-30)
        source = nearest.take(ids) - around
        flat[at] = np.stack([np.einsum("nk,nk->n", weight, p.take(source)) for p in planes], 1)

    crew.each(repaint, pieces(len(layer), 8 * ROWS))

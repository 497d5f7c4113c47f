"""First fill of the coarsest level: peel the hole like an onion.

After Criminisi et al. 2004 and Newson et al. 2014: layer by layer from the border, each pixel looks for the patch that
agrees best with the part already known. Exhaustive, as matrix products; a smooth first fill would stay smooth.
"""

from __future__ import annotations

import cv2
import numpy as np

from magic_eraser.models.patch.match import PRIOR_ACROSS, PRIOR_DOWN
from magic_eraser.models.patch.pyramid import Level
from magic_eraser.models.patch.windows import AREA, PAD, Floats, Positions, patches_at, steps, windows
from magic_eraser.models.watch import Watch

MOST_SOURCES = 6000
LEAST_SOURCES = 150
MOST_PAIRS = 4 * 10**7
WIDE, WIDER = 20_000, 60_000  # hole pixels from which layers are 2 and 4 pixels thick
ROWS = 2048


class _Sources:
    """Source patches as the right-hand side of |a|^2 - 2 a.b + m.b^2, prior included."""

    def __init__(self, level: Level, at: Positions) -> None:
        self.at = at
        stride = level.stride
        patches = patches_at(windows(level.features), at, stride)
        channels = level.features.shape[2]
        self.mean = patches.reshape(-1, channels).mean(0)
        patches = patches - np.tile(self.mean, AREA)
        squares = (patches.reshape(len(at), AREA, channels) ** 2).sum(2)
        self.down, self.across = (float(np.sqrt(p)) / level.side for p in (PRIOR_DOWN, PRIOR_ACROSS))
        y, x = self._place(at, stride)
        self.matrix = np.concatenate([patches, squares, np.stack([y, x, y * y + x * x], 1)], 1).T

    def _place(self, at: Positions, stride: int) -> tuple[Floats, Floats]:
        y, x = np.divmod(at, stride)
        return (y * self.down).astype(np.float32), (x * self.across).astype(np.float32)

    def best(self, patches: Floats, known: Floats, at: Positions, stride: int) -> tuple[Positions, Floats]:
        """Cheapest source (n,) of patches (n, 245) by their known part (n, 49), and its cost."""
        channels = len(self.mean)
        count = np.maximum(known.sum(1, keepdims=True), 1.0)
        seen = (patches.reshape(len(at), AREA, channels) - self.mean) * (known / count)[..., None]
        own = np.einsum("nkc,nkc->n", seen, seen / np.maximum(known / count, 1e-9)[..., None])
        y, x = self._place(at, stride)
        place = np.stack([-2.0 * y, -2.0 * x, np.ones_like(y)], 1)
        left = np.concatenate([-2.0 * seen.reshape(len(at), -1), known / count, place], 1)
        price = left @ self.matrix
        chosen = price.argmin(1)
        cost = price[np.arange(len(at)), chosen] + own + y * y + x * x
        return self.at[chosen], np.maximum(cost, 0.0)


def peel(level: Level, rng: np.random.Generator, watch: Watch) -> None:
    """Paint the level's hole layer by layer; `level.features` holds the result.

    Args:
        level: with at least one source patch.
        rng: picks the sources where there are more than time allows.
    """
    at = level.source_at()
    most = int(np.clip(MOST_PAIRS // len(level.hole_at), LEAST_SOURCES, MOST_SOURCES))
    if len(at) > most:
        at = np.sort(rng.choice(at, most, replace=False))
    sources = _Sources(level, at)
    thick = 1 + (len(level.hole_at) > WIDE) + 2 * (len(level.hole_at) > WIDER)
    kernel = np.ones((2 * thick + 1, 2 * thick + 1), np.uint8)
    known = np.zeros(level.features.shape[:2], np.uint8)
    known[PAD:-PAD, PAD:-PAD] = ~level.hole
    todo = np.zeros_like(known)
    todo[PAD:-PAD, PAD:-PAD] = level.hole
    planes = [plane.ravel() for plane in np.moveaxis(level.features, -1, 0).copy()]
    while todo.any():
        layer = np.flatnonzero(cv2.dilate(known, kernel) & todo)
        _paint(level, sources, planes, layer, known, watch)
        known.ravel()[layer] = 1
        todo.ravel()[layer] = 0
    level.extend_border()


def _paint(
    level: Level,
    sources: _Sources,
    planes: list[Floats],
    layer: Positions,
    known: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    watch: Watch,
) -> None:
    """Give the pixels of one layer the weighted mean of what the layer's patches propose for them."""
    stride = level.stride
    view, seen = windows(level.features), windows(known[..., None])
    nearest = np.empty(len(layer) + 1, np.intp)
    cost = np.full(len(layer) + 1, np.inf, np.float32)
    share = np.zeros(len(layer) + 1, np.float32)
    rows = int(np.clip(4_000_000 // len(sources.at), 64, ROWS))
    for start in range(0, len(layer), rows):
        watch.check()
        at = layer[start : start + rows]
        mask = patches_at(seen, at, stride).astype(np.float32)
        part = slice(start, start + len(at))
        nearest[part], cost[part] = sources.best(patches_at(view, at, stride), mask, at, stride)
        share[part] = mask.mean(1)
    nearest[-1] = sources.at[0]
    number = np.full(known.size, len(layer), np.intp)
    number[layer] = np.arange(len(layer))
    around = steps(stride)
    flat = level.features.reshape(known.size, -1)
    for start in range(0, len(layer), ROWS):
        watch.check()
        at = layer[start : start + ROWS]
        ids = number.take(at[:, None] + around)
        price = cost.take(ids)
        real = np.isfinite(price)
        least = price.min(1, keepdims=True)
        mean = np.where(real, price, 0.0).sum(1, keepdims=True) / real.sum(1, keepdims=True)
        weight = np.exp(np.where(real, -(price - least) / (0.5 * mean + 1e-3), -np.inf)) * share.take(ids)
        weight /= np.maximum(weight.sum(1, keepdims=True), 1e-30)
        source = nearest.take(ids) - around
        flat[at] = np.stack([np.einsum("nk,nk->n", weight, p.take(source)) for p in planes], 1)

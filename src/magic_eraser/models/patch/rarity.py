"""Offsets that the picture itself repeats by are cheap, others dear.

He & Sun 2012, "Statistics of Patch Offsets for Image Completion": similar patches of a photograph lie at few dominant
offsets. Here they do not become labels of a graph cut; they only cost less, which copies larger pieces whole.
The table also carries what an offset costs for being short (`prior.NEAR`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from magic_eraser.models.patch import prior
from magic_eraser.models.patch.pyramid import Level
from magic_eraser.models.patch.windows import AREA, Floats, Positions, patches_at, windows

WEIGHT = 50.0  # 200 leaves hard seams
SAMPLES, OTHERS = 2000, 5000
NUMBERS = 24
LEAST_SIDE = 100
PEAKS = 60


@dataclass(frozen=True, slots=True)
class Rarity:
    """Histogram-made cost of offsets, at the level it was learned from.

    Attributes:
        cost: float32 (2 h, 2 w), 0..WEIGHT + prior.NEAR, offset (dy, dx) at [h + dy, w + dx]; None where
            nothing was learned.
        side: longer side of that level.
        peaks: (k, 2) most frequent offsets (dy, dx) there.
    """

    cost: Floats | None
    side: int
    peaks: Positions

    def table(self, level: Level) -> Floats | None:
        """Cost by flat offset, for a level of any size; see `positions`."""
        if self.cost is None:
            return None
        height, width = level.features.shape[:2]
        scale = self.side / level.side
        h, w = self.cost.shape[0] // 2, self.cost.shape[1] // 2
        to_learned = np.array([[scale, 0, w - scale * width], [0, scale, h - scale * height]], np.float64)
        enlarged = cv2.warpAffine(
            self.cost,
            to_learned,
            (2 * width, 2 * height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=WEIGHT,
        )
        return np.asarray(enlarged, np.float32).ravel()

    def positions(self, level: Level) -> Positions:
        """Flat positions (N,) in a picture twice as wide: their differences tell (dy, dx) without ambiguity."""
        height, width = level.features.shape[:2]
        wide: Positions = np.arange(height)[:, None] * (2 * width) + np.arange(width)[None, :]
        return wide.ravel()

    def offsets(self, level: Level) -> Positions:
        """The most frequent offsets (k, 2) in this level's pixels."""
        scaled: Positions = np.rint(self.peaks * (level.side / self.side)).astype(np.intp)
        return scaled


NOTHING_LEARNED = Rarity(cost=None, side=1, peaks=np.empty((0, 2), np.intp))


def learn(level: Level, rng: np.random.Generator) -> Rarity:
    """Find how similar source patches of this level lie to each other.

    Args:
        level: the coarsest of at least LEAST_SIDE pixels; others are too small or too slow.
    """
    at = level.source_at()
    if level.side < LEAST_SIDE or len(at) < OTHERS // 10:
        return NOTHING_LEARNED
    here = rng.choice(at, min(SAMPLES, len(at)), replace=False)
    there = rng.choice(at, min(OTHERS, len(at)), replace=False)
    offsets = _nearest_offsets(level, here, there)
    if not len(offsets):
        return NOTHING_LEARNED
    height, width = level.features.shape[:2]
    counts = np.zeros((2 * height, 2 * width), np.float32)
    both = np.concatenate([offsets, -offsets])  # symmetric: what repeats leftwards repeats rightwards
    np.add.at(counts, (height + both[:, 0], width + both[:, 1]), 1.0)
    counts = cv2.GaussianBlur(counts, (0, 0), 1.4)
    summits = np.flatnonzero((counts >= cv2.dilate(counts, np.ones((3, 3), np.uint8))) & (counts > 1e-4))
    summits = summits[np.argsort(-counts.ravel()[summits], kind="stable")]
    level_of_full = counts.ravel()[summits[min(20, len(summits)) - 1]]
    cost = WEIGHT * (1.0 - np.minimum(counts / level_of_full, 1.0))
    down, across = np.mgrid[-height:height, -width:width]
    cost += prior.NEAR * np.clip(1.0 - np.hypot(down, across) / (level.side * prior.NEAR_SHARE), 0.0, 1.0)
    y, x = np.divmod(summits[:PEAKS], 2 * width)
    return Rarity(cost=cost.astype(np.float32), side=level.side, peaks=np.stack([y - height, x - width], 1))


def _nearest_offsets(level: Level, here: Positions, there: Positions) -> Positions:
    """(dy, dx) rows from each patch of `here` to the most similar one of `there` that is not next to it."""
    stride = level.stride
    view = windows(level.features)
    others = patches_at(view, there, stride)
    mean = others.mean(0)
    others = others - mean
    _, axes = np.linalg.eigh(others[:2000].T @ others[:2000])
    basis = axes[:, -NUMBERS:] / np.float32(np.sqrt(AREA))
    ours, theirs = (patches_at(view, here, stride) - mean) @ basis, others @ basis
    norms = np.einsum("nk,nk->n", theirs, theirs)
    (y, x), (v, u) = (np.divmod(p, stride) for p in (here, there))
    near = (level.side / 15.0) ** 2
    found = np.empty(len(here), np.intp)
    v32, u32, y32, x32 = (a.astype(np.float32) for a in (v, u, y, x))
    for start in range(0, len(here), 500):
        part = slice(start, start + 500)
        price = (-2.0 * ours[part]) @ theirs.T
        price += norms
        far = (v32 - y32[part, None]) ** 2
        far += (u32 - x32[part, None]) ** 2
        price[far < near] = np.inf
        found[part] = price.argmin(1)
    return np.stack([v[found] - y, u[found] - x], 1)

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
from magic_eraser.models.patch.components import bases, project
from magic_eraser.models.patch.parallel import Crew, pieces
from magic_eraser.models.patch.pyramid import Level
from magic_eraser.models.patch.windows import Floats, Positions, patches_at, windows

WEIGHT = 50.0  # 200 leaves hard seams
SAMPLES, OTHERS = 2000, 5000
NUMBERS, OF_ROW = 24, 12
LEARNED_FROM = 2000
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

    def table(self, level: Level) -> Floats:
        """What an offset costs, position prior included, by its flat index in (2 H, 2 W) with none at [H, W]."""
        height, width = level.features.shape[:2]
        if self.cost is None:
            table = np.zeros((2 * height, 2 * width), np.float32)
        else:
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
            table = np.asarray(enlarged, np.float32)
        down, across = (np.arange(-n, n, dtype=np.float32) / np.float32(level.side) for n in (height, width))
        table += np.float32(prior.DOWN) * down[:, None] ** 2
        table += np.float32(prior.ACROSS) * across**2
        return table.ravel()

    def offsets(self, level: Level) -> Positions:
        """The most frequent offsets (k, 2) in this level's pixels."""
        scaled: Positions = np.rint(self.peaks * (level.side / self.side)).astype(np.intp)
        return scaled


NOTHING_LEARNED = Rarity(cost=None, side=1, peaks=np.empty((0, 2), np.intp))


def learn(level: Level, rng: np.random.Generator, crew: Crew) -> Rarity:
    """Find how similar source patches of this level lie to each other.

    Args:
        level: the coarsest of at least LEAST_SIDE pixels; others are too small or too slow.
    """
    at = level.source_at()
    if level.side < LEAST_SIDE or len(at) < OTHERS // 10:
        return NOTHING_LEARNED
    here = np.sort(rng.choice(at, min(SAMPLES, len(at)), replace=False))
    there = np.sort(rng.choice(at, min(OTHERS, len(at)), replace=False))
    offsets = _nearest_offsets(level, here, there, crew)
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


def _nearest_offsets(level: Level, here: Positions, there: Positions, crew: Crew) -> Positions:
    """(dy, dx) rows from each patch of `here` to the most similar one of `there` that is not next to it."""
    stride = level.stride
    view = windows(level.features)
    others = patches_at(view, there, stride)
    basis = bases(others[:: 1 + len(others) // LEARNED_FROM], NUMBERS, OF_ROW)
    mean = others.mean(0)
    ours, theirs = (project(p - mean, *basis) for p in (patches_at(view, here, stride), others))
    norms = np.einsum("nk,nk->n", theirs, theirs)
    (y, x), (v, u) = (np.divmod(p, stride) for p in (here, there))
    y32, x32, v32, u32 = (p.astype(np.float32) for p in (y, x, v, u))
    near = level.side / 15.0
    found = np.empty(len(here), np.intp)

    def search(part: slice) -> None:
        price = (-2.0 * ours[part]) @ theirs.T
        price += norms
        low, high = np.searchsorted(v32, (y32[part.start] - near, y32[part.stop - 1] + near))
        beside = slice(int(low), int(high))  # both in order of rows: others are too far above or below
        far = (v32[beside] - y32[part, None]) ** 2
        far += (u32[beside] - x32[part, None]) ** 2
        price[:, beside][far < near**2] = np.inf
        found[part] = price.argmin(1)

    crew.each(search, pieces(len(here), 100))
    return np.stack([v[found] - y, u[found] - x], 1)

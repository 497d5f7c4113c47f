"""Coarse to fine: the fill at working size, as one source pixel for every hole pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.features import describe
from magic_eraser.models.patch.match import Matcher
from magic_eraser.models.patch.pyramid import Level, build, depth_of
from magic_eraser.models.patch.rarity import LEAST_SIDE, NOTHING_LEARNED, learn
from magic_eraser.models.patch.seams import Labels, correct
from magic_eraser.models.patch.start import peel
from magic_eraser.models.patch.vote import Ballot
from magic_eraser.models.patch.windows import PAD, Bools, Floats, Positions
from magic_eraser.models.watch import Watch

ROUNDS = (10, 6, 4, 2, 2)  # of matching and voting, coarse to fine; fewer (5, 4, 3, 2, 2) look worse
PASSES = (3, 2, 2, 1, 1)  # of PatchMatch in each round
FINEST_ROUNDS = 2
SETTLED = 0.15  # mean change of a feature at which a level is done
MOST_WORK = 420_000  # rounds x targets on one level
MANY_TARGETS = 100_000
FINEST_NUMBERS, NUMBERS = 14, 30  # PCA; 14 everywhere loses structure
FINEST_SAMPLES, SAMPLES = 1500, 3000


@dataclass(frozen=True, slots=True)
class Fill:
    """A filled picture of working size.

    Attributes:
        image: uint8 (H, W, 3).
        labels: see `Labels`.
        correction: float32 (H, W, 3), what was added to the copies.
    """

    image: NDArray[np.uint8]
    labels: Labels
    correction: Floats


def fill(image: NDArray[np.uint8], hole: Bools, rng: np.random.Generator, watch: Watch) -> Fill | None:
    """Fill the hole by patches of the picture itself.

    Args:
        image: uint8 (H, W, 3). hole: bool (H, W), some True.

    Returns:
        None where there are too few whole patches to copy from.
    """
    levels = build(describe(image, hole, 2 ** (depth_of(hole) - 1)), hole)
    if not levels:
        return None
    watch.progress(0.05)
    source = _coarse_to_fine(levels, rng, watch)
    height, width = hole.shape
    labels: Labels = np.zeros((2, height, width), np.intp)
    at = np.flatnonzero(hole)
    y, x = np.divmod(source, levels[0].stride)
    y, x = y - PAD, x - PAD
    labels[0].ravel()[at], labels[1].ravel()[at] = y - at // width, x - at % width
    correction = correct(image, hole, labels, watch)
    out = image.copy()
    out[hole] = np.clip(image[y, x] + correction[hole] + 0.5, 0, 255).astype(np.uint8)
    watch.progress(0.9)
    return Fill(out, labels, correction)


def _coarse_to_fine(levels: list[Level], rng: np.random.Generator, watch: Watch) -> Positions:
    """Source position (n,) of every hole pixel of the finest level."""
    coarsest = len(levels) - 1
    learned_at = max((i for i, level in enumerate(levels) if level.side >= LEAST_SIDE), default=-1)
    rarity = learn(levels[learned_at], rng) if learned_at >= 0 else NOTHING_LEARNED
    work = [min(r * len(lv.targets), MOST_WORK) for r, lv in zip(_rounds(coarsest), levels, strict=True)]
    below: tuple[Level, Matcher] | None = None
    for index in range(coarsest, -1, -1):
        level = levels[index]
        finest = index == 0 and coarsest > 0
        if below is None:
            peel(level, rng, watch)
            start = None
        else:
            start = _take_up(level, *below)
            _paint_from(level, start)
        numbers, samples = (FINEST_NUMBERS, FINEST_SAMPLES) if finest else (NUMBERS, SAMPLES)
        matcher = Matcher(level, rarity, numbers, samples, rng, watch)
        if start is None:
            matcher.exhaust()
        else:
            matcher.assign(start)
        ballot = Ballot(level, watch)
        ballot.count(matcher)
        matcher.look()
        if not finest:
            matcher.offer_offsets(rarity.offsets(level))
        _settle(level, matcher, ballot, coarsest - index, finest)
        below = (level, matcher)
        watch.progress(0.05 + 0.8 * sum(work[index:]) / sum(work))
    return ballot.elect(matcher)


def _rounds(coarsest: int) -> list[int]:
    return [ROUNDS[min(coarsest - index, len(ROUNDS) - 1)] for index in range(coarsest + 1)]


def _settle(level: Level, matcher: Matcher, ballot: Ballot, step: int, finest: bool) -> None:
    """Match and vote until the picture stands still or the work allowed is used up."""
    count = len(level.targets)
    rounds = FINEST_ROUNDS if finest else ROUNDS[min(step, len(ROUNDS) - 1)]
    passes = 1 if count > MANY_TARGETS else PASSES[min(step, len(PASSES) - 1)]
    for _ in range(max(1, min(rounds, MOST_WORK // count))):
        for _ in range(passes):
            matcher.sweep(thin_search=finest)
        change = ballot.count(matcher)
        matcher.look()
        if change < SETTLED:
            return


def _take_up(level: Level, coarse: Level, matcher: Matcher) -> Positions:
    """Source positions (T,) from the coarser level's offsets, twice as long; to the nearest source where invalid."""
    height, width = level.hole.shape
    cy, cx = np.divmod(coarse.targets, coarse.stride)
    sy, sx = np.divmod(matcher.nearest[:-1], coarse.stride)
    nearest_target = _nearest_of(coarse.targets, coarse)
    ty, tx = np.divmod(level.targets, level.stride)
    parent = ((ty - PAD) // 2 + PAD) * coarse.stride + (tx - PAD) // 2 + PAD
    number = coarse.number[nearest_target[parent]]
    y = ty + 2 * (sy - cy)[number]
    x = tx + 2 * (sx - cx)[number]
    y, x = np.clip(y, PAD, PAD + height - 1), np.clip(x, PAD, PAD + width - 1)
    start: Positions = _nearest_of(level.source_at(), level)[y * level.stride + x]
    return start


def _nearest_of(at: Positions, level: Level) -> Positions:
    """For each position (N,) of the padded picture the nearest one of `at`."""
    shape = level.features.shape[:2]
    others = np.ones(shape, np.uint8)
    others.ravel()[at] = 0
    _, cells = cv2.distanceTransformWithLabels(others, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_cell = np.zeros(int(cells.max()) + 1, np.intp)
    of_cell[cells.ravel()[at]] = at
    found: Positions = of_cell[cells.ravel()]
    return found


def _paint_from(level: Level, start: Positions) -> None:
    """First colours of the hole: what the patch centred on each pixel copies."""
    number = level.number[level.hole_at]
    flat = level.features.reshape(-1, level.features.shape[2])
    flat[level.hole_at] = flat[start[number]]
    level.extend_border()

"""Coarse to fine: the fill at working size, as one source pixel for every hole pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.bands import lay, soften
from magic_eraser.models.patch.contours import trace
from magic_eraser.models.patch.features import describe
from magic_eraser.models.patch.guide import predict
from magic_eraser.models.patch.joins import Curve, join
from magic_eraser.models.patch.match import Matcher
from magic_eraser.models.patch.parallel import Crew
from magic_eraser.models.patch.project import Projector
from magic_eraser.models.patch.pyramid import Level, build, depth_of
from magic_eraser.models.patch.rarity import LEAST_SIDE, NOTHING_LEARNED, learn
from magic_eraser.models.patch.seams import Labels, correct
from magic_eraser.models.patch.start import peel
from magic_eraser.models.patch.vote import Ballot
from magic_eraser.models.patch.windows import PAD, Bools, Floats, Positions
from magic_eraser.models.watch import Watch

PASSES = (3, 2, 2, 1, 1)  # of PatchMatch in each round
SETTLED = 0.15  # mean change of a feature at which a level is done
MANY_TARGETS = 100_000
FINEST_NUMBERS, NUMBERS = 16, 32  # PCA; 14 everywhere loses structure
OF_ROW = 16  # of each row of a patch; 12: SWD 1 % worse, 8: stripes out of phase, all 35: a third more time
FINEST_SAMPLES, SAMPLES = 1500, 3000


@dataclass(frozen=True, slots=True)
class Work:
    """How much a fill may do.

    Attributes:
        rounds: of matching and voting, coarse to fine, the last for all finer ones too.
        finest: rounds of the finest level.
        most: rounds x targets on one level.
        rough: take up a coarser level's labels as they are once `Watch.hurry` says so.
    """

    rounds: tuple[int, ...] = (10, 6, 4, 2, 2)  # fewer (5, 4, 3, 2, 2) look worse
    finest: int = 2
    most: int = 420_000
    rough: bool = False

    def rounds_at(self, step: int, finest: bool) -> int:
        """Rounds of the level that is `step` above the coarsest."""
        return self.finest if finest else self.rounds[min(step, len(self.rounds) - 1)]


USUAL = Work()


@dataclass(frozen=True, slots=True)
class Fill:
    """What was found for a hole.

    Attributes:
        labels: see `Labels`; every copied pixel is known.
        laid: bool (H, W), the strips along continued contours.
        exact: float32 (2, H, W), their labels before rounding.
        open_edges: curves that are to be smoothed along, see `bands`.
    """

    labels: Labels
    laid: Bools
    exact: Floats
    open_edges: list[Curve]


def fill(
    image: NDArray[np.uint8],
    hole: Bools,
    rng: np.random.Generator,
    watch: Watch,
    threads: int = 1,
    work: Work = USUAL,
) -> Fill | None:
    """Fill the hole by pieces of the picture itself: strips along continued contours, then patches.

    Args:
        image: uint8 (H, W, 3). hole: bool (H, W), some True.
        threads: cores to use, >= 1; the result does not depend on it.
        work: how much to do.

    Returns:
        None where there are too few whole patches to copy from.
    """
    curves = join(trace(image, hole), hole)
    watch.check()
    bands = lay(image, hole, curves)
    labels = bands.labels
    rest = hole & ~bands.laid
    if rest.any():
        with Crew(threads, watch) as crew:
            found = _by_patches(_copied(image, bands.laid, labels), rest, curves, rng, crew, work)
        if found is None:
            return None
        # what is copied from a strip is copied from where the strip comes from
        labels[:, rest] = found + labels[(slice(None), *(np.stack(np.nonzero(rest)) + found))]
    watch.progress(0.86)
    return Fill(labels, bands.laid, bands.exact, bands.open_edges)


def finish(
    image: NDArray[np.uint8], hole: Bools, labels: Labels, open_edges: list[Curve], watch: Watch
) -> Floats:
    """What to add to the copies: float32 (H, W, 3), levels of 0..255; zero outside the hole.

    Args:
        image: uint8 (H, W, 3). hole: bool (H, W).
        labels, open_edges: as in `Fill`.
    """
    correction = correct(image, hole, labels, watch)
    if open_edges:
        filled = _copied(image, hole, labels).astype(np.float32) + correction
        correction += soften(filled, hole, open_edges) - filled
    return correction


def _copied(image: NDArray[np.uint8], where: Bools, labels: Labels) -> NDArray[np.uint8]:
    out = image.copy()
    y, x = np.nonzero(where)
    out[where] = image[y + labels[0][where], x + labels[1][where]]
    return out


def _by_patches(
    image: NDArray[np.uint8],
    hole: Bools,
    curves: list[Curve],
    rng: np.random.Generator,
    crew: Crew,
    work: Work,
) -> Positions | None:
    """Offsets (2, n) of the hole's pixels; None where there are too few whole patches."""
    features = describe(image, hole, 2 ** (depth_of(hole) - 1))
    crew.watch.check()
    levels = build(features, hole)
    del features
    if not levels:
        return None
    crew.watch.progress(0.05)
    source = _coarse_to_fine(levels, curves, rng, crew, work)
    y, x = np.divmod(source, levels[0].stride)
    found: Positions = np.stack([y - PAD, x - PAD]) - np.stack(np.nonzero(hole))
    return found


def _coarse_to_fine(
    levels: list[Level], curves: list[Curve], rng: np.random.Generator, crew: Crew, work: Work
) -> Positions:
    """Source position (n,) of every hole pixel of the finest level."""
    coarsest = len(levels) - 1
    learned_at = max((i for i, level in enumerate(levels) if level.side >= LEAST_SIDE), default=-1)
    rarity = learn(levels[learned_at], rng, crew) if learned_at >= 0 else NOTHING_LEARNED
    loads = [
        min(work.rounds_at(coarsest - i, finest=i == 0) * len(level.targets), work.most)
        for i, level in enumerate(levels)
    ]
    guide = predict(levels, curves, crew.watch)
    offsets: Positions | None = None
    for index in range(coarsest, -1, -1):
        level = levels[index]
        finest = index == 0 and coarsest > 0
        if offsets is None:
            peel(level, guide, rng, crew)
            start = None
        else:
            start = _take_up(level, levels.pop(), offsets)
            if work.rough and crew.watch.hurry():
                crew.watch.mark_rough()
                offsets = start
                continue
            _paint_from(level, start)
        numbers, samples = (FINEST_NUMBERS, FINEST_SAMPLES) if finest else (NUMBERS, SAMPLES)
        projector = Projector(level, numbers, OF_ROW, samples, rng, crew, guide if index else None)
        matcher = Matcher(level, rarity, projector, rng, crew)
        if start is None:
            matcher.exhaust()
        else:
            matcher.assign(start)
        ballot = Ballot(level, crew)
        ballot.count(matcher)
        matcher.look()
        if not finest:
            matcher.offer_offsets(rarity.offsets(level))
        _settle(matcher, ballot, work, coarsest - index, finest, crew.watch)
        offsets = matcher.nearest[:-1]
        crew.watch.progress(0.05 + 0.8 * sum(loads[index:]) / sum(loads))
        if index == 0:
            return ballot.elect(matcher)
    # late: each pixel copies what the patch round it does
    assert offsets is not None  # the coarsest level is never skipped
    return offsets[levels[0].number[levels[0].hole_at]]


def _settle(matcher: Matcher, ballot: Ballot, work: Work, step: int, finest: bool, watch: Watch) -> None:
    """Match and vote until the picture stands still or the work allowed is used up."""
    count = len(matcher.nearest) - 1
    passes = 1 if count > MANY_TARGETS else PASSES[min(step, len(PASSES) - 1)]
    for _ in range(max(1, min(work.rounds_at(step, finest), work.most // count))):
        if work.rough and watch.hurry():
            watch.mark_rough()
            return
        for _ in range(passes):
            matcher.sweep(thin_search=finest)
        change = ballot.count(matcher)
        matcher.look()
        if change < SETTLED:
            return


def _take_up(level: Level, coarse: Level, nearest: Positions) -> Positions:
    """Source positions (T,) from those of the coarser level, offsets twice as long; to a source where invalid."""
    height, width = level.hole.shape
    cy, cx = np.divmod(coarse.targets, coarse.stride)
    sy, sx = np.divmod(nearest, coarse.stride)
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

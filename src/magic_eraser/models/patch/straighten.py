"""Pieces of a fill moved and bent until the lines that cross their seams go on.

Inside a piece every patch fits exactly, wherever the piece was taken from, so patch by patch nothing tells that a wire
or a horizon enters it too high. At working size such jumps are 1 to 8 pixels, and at full size 5 to 40. Here they are
measured at the seams; pieces are moved as they are, so that straight things stay straight, and what remains is spread
over them as a membrane: a jump is seen at once, a bend hardly. After Jia and Tang 2008, "Image Stitching Using
Structure Deformation".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from magic_eraser.models.inpainter import Pixels
from magic_eraser.models.patch.jumps import (
    MOST_POINTS,
    STEEP,
    Probe,
    Seams,
    pairs,
    seams_along,
    slopes,
    slopes_of,
)
from magic_eraser.models.patch.seams import Labels
from magic_eraser.models.patch.shrink import Small
from magic_eraser.models.patch.solve import System, solve
from magic_eraser.models.patch.tidy import pieces_of
from magic_eraser.models.patch.windows import Bools, Floats
from magic_eraser.models.watch import Watch

REACH = 8  # pixels of working size by which a line may jump
FINE_STEP, FINE_REACH = (
    2.6,
    8,
)  # samples of full size to a pixel of working size, and by which lines may still jump
LONGEST_SIDE = 32_000  # `cv2.remap` takes no larger picture
HELD, LOOSE = 30.0, 0.02  # weight of a seam where a line was found, and elsewhere; within pieces it is 1
SCREENING = 1e-4
PULL = 0.1  # of a piece towards where it is
MOST_PIECES, LEAST_PIECE = 1000, 8  # moved at most; pixels from which on
LEAST_HELD = 3  # such seams round a piece, or it stays
FARTHEST = 6.0  # pixels of working size by which a piece is moved at most; further, strays came to light


@dataclass(frozen=True, slots=True)
class Strips:
    """What was copied along contours that go on through the hole.

    Attributes:
        laid: bool (h, w). exact: float32 (2, h, w), their labels before rounding, zero elsewhere.
    """

    laid: Bools
    exact: Floats


@dataclass(frozen=True, slots=True)
class _Ties:
    """What seams ask for: weights (n,), and the step from p's shift to q's times the weight, (2, n)."""

    seams: Seams
    weight: Floats
    wanted: Floats


def straighten(
    small: Small, labels: Labels, strips: Strips, image: Pixels, hole: Bools, watch: Watch
) -> tuple[Labels, Floats]:
    """Shift labels so that lines meet.

    Args:
        small: the picture at working size. labels: of it, see `Labels`.
        strips: along continued contours; they hold together however their labels turn.
        image: uint8 or uint16 (H, W, C). hole: bool (H, W).
        watch: checked between steps.

    Returns:
        The labels, moved by whole pixels of working size, of which every copied pixel is known; and float32 (2, h, w),
        rows and columns from each full-size pixel to what it copies, in full-size pixels.
    """
    field = _Field(small, labels, strips)
    coarse = Probe(small.image, small.hole, (1.0, 1.0), 1.0, REACH)
    shift = field.as_pieces(field.ties(coarse, np.zeros(labels.shape, np.float32), watch))
    factors = np.array(small.scale, np.float32)[:, None, None]
    if max(hole.shape) <= LONGEST_SIDE:
        shift = shift * factors
        fine = Probe(image, hole, small.scale, max(1.0, max(small.scale) / FINE_STEP), FINE_REACH)
        shift += field.as_membrane(field.ties(fine, shift, watch), watch)
        shift /= factors
    offsets = (field.exact + shift) * factors
    return _moved(labels, shift, small.hole), np.asarray(offsets, np.float32)


class _Field:
    """A shift of every pixel of a fill."""

    def __init__(self, small: Small, labels: Labels, strips: Strips) -> None:
        self._hole = small.hole
        self.exact = np.where(strips.laid, strips.exact, labels).astype(np.float32)
        self._pieces = pieces_of(small.hole, labels, strips.laid)
        slope = slopes(small.image, small.hole)
        self._seams = [seams_along(axis, small.hole, labels, strips.laid) for axis in (0, 1)]
        self._slopes = [slopes_of(seams, labels, slope) for seams in self._seams]

    def ties(self, probe: Probe, shift: Floats, watch: Watch) -> list[_Ties]:
        """Measured after `shift` (2, h, w), in the probe's pixels."""
        offsets = self.exact * np.array(probe.scale, np.float32)[:, None, None] + shift
        steep = [np.maximum(np.hypot(*of_p), np.hypot(*of_q)) for of_p, of_q in self._slopes]
        every = np.concatenate(steep)
        limit = STEEP
        if every.size > MOST_POINTS:
            limit = max(STEEP, float(np.partition(every, -MOST_POINTS)[-MOST_POINTS]))
        ties = []
        for seams, slope, strength in zip(self._seams, self._slopes, steep, strict=True):
            watch.check()
            weight = np.full(len(strength), LOOSE, np.float32)
            wanted = np.zeros((2, len(strength)), np.float32)
            at = np.flatnonzero(strength >= limit)
            jump, found = probe.jumps(seams.some(at), (slope[0][:, at], slope[1][:, at]), offsets)
            weight[at[found]] = HELD
            wanted[:, at[found]] = HELD * jump[:, found]
            ties.append(_Ties(seams, weight, wanted))
        watch.check()
        return ties

    def as_pieces(self, ties: list[_Ties]) -> Floats:
        """Each piece moved as a whole, by least squares: float32 (2, h, w)."""
        sizes = np.bincount(self._pieces.ravel())
        sizes[0] = 0
        largest = np.argsort(-sizes, kind="stable")[:MOST_PIECES]
        largest = largest[sizes[largest] >= LEAST_PIECE]
        count = len(largest) + 1
        index = np.full(len(sizes), -1, np.intp)
        index[largest] = np.arange(1, count)
        index[0] = 0
        matrix, right = np.zeros(count * count), np.zeros((count, 2))
        for tie in ties:
            p, q = (index[self._pieces[end]] for end in tie.seams.ends())
            held = (p >= 0) & (q >= 0) & (p != q) & (tie.weight > LOOSE)
            p, q, weight, wanted = p[held], q[held], tie.weight[held], tie.wanted[:, held]
            for a, b, sign in ((p, p, 1), (q, q, 1), (p, q, -1), (q, p, -1)):
                matrix += sign * np.bincount(a * count + b, weight, count * count)
            for k in (0, 1):
                right[:, k] += np.bincount(q, wanted[k], count) - np.bincount(p, wanted[k], count)
        square = matrix.reshape(count, count)[1:, 1:]
        few = square.diagonal() < LEAST_HELD * HELD
        square[np.diag_indices(count - 1)] += PULL
        moves = np.linalg.solve(square, right[1:])
        moves[few | (np.hypot(*moves.T) > FARTHEST)] = 0.0
        moved = np.zeros((len(sizes), 2), np.float32)
        moved[largest] = moves
        return np.moveaxis(moved[self._pieces], -1, 0)

    def as_membrane(self, ties: list[_Ties], watch: Watch) -> Floats:
        """Each pixel shifted much as its neighbours are: float32 (2, h, w)."""
        right = np.zeros((2, *self._hole.shape), np.float32)
        mass = np.where(self._hole, np.float32(SCREENING), np.float32(0))
        weights = []
        for tie in ties:
            first, second = pairs(tie.seams.axis)
            weight = (self._hole[first] | self._hole[second]).astype(np.float32)
            wanted = np.zeros((2, *weight.shape), np.float32)
            weight[tie.seams.y, tie.seams.x] = tie.weight
            wanted[:, tie.seams.y, tie.seams.x] = tie.wanted
            right[(slice(None), *first)] -= wanted
            right[(slice(None), *second)] += wanted
            both = self._hole[first] & self._hole[second]
            mass[first] += weight * (self._hole[first] & ~both)
            mass[second] += weight * (self._hole[second] & ~both)
            weights.append(weight * both)
        right *= self._hole
        return solve(System(weights[0], weights[1], mass, right), watch)


def _moved(labels: Labels, shift: Floats, hole: Bools) -> Labels:
    """Labels moved by whole pixels, where what they copy then is known."""
    y, x = np.nonzero(hole)
    step = np.rint(shift[:, y, x]).astype(np.int32)
    v, u = y + labels[0][y, x] + step[0], x + labels[1][y, x] + step[1]
    inside = (v >= 0) & (v < hole.shape[0]) & (u >= 0) & (u < hole.shape[1])
    fine = inside & ~hole[np.where(inside, v, 0), np.where(inside, u, 0)]
    out = labels.copy()
    out[:, y[fine], x[fine]] += step[:, fine]
    return out

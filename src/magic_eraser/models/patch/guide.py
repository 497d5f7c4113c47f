"""What the hole's low frequencies ought to be, by majority of what stands round it.

Patches know the border of what they copy, not the whole: tiles from the end of a path ran down its plain middle (photo
20), bare ground climbed into a forest (photo 18). So kinds of surroundings diffuse into the hole, along the horizon
more than across it, and where one kind has a clear majority, patches of other colours become dear.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from magic_eraser.models.patch.joins import Curve
from magic_eraser.models.patch.pyramid import Level
from magic_eraser.models.patch.seams import box_of
from magic_eraser.models.patch.solve import System, solve
from magic_eraser.models.patch.windows import PAD, REACH, SIDE, Bools, Floats, Positions
from magic_eraser.models.watch import Watch

ACROSS = 16.0  # conductance along the horizon over that across it; at 9 the ground of photo 18 still climbs
BLUR = 5  # px of the mean round a pixel beside the hole
SAME = 300.0  # squared feature difference from which a kind is new
MOST_KINDS = 12
KERNEL = 1000.0  # kinds nearer than this (2 h^2) count for each other
ROUGH = 400.0  # variance of features at which a pixel's word counts half: photos 8, 10 and 16 are left alone
MAJORITY, CLEAR = 0.5, 0.8  # share of the surroundings at which trust begins and is complete
MOST_HOLE = 1500  # hole pixels of the level where the guide is made
PULL = 0.5  # share of the guide in the mean that a patch is looked for by; 0.8 is softer
START = (
    0.3  # weight of a guessed pixel over a known one in the first fill; 0 lets the ground in, 0.5 is softer
)
OUTWARDS = 6.0  # px that a curve's barrier goes on beyond its ends


@dataclass(frozen=True, slots=True)
class Guide:
    """Expected features and how sure they are, of one level; read at any.

    Attributes:
        mean: float32 (H, W, 5). trust: float32 (H, W), 0..1, zero outside the hole.
    """

    mean: Floats
    trust: Floats

    def at(self, level: Level) -> tuple[Floats, Floats]:
        """`mean` (the level's own features where known) and `trust` of another level."""
        height, width = level.hole.shape
        way = cv2.INTER_AREA if self.trust.shape[0] > height else cv2.INTER_LINEAR
        planes = [
            cv2.resize(plane, (width, height), interpolation=way)
            for plane in (*np.ascontiguousarray(np.moveaxis(self.mean, -1, 0)), self.trust)
        ]
        mean = np.where(level.hole[..., None], np.stack(planes[:-1], -1), level.features[PAD:-PAD, PAD:-PAD])
        return np.asarray(mean, np.float32), np.asarray(planes[-1] * level.hole, np.float32)


class Pull:
    """Moves the mean of target patches towards the guide before they are compared.

    Args:
        constant: float32 (5, k), the numbers of a patch that is 1 everywhere in one channel and 0 in the others.
    """

    def __init__(self, guide: Guide, level: Level, constant: Floats) -> None:
        self._level = level
        mean, trust = guide.at(level)
        self._wanted = _means_at_targets(mean, level)
        # cubed: near the hole's edge, where patches are partly known, the guide should be quiet
        self._share = PULL * _means_at_targets(trust, level)[:, None] ** 3
        self._constant = constant

    def rows(self) -> Floats:
        """What to add to the projections (T, k) of all targets, for the hole as it is painted now."""
        level = self._level
        top, last = int(level.targets[0]) // level.stride, int(level.targets[-1]) // level.stride
        band = level.features[top - REACH : last + REACH + 1]
        now = np.asarray(cv2.blur(band, (SIDE, SIDE)), np.float32).reshape(-1, band.shape[2])
        shift = (self._wanted - now[level.targets - (top - REACH) * level.stride]) * self._share
        return np.asarray(shift @ self._constant, np.float32)


def _means_at_targets(plane: Floats, level: Level) -> Floats:
    padded = cv2.copyMakeBorder(cv2.blur(plane, (SIDE, SIDE)), PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE)
    values = np.asarray(padded, np.float32).reshape(-1, *plane.shape[2:])
    return values[level.targets]


def predict(levels: list[Level], curves: list[Curve], watch: Watch) -> Guide:
    """The guide of a hole.

    Args:
        levels: its pyramid, finest first.
        curves: in pixels of the finest level; nothing diffuses through them.
    """
    level = next((lv for lv in levels if len(lv.hole_at) <= MOST_HOLE), levels[-1])
    features, hole = level.features[PAD:-PAD, PAD:-PAD], level.hole
    ring = (cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~hole
    at = np.argwhere(ring)
    colours, calm = _surroundings(features, hole, at)
    down = np.ones((hole.shape[0] - 1, hole.shape[1]), np.float32)
    across = np.full((hole.shape[0], hole.shape[1] - 1), ACROSS, np.float32)
    for curve in curves:
        scale = level.side / levels[0].side
        _take_sides(curve, scale, at, colours, calm)
        _cut(down, across, curve, scale)
    kinds = _kinds(colours)
    kind = ((colours[:, None] - kinds) ** 2).sum(2).argmin(1)
    votes = np.zeros((len(kinds), *hole.shape), np.float32)
    votes[kind, at[:, 0], at[:, 1]] = calm
    votes = _diffuse(votes, hole, down, across, watch)
    likeness = np.exp(-((kinds[:, None] - kinds) ** 2).sum(2) / KERNEL).astype(np.float32)
    winner = np.einsum("kj,jhw->khw", likeness, votes).argmax(0)
    votes *= np.moveaxis(likeness[winner], -1, 0)
    total = votes.sum(0)
    mean = np.einsum("khw,kc->hwc", votes, kinds) / np.maximum(total, 1e-6)[..., None]
    trust = np.clip((total - MAJORITY) / (CLEAR - MAJORITY), 0.0, 1.0) * hole
    return Guide(np.where(hole[..., None], mean, features).astype(np.float32), trust.astype(np.float32))


def _surroundings(features: Floats, hole: Bools, at: Positions) -> tuple[Floats, Floats]:
    """Mean features (n, 5) round the pixels `at`, and how uniform it is there (n,), 0..1."""
    known = (~hole).astype(np.float32)
    share = np.maximum(cv2.blur(known, (BLUR, BLUR)), 1e-6)[..., None]
    mean, squares = (
        (cv2.blur(f * known[..., None], (BLUR, BLUR)) / share)[at[:, 0], at[:, 1]]
        for f in (features, features**2)
    )
    variance = np.maximum((squares - mean**2).sum(1), 0.0)
    return np.asarray(mean, np.float32), np.asarray(1.0 / (1.0 + (variance / ROUGH) ** 2), np.float32)


def _take_sides(curve: Curve, scale: float, at: Positions, colours: Floats, calm: Floats) -> None:
    """Beside a curve's ends the colour is that of one side, not a mixture; between them its strip is not asked."""
    line = (curve.points + 0.5) * scale - 0.5
    beside = ((at[:, None] - line) ** 2).sum(2).min(1) < 1.5**2
    calm[beside] = 0.0
    for track in (curve.first, curve.second):
        step = at - ((track.point + 0.5) * scale - 0.5)
        close = np.hypot(step[:, 0], step[:, 1]) < 3.5
        to_left = step[:, 1] * track.into[0] - step[:, 0] * track.into[1] > 0
        colours[close, :3] = 2.0 * np.where(to_left[close, None], track.left, track.right)
        calm[close] = 1.0


def _cut(down: Floats, across: Floats, curve: Curve, scale: float) -> None:
    """Let nothing through between neighbours on two sides of the curve."""
    ends = [t.point - OUTWARDS * t.into for t in (curve.first, curve.second)]
    points = (np.concatenate([ends[:1], curve.points, ends[1:]]) + 0.5) * scale - 0.5
    fine = np.linspace(0, len(points) - 1, 20 * len(points))
    y, x = (np.interp(fine, np.arange(len(points)), points[:, i]) for i in (0, 1))
    rows, columns = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    for edge, moving, other in ((down, columns, rows), (across, rows, columns)):
        crossed = np.flatnonzero(np.diff(moving))
        line, place = np.maximum(moving[crossed], moving[crossed + 1]), other[crossed]
        row, column = (place, line) if edge is down else (line, place)
        good = (row >= 0) & (row < edge.shape[0]) & (column >= 0) & (column < edge.shape[1])
        edge[row[good], column[good]] = 0.0


def _kinds(colours: Floats) -> Floats:
    """Cluster centres (k, 5): farthest first, then Lloyd's steps."""
    distance = ((colours - colours.mean(0)) ** 2).sum(1)
    chosen = [int(distance.argmin())]
    distance = ((colours - colours[chosen[0]]) ** 2).sum(1)
    while len(chosen) < MOST_KINDS and distance.max() > SAME:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((colours - colours[chosen[-1]]) ** 2).sum(1))
    centres = colours[chosen]
    for _ in range(4):
        nearest = ((colours[:, None] - centres) ** 2).sum(2).argmin(1)
        count = np.bincount(nearest, minlength=len(centres))[:, None]
        sums = np.stack([np.bincount(nearest, c, len(centres)) for c in colours.T], 1)
        centres = np.where(count > 0, sums / np.maximum(count, 1), centres).astype(np.float32)
    return centres


def _diffuse(border: Floats, hole: Bools, down: Floats, across: Floats, watch: Watch) -> Floats:
    """Harmonic continuation of (K, H, W) planes into the hole by the given conductances."""
    box = box_of(hole)
    inside = hole[box]
    planes = border[(slice(None), *box)]
    mass = np.where(inside, np.float32(1e-6), np.float32(0.0))
    right = np.zeros_like(planes)
    weights = []
    before, after, every = slice(-1), slice(1, None), slice(None)
    top, left = box[0].start, box[1].start
    height, width = inside.shape
    parts = (
        down[top : top + height - 1, left : left + width],
        across[top : top + height, left : left + width - 1],
    )
    for edge, first, second in zip(
        parts, ((before, every), (every, before)), ((after, every), (every, after)), strict=True
    ):
        for mine, other in ((first, second), (second, first)):
            weight = edge * (inside[mine] & ~inside[other])
            mass[mine] += weight
            right[(every, *mine)] += weight * planes[(every, *other)]
        weights.append(edge * (inside[first] & inside[second]))
    found = solve(System(weights[0], weights[1], mass, right), watch)
    out = border.copy()
    out[(every, *box)] = np.where(inside, np.maximum(found, 0.0), planes)
    return out

"""Strips along the curves, copied from the contours outside with their turn, before patches fill the rest.

Patches cannot do this: where every edge of one slope lies under the mask (the right rim of a cup), no patch has it.
A strip is made of labels like everything else, so seams and full size treat it alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.contours import Track, left_of, read
from magic_eraser.models.patch.joins import Curve
from magic_eraser.models.patch.seams import Labels
from magic_eraser.models.patch.windows import Bools, Floats

WIDTH = 6.0  # px to either side at most
LEAST = 1.0  # px: the edge itself, where a side does not match
EDGE = 2.0  # px of slope
ALIKE, STEADY = 18.0, 14.0  # CIE Lab levels: difference between both ends, deviation along one
STEP = 0.5  # px between samples of a curve
PROFILE = 22.0  # px of track that the profile is made of
SOFT = 2.5  # px from an open edge that are averaged along it: else it shows the pixel grid as teeth
ALONG = np.arange(-8, 9, 2)  # samples
CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Bands:
    """The strips of one hole.

    Attributes:
        labels: see `Labels`; they point to known pixels; zero outside `laid`.
        laid: bool (H, W), what they cover.
        exact: float32 (2, H, W), the labels before they were rounded, for full size; zero outside `laid`.
        open_edges: curves of which one side is left to the patches.
    """

    labels: Labels
    laid: Bools
    exact: Floats
    open_edges: list[Curve]


def lay(image: NDArray[np.uint8], hole: Bools, curves: list[Curve]) -> Bands:
    """Cover the hole along the curves.

    Args:
        image: uint8 (H, W, 3), sRGB. hole: bool (H, W).
        curves: what `joins.join` found.
    """
    labels: Labels = np.zeros((2, *hole.shape), np.int32)
    exact = np.zeros((2, *hole.shape), np.float32)
    nearest = np.full(hole.shape, np.inf, np.float32)
    open_edges = []
    for curve in curves:
        reach = _reach(image, curve)
        if min(reach) <= SOFT:
            open_edges.append(curve)
        line = _Line(curve, hole, WIDTH)
        use = line.near & (line.far <= np.where(line.offset > 0, reach[0], reach[1]))
        length = STEP * (len(line.points) - 1)
        run = STEP * line.index
        first = run < length * curve.first.length / (curve.first.length + curve.second.length)
        for track, mine, way, sign in (
            (curve.first, first, run, -1.0),
            (curve.second, ~first, length - run, 1.0),
        ):
            place = _source(track, way, sign * line.offset)
            source = np.rint(place).astype(np.intp)
            inside = ((source >= 0) & (source < hole.shape)).all(1)
            y, x = np.clip(source, 0, np.array(hole.shape) - 1).T
            at = line.at[:, 0], line.at[:, 1]
            good = use & mine & inside & ~hole[y, x] & (line.far < nearest[at])
            row, column = at[0][good], at[1][good]
            nearest[row, column] = line.far[good]
            labels[0, row, column], labels[1, row, column] = y[good] - row, x[good] - column
            exact[:, row, column] = place[good].T - (row, column)
    return Bands(labels, np.isfinite(nearest), exact, open_edges)


def soften(picture: Floats, hole: Bools, curves: list[Curve]) -> Floats:
    """Average the hole's pixels along open edges, next to them.

    Args:
        picture: float32 (H, W, 3), levels. hole: bool (H, W).
        curves: the open edges.

    Returns:
        A new float32 (H, W, 3).
    """
    out = picture.copy()
    for curve in curves:
        line = _Line(curve, hole, SOFT + 1.0)
        keep = line.near & (line.far <= SOFT + 1.0)
        at, index, offset = line.at[keep], line.index[keep], line.offset[keep]
        beside = np.clip(index[:, None] + ALONG, 0, len(line.points) - 1)
        mean = read(picture, line.points[beside] + offset[:, None, None] * line.left[beside]).mean(1)
        share = np.clip(SOFT + 1.0 - np.abs(offset), 0.0, 1.0)[:, None]
        y, x = at[:, 0], at[:, 1]
        out[y, x] = (1.0 - share) * picture[y, x] + share * mean
    return out


class _Line:
    """A curve sampled every STEP px, and the hole's pixels round it in its own coordinates.

    Attributes:
        points, left: float (n, 2), samples and their left normals.
        at: (m, 2) pixels. index: (m,) nearest sample. offset: (m,) px to the left of it. far: (m,) px from it.
        near: bool (m,), False beyond the curve's ends.
    """

    def __init__(self, curve: Curve, hole: Bools, reach: float) -> None:
        self.points = _evenly(curve.points)
        self.left = left_of(_directions(self.points))
        low = np.maximum(np.floor(self.points.min(0) - reach).astype(np.intp), 0)
        high = np.ceil(self.points.max(0) + reach + 1.0).astype(np.intp)
        self.at = np.argwhere(hole[low[0] : high[0], low[1] : high[1]]) + low
        self.index = np.empty(len(self.at), np.intp)
        squares = (self.points**2).sum(1)
        for start in range(0, len(self.at), CHUNK):
            part = self.at[start : start + CHUNK].astype(np.float32)
            self.index[start : start + CHUNK] = (squares - 2.0 * part @ self.points.T).argmin(1)
        step = (self.at - self.points[self.index]).astype(np.float32)
        self.offset: Floats = (step * self.left[self.index]).sum(1)
        self.far: Floats = np.linalg.norm(step, axis=1)
        self.near = np.abs(np.abs(self.offset) - self.far) < 0.7


def _evenly(points: Floats) -> Floats:
    run = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.arange(0.0, run[-1], STEP)
    return np.stack([np.interp(at, run, points[:, i]) for i in (0, 1)], 1).astype(np.float32)


def _directions(points: Floats) -> Floats:
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    return np.asarray(along, np.float32)


def _middle(track: Track) -> Floats:
    """The track without its jitter, sampled evenly, away from the hole."""
    reach = 5
    weight = np.hanning(2 * reach + 3)[1:-1]
    ends = [
        2 * track.path[:1] - track.path[reach:0:-1],
        2 * track.path[-1:] - track.path[-2 : -reach - 2 : -1],
    ]
    padded = np.concatenate([ends[0], track.path, ends[1]])
    smooth = np.stack([np.convolve(padded[:, i], weight / weight.sum(), "valid") for i in (0, 1)], 1)
    return _evenly(smooth)


def _source(track: Track, way: Floats, offset: Floats) -> Floats:
    """Places (n, 2) `way` px along the track, there and back again, and `offset` px to the left of it."""
    points = _middle(track)
    count = len(points) - 4  # smoothing bends its far end
    index = np.rint(way / STEP).astype(np.intp) % (2 * count)
    index = np.where(index >= count, 2 * count - 1 - index, index)
    left = left_of(_directions(points))
    return np.asarray(points[index] + offset[:, None] * left[index], np.float32)


def _profile(lab: Floats, track: Track, offsets: Floats) -> tuple[Floats, Floats]:
    """Mean colour (n, 3) and largest deviation (n,) along the track, `offsets` px to its left."""
    points = _middle(track)[: round(PROFILE / STEP)]
    left = left_of(_directions(points))
    colours = read(lab, points[:, None] + offsets[:, None] * left[:, None])
    return colours.mean(0), colours.std(0).max(1)


def _reach(image: NDArray[np.uint8], curve: Curve) -> tuple[float, float]:
    """How far to the left and to the right of the curve both its ends look alike, LEAST..WIDTH px."""
    lab = np.asarray(cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB), np.float32)
    offsets = np.arange(-WIDTH, WIDTH + STEP, STEP, dtype=np.float32)
    first, spread = _profile(lab, curve.first, -offsets)
    second, other = _profile(lab, curve.second, offsets)
    good = (np.linalg.norm(first - second, axis=1) <= ALIKE) & (np.maximum(spread, other) <= STEADY)
    middle = len(offsets) // 2
    left, right = good[middle:], good[middle::-1]
    return _until_bad(left), _until_bad(right)


def _until_bad(good: Bools) -> float:
    """Reach in px from samples STEP px apart; the edge's own slope, which wavers, is not judged."""
    first = round(EDGE / STEP) + 1
    beyond = good[first:]
    reach = len(beyond) if beyond.all() else int(np.argmin(beyond))
    return LEAST if reach == 0 else EDGE + STEP * reach

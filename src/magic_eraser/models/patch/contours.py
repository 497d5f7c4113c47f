"""Contours that run into the hole, followed outwards from its edge.

The beginning of structure propagation (Sun et al. 2005, "Image Completion with Structure Propagation"), with the user's
strokes replaced by edges of the picture: `joins` says which of them go on through the hole.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.windows import Bools, Floats

AWAY = 3.0  # px from the hole where following begins: nearer, the blur mixes in the object's fringe
SIGMA = 1.2
STRONG = 3.0  # gradient that begins a track, CIE Lab levels per px; 5 misses the foam line of photo 14
WEAKER = 0.35  # share of the first gradient at which a track ends
STEEPEST = 0.3  # least cosine between a track and the way out of the hole
STRAIGHT = 0.8  # least cosine between one step and the next
LEAST_STEPS, STEPS_SHARE = 50, 0.10  # how far tracks go; shorter ones do not tell their curvature
LEAST_LENGTH, LENGTH_SHARE = 10, 0.022
MOST_STARTS = 150
CURVED_FROM = 16  # px of track below which curvature is not to be had
FITTED = 40
BESIDE = (3.0, 4.0, 5.0)  # px to either side where the colours of the sides are read
BORDER = 5


@dataclass(frozen=True, slots=True)
class Track:
    """One contour outside the hole. Points are (row, column); left and right as seen by who walks into the hole.

    Attributes:
        point: float (2,), its end near the hole. into: unit vector (2,) there, towards the hole.
        bend: curvature in 1/px, positive to the left; 0 where the track is short.
        left, right: CIE Lab (3,) beside it.
        path: float (n, 2), about 1 px apart, away from the hole.
    """

    point: Floats
    into: Floats
    bend: float
    left: Floats
    right: Floats
    path: Floats

    @property
    def length(self) -> int:
        return len(self.path) - 1


def left_of(direction: Floats) -> Floats:
    """Unit vectors (..., 2) turned a quarter to the left."""
    turned: Floats = np.stack([-direction[..., 1], direction[..., 0]], -1)
    return turned


def read(plane: Floats, at: Floats) -> Floats:
    """`plane` (H, W) or (H, W, C) between pixels, at points (n, m, 2) of rows and columns."""
    where = np.ascontiguousarray(at, np.float32)
    values = cv2.remap(plane, where[..., 1], where[..., 0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, np.float32)


class _Edges:
    """Colour gradient of the known part of a picture (Di Zenzo 1986)."""

    def __init__(self, image: NDArray[np.uint8], hole: Bools) -> None:
        known = (~hole).astype(np.float32)
        lab = cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB) * known[..., None]
        share = cv2.GaussianBlur(known, (0, 0), SIGMA)
        mean = cv2.GaussianBlur(lab, (0, 0), SIGMA) / np.maximum(share, 1e-3)[..., None]
        self.smooth: Floats = np.asarray(mean, np.float32)
        across = cv2.Sobel(self.smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
        down = cv2.Sobel(self.smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
        self._xx = np.einsum("hwc,hwc->hw", across, across)
        self._xy = np.einsum("hwc,hwc->hw", across, down)
        self._yy = np.einsum("hwc,hwc->hw", down, down)
        spread = np.sqrt((self._xx - self._yy) ** 2 + 4 * self._xy**2)
        self.size: Floats = np.sqrt(0.5 * (self._xx + self._yy + spread))
        self.away: Floats = np.asarray(cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5))

    def normals(self, at: NDArray[np.intp]) -> Floats:
        """Unit vectors (n, 2) across the edge at pixels (n, 2); their sign means nothing."""
        y, x = at[:, 0], at[:, 1]
        angle = 0.5 * np.arctan2(2 * self._xy[y, x], self._xx[y, x] - self._yy[y, x])
        return np.stack([np.sin(angle), np.cos(angle)], 1).astype(np.float32)


def trace(image: NDArray[np.uint8], hole: Bools) -> list[Track]:
    """Tracks of all contours that enter the hole.

    Args:
        image: uint8 (H, W, 3), sRGB; the hole's pixels are not looked at.
        hole: bool (H, W), some True.
    """
    side = max(hole.shape)
    steps = max(LEAST_STEPS, round(STEPS_SHARE * side))
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    margin = steps + 2 * BORDER
    top, first = max(0, int(rows[0]) - margin), max(0, int(columns[0]) - margin)
    part = (slice(top, int(rows[-1]) + margin), slice(first, int(columns[-1]) + margin))
    edges = _Edges(image[part], hole[part])
    at, into = _starts(edges)
    if not len(at):
        return []
    paths, lengths = _follow(edges, at, -into, steps)
    least = max(LEAST_LENGTH, LENGTH_SHARE * side)
    corner = np.array([top, first], np.float32)
    return [
        _track(edges, path[: length + 1], corner)
        for path, length in zip(paths, lengths, strict=True)
        if length >= least
    ]


def _starts(edges: _Edges) -> tuple[NDArray[np.intp], Floats]:
    """Pixels (n, 2) on the ring round the hole where a contour crosses it, and its direction (n, 2) inwards."""
    away = edges.away
    ring = np.abs(away - AWAY) <= 0.7
    ring[:BORDER], ring[-BORDER:], ring[:, :BORDER], ring[:, -BORDER:] = False, False, False, False
    at = np.argwhere(ring & (edges.size > STRONG))
    if not len(at):
        return at, np.empty((0, 2), np.float32)
    y, x = at[:, 0], at[:, 1]
    normal = edges.normals(at)
    size = edges.size[y, x]
    beside = read(edges.size, at[:, None] + np.array([[-1.0], [1.0]], np.float32) * normal[:, None]).max(1)
    slopes = [np.asarray(cv2.Sobel(away, cv2.CV_32F, dx, 1 - dx, ksize=5), np.float32)[y, x] for dx in (0, 1)]
    outwards = np.stack(slopes, 1)
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    into = left_of(normal)
    steep = (into * outwards).sum(1)
    into *= np.where(steep > 0, -1.0, 1.0)[:, None].astype(np.float32)
    good = np.flatnonzero((size >= beside) & (np.abs(steep) > STEEPEST))
    taken = np.zeros(away.shape, bool)
    chosen: list[int] = []
    for i in good[np.argsort(-size[good], kind="stable")]:
        if len(chosen) < MOST_STARTS and not taken[y[i], x[i]]:
            taken[y[i] - 2 : y[i] + 3, x[i] - 2 : x[i] + 3] = True
            chosen.append(int(i))
    return at[chosen], into[chosen]


def _follow(
    edges: _Edges, at: NDArray[np.intp], outwards: Floats, steps: int
) -> tuple[Floats, NDArray[np.intp]]:
    """Paths (n, steps, 2) along the crest of the gradient, all at once, and how many steps of each are good."""
    height, width = edges.size.shape
    place, ahead = at.astype(np.float32), outwards.copy()
    first = edges.size[at[:, 0], at[:, 1]]
    alive = np.ones(len(at), bool)
    length = np.zeros(len(at), np.intp)
    path = [place]
    probe = np.array([[-1.0], [0.0], [1.0]], np.float32)
    for _ in range(steps):
        side = left_of(ahead)
        low, here, high = read(edges.size, (place + ahead)[:, None] + probe * side[:, None]).T
        dip = np.minimum(low - 2 * here + high, -1e-3)
        crest = np.clip(0.5 * (low - high) / dip, -0.6, 0.6).astype(np.float32)
        there = place + ahead + crest[:, None] * side
        pixel = np.clip(np.rint(there).astype(np.intp), 0, (height - 1, width - 1))
        y, x = pixel[:, 0], pixel[:, 1]
        along = left_of(edges.normals(pixel))
        along *= np.sign((along * ahead).sum(1, keepdims=True))
        alive &= (y >= BORDER) & (y < height - BORDER) & (x >= BORDER) & (x < width - BORDER)
        alive &= (edges.away[y, x] > AWAY - 1) & ((along * ahead).sum(1) > STRAIGHT)
        alive &= edges.size[y, x] > np.maximum(WEAKER * first, 0.5 * STRONG)
        if not alive.any():
            break
        fresh = 0.7 * ahead + 0.3 * along
        fresh /= np.maximum(np.linalg.norm(fresh, axis=1, keepdims=True), 1e-6)
        place = np.where(alive[:, None], there, place)
        ahead = np.where(alive[:, None], fresh, ahead)
        length += alive
        path.append(place)
    return np.stack(path, 1), length


def _track(edges: _Edges, path: Floats, corner: Floats) -> Track:
    curved = len(path) > CURVED_FROM
    used = path[:FITTED]
    powers = np.polynomial.polynomial.polyfit(np.arange(len(used)), used, 2 if curved else 1)
    speed = float(np.linalg.norm(powers[1]))
    into = -powers[1] / max(speed, 1e-6)
    bend = float(2.0 * powers[2] @ left_of(into)) / speed**2 if curved else 0.0
    reach = np.array(BESIDE)[:, None] * left_of(into)
    sides = [np.asarray(path[:14, None] + sign * reach, np.float32) for sign in (1.0, -1.0)]
    left, right = (np.median(read(edges.smooth, at), (0, 1)) for at in sides)
    return Track(
        point=(powers[0] + corner).astype(np.float32),
        into=into.astype(np.float32),
        bend=bend,
        left=left.astype(np.float32),
        right=right.astype(np.float32),
        path=path + corner,
    )

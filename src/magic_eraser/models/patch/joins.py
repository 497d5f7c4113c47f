"""Which contours on two sides of the hole are one, and the curve between them.

Two ends go together where a circle's arc or a straight line would (little bending energy, curvature as measured
outside) and where at least one side of the contour has the same colour at both. One is enough: behind the rim of a cup
wood may change to saucer. A false curve harms more than a missing one, so what has a rival is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.contours import Track
from magic_eraser.models.patch.windows import Bools, Floats

NEAREST = 9.0  # px between two ends
SNAKE, MOST_SNAKE = np.radians(12), np.radians(25)  # of two bends that do not make an arc
TURN, MOST_TURN = (
    np.radians(20),
    np.radians(45),
)  # between the arc needed and the one that the tracks' curvature makes
MOST_ARC = np.radians(130)
SURE_LENGTH = 50  # px of track at which its measured curvature is believed
ALIKE = 20.0  # CIE Lab levels between the sides that agree; 15 loses the rim of a cup at 768 px
OTHER, MOST_OTHER = 25.0, 30.0  # and between those that need not
DEAREST = 2.6
MARGIN = 0.6  # by which the next best partner must be dearer
INSIDE = 0.85  # share of the curve that must lie in the hole
FEW = 4  # more curves than that are a pattern: the bench of photo 8 goes on better by patches
SAME_TRACK = 2.0  # px


@dataclass(frozen=True, slots=True)
class Curve:
    """A contour through the hole.

    Attributes:
        points: float (n, 2), rows and columns, under 1 px apart, from the end of `first` to that of `second`.
        first, second: the tracks it joins.
        cost: the lower the surer, 0..DEAREST.
    """

    points: Floats
    first: Track
    second: Track
    cost: float


def join(tracks: list[Track], hole: Bools) -> list[Curve]:
    """Curves between those tracks that surely belong together; none where nothing is sure.

    Args:
        tracks: what `contours.trace` found.
        hole: bool (H, W).
    """
    tracks = _distinct(tracks)
    found = []
    for i, first in enumerate(tracks):
        for j in range(i + 1, len(tracks)):
            angles = _angles(first, tracks[j])
            cost = None if angles is None else _cost(first, tracks[j], *angles)
            if angles is not None and cost is not None and cost <= DEAREST + MARGIN:
                found.append((cost, i, j, angles))
    found.sort(key=lambda pair: pair[:3])
    taken: set[int] = set()
    drawn = np.zeros(hole.shape, np.uint8)
    curves = []
    for cost, i, j, angles in found:
        rivals = [c for c, a, b, _ in found if (a, b) != (i, j) and {a, b} & {i, j}]
        if cost > DEAREST or {i, j} & taken or min(rivals, default=np.inf) < cost + MARGIN:
            continue
        points = _curve(tracks[i], tracks[j], angles)
        if not _lies_inside(points, hole, drawn):
            continue
        taken |= {i, j}
        cv2.polylines(drawn, [np.rint(points[:, ::-1]).astype(np.int32)], False, 1, 2)
        curves.append(Curve(points, tracks[i], tracks[j], cost))
    return curves if len(curves) <= FEW else []


def _distinct(tracks: list[Track]) -> list[Track]:
    kept: list[Track] = []
    for track in sorted(tracks, key=lambda t: -t.length):
        middle = track.path[min(track.length, 8)]
        if all(np.hypot(*(other.path - middle).T).min() > SAME_TRACK for other in kept):
            kept.append(track)
    return kept


def _angle(a: Floats, b: Floats) -> float:
    return float(np.arctan2(a[1] * b[0] - a[0] * b[1], a @ b))


def _angles(first: Track, second: Track) -> tuple[float, float] | None:
    """From the chord to the tangents at both ends; None where the tracks do not face each other."""
    chord = second.point - first.point
    if np.linalg.norm(chord) < NEAREST or first.into @ chord < 0 or second.into @ chord > 0:
        return None
    return _angle(chord, first.into), _angle(chord, -second.into)


def _cost(first: Track, second: Track, start: float, end: float) -> float | None:
    length = float(np.linalg.norm(second.point - first.point))
    snake, arc = abs(start + end), abs(start - end)
    measured = np.clip(0.5 * (first.bend - second.bend) * length, -2.0, 2.0)
    odd = float(abs(measured - (start - end)))
    sure = min(first.length, second.length, SURE_LENGTH) / SURE_LENGTH
    turn = (1.0 - sure) * min(arc, odd) + sure * max(0.0, odd - 0.4 * arc)
    sides = (np.linalg.norm(first.left - second.right), np.linalg.norm(first.right - second.left))
    alike, other = float(min(sides)), float(max(sides))
    if snake > MOST_SNAKE or turn > MOST_TURN or arc > MOST_ARC or alike > ALIKE:
        return None
    if other > OTHER and sure < 0.5:
        return None
    cost = (
        (snake / SNAKE) ** 2
        + (turn / TURN) ** 2
        + (alike / ALIKE) ** 2
        + (min(other, MOST_OTHER) / OTHER) ** 2
    )
    return float(cost + 0.5 * length / (first.length + second.length))


def _curve(first: Track, second: Track, angles: tuple[float, float]) -> Floats:
    """Cubic Hermite curve; the speed at its ends is that of a circle's arc."""
    chord = float(np.linalg.norm(second.point - first.point))
    half = min(0.5 * (abs(angles[0]) + abs(angles[1])), 1.4)
    speed = chord / np.cos(half / 2) ** 2
    t = np.linspace(0.0, 1.0, max(4, int(1.3 * chord)))[:, None]
    curve = (2 * t**3 - 3 * t**2 + 1) * first.point + (3 * t**2 - 2 * t**3) * second.point
    curve += speed * ((t**3 - 2 * t**2 + t) * first.into - (t**3 - t**2) * second.into)
    return np.asarray(curve, np.float32)


def _lies_inside(points: Floats, hole: Bools, drawn: NDArray[np.uint8]) -> bool:
    pixels = np.rint(points).astype(np.intp)
    if (pixels < 0).any() or (pixels >= hole.shape).any():
        return False
    y, x = pixels[:, 0], pixels[:, 1]
    inner = hole[y, x][4:-4]
    return bool(len(inner)) and float(inner.mean()) >= INSIDE and not drawn[y, x].any()

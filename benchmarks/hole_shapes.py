"""Shapes of made holes: blobs, polygons, scratches, wires, specks and letters. Points are (x, y)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fill_metrics import Mask


def blob(shape: tuple[int, ...], middle: tuple[int, int], across: int, rng: np.random.Generator) -> Mask:
    """A rounded, uneven shape whose longer side is `across` pixels."""
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    radius = np.ones_like(angle)
    for wave in range(2, 6):
        radius += rng.normal(0, 0.3 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) * (across / (high - low).max()) + middle
    return _filled(shape, points)


def polygon(points: Sequence[tuple[int, int]], shape: tuple[int, ...], radius: int = 0) -> Mask:
    """A polygon, or a disc round the one point given."""
    if radius:
        canvas = np.zeros(shape, np.uint8)
        cv2.circle(canvas, points[0], radius, 1, -1)
        return canvas > 0
    return _filled(shape, np.array(points))


def lines(shape: tuple[int, ...], rng: np.random.Generator, *, count: int, thickness: int) -> Mask:
    """Straight scratches between random points."""
    canvas = np.zeros(shape, np.uint8)
    for _ in range(count):
        ends = rng.integers(0, (shape[1], shape[0]), (2, 2)).tolist()
        cv2.line(canvas, ends[0], ends[1], 1, thickness)
    return canvas > 0


def scratch_groups(
    shape: tuple[int, ...], rng: np.random.Generator, *, groups: int = 4, side: int = 700
) -> Mask:
    """Far-apart groups of seven crossing scratches 4 px wide."""
    canvas = np.zeros(shape, np.uint8)
    for _ in range(groups):
        corner = rng.integers(0, (shape[1] - side, shape[0] - side))
        for ends in (corner + rng.integers(0, side, (7, 2, 2))).tolist():
            cv2.line(canvas, ends[0], ends[1], 1, 4)
    return canvas > 0


def specks(shape: tuple[int, ...], rng: np.random.Generator, *, count: int = 500) -> Mask:
    """Dust: discs 3 to 7 px across."""
    canvas = np.zeros(shape, np.uint8)
    for x, y in rng.integers(0, (shape[1], shape[0]), (count, 2)).tolist():
        cv2.circle(canvas, (x, y), int(rng.integers(1, 4)), 1, -1)
    return canvas > 0


def wires(shape: tuple[int, ...], *, count: int = 3, thickness: int = 5) -> Mask:
    """Sagging wires from side to side, 5 px wide."""
    canvas = np.zeros(shape, np.uint8)
    x = np.arange(-10, shape[1] + 10, 20)
    sag = 1 - (2 * x / shape[1] - 1) ** 2
    for wire in range(count):
        y = shape[0] * (0.1 + 0.06 * wire) + shape[0] * (0.06 + 0.02 * wire) * sag
        points = np.stack([x, y], axis=1).round().astype(np.int32)
        cv2.polylines(canvas, [points], isClosed=False, color=1, thickness=thickness)
    return canvas > 0


def text(shape: tuple[int, ...], *, scale: float = 3.0, thickness: int = 4) -> Mask:
    """A date stamp and a line of thin letters, 4 px strokes."""
    canvas = np.zeros(shape, np.uint8)
    for line, at in (("2024 / 05 / 17  19:42", 0.94), ("sample - do not copy", 0.5)):
        where = (shape[1] // 12, int(shape[0] * at))
        cv2.putText(canvas, line, where, cv2.FONT_HERSHEY_SIMPLEX, scale, 1, thickness)
    return canvas > 0


def _filled(shape: tuple[int, ...], points: NDArray[np.generic]) -> Mask:
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], 1)
    return canvas > 0

"""The smooth part of what lies round a hole, and its continuation through it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.solve import harmonic
from magic_eraser.models.patch.windows import Bools, Floats
from magic_eraser.models.watch import Watch

SIDE = 320  # px, of the grid on which the rest is found: it is a few levels, and smooth
WIDE_BLUR = 6.0
BLUR = 3.0  # full-size px over which the rest is averaged: a seventh of the grain is left
LEAST_BLUR = 0.5  # cells; the mean of a cell is blur enough
CELLS = 32  # rows of them between two checks


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A quadratic in place, and a coarse grid of what it leaves.

    Attributes:
        factors: float32 (6, 3). shape: (H, W) of the box.
        rest: float32 (h, w, 3), h <= H. known: float32 (h, w), share of each cell that is known.
    """

    factors: Floats
    shape: tuple[int, int]
    rest: Floats
    known: Floats

    def quadratic(self, y: NDArray[np.intp], x: NDArray[np.intp]) -> Floats:
        """Levels (*S, 3) at places of any shape S."""
        out: Floats = terms(y, x, self.shape) @ self.factors
        return out

    def rest_at(self, y: NDArray[np.intp], x: NDArray[np.intp]) -> Floats:
        """(*S, 3), the rest between its cells."""
        h, w = self.known.shape
        if (h, w) == self.shape:
            nearest: Floats = self.rest[y, x]
            return nearest
        down = np.clip((y + 0.5) * (h / self.shape[0]) - 0.5, 0, h - 1)
        across = np.clip((x + 0.5) * (w / self.shape[1]) - 0.5, 0, w - 1)
        top, left = down.astype(np.intp), across.astype(np.intp)
        bottom, right = np.minimum(top + 1, h - 1), np.minimum(left + 1, w - 1)
        v = (down - top)[..., None].astype(np.float32)
        u = (across - left)[..., None].astype(np.float32)
        upper = self.rest[top, left] * (1 - u) + self.rest[top, right] * u
        out: Floats = upper * (1 - v) + (self.rest[bottom, left] * (1 - u) + self.rest[bottom, right] * u) * v
        return out

    def wider(self) -> Surface:
        """The same, its rest averaged so widely that grain of several pixels' size is not in it either."""
        sigma = WIDE_BLUR * self.known.shape[0] / self.shape[0]
        sums = cv2.GaussianBlur(self.rest * self.known[..., None], (0, 0), sigma)
        weight = cv2.GaussianBlur(self.known, (0, 0), sigma)
        rest = sums / np.maximum(weight, 1e-6)[..., None]
        return Surface(self.factors, self.shape, np.asarray(rest, np.float32), self.known)

    def through(self, watch: Watch) -> Surface:
        """The same, its rest continued as a membrane where nothing is known."""
        rest = harmonic(self.rest, self.known < 1e-3, watch)
        return Surface(self.factors, self.shape, rest, self.known)

    def rows(self, first: int, count: int) -> Floats:
        """Levels (count, W, 3) of whole rows."""
        out = self._rest_rows(first, count)
        y, x = np.arange(first, first + count)[:, None], np.arange(self.shape[1])[None, :]
        for k in range(3):
            out[..., k] += plane(y, x, self.shape, self.factors[:, k])
        return out

    def _rest_rows(self, first: int, count: int) -> Floats:
        h = self.known.shape[0]
        place = np.clip((np.arange(first, first + count) + 0.5) * (h / self.shape[0]) - 0.5, 0, h - 1)
        low = place.astype(np.intp)
        share = (place - low).astype(np.float32)[:, None, None]
        wide = self.rest[low] * (1 - share) + self.rest[np.minimum(low + 1, h - 1)] * share
        if self.known.shape[1] == self.shape[1]:
            return np.asarray(wide, np.float32)
        return np.asarray(
            cv2.resize(wide, (self.shape[1], count), interpolation=cv2.INTER_LINEAR), np.float32
        )


def terms(y: NDArray[np.intp], x: NDArray[np.intp], shape: tuple[int, int]) -> Floats:
    """Terms (*S, 6) of a quadratic in places of a box, which runs over -1..1."""
    v = (np.asarray(y, np.float32) * 2 + 1) / shape[0] - 1
    u = (np.asarray(x, np.float32) * 2 + 1) / shape[1] - 1
    v, u = np.broadcast_arrays(v, u)
    return np.stack([np.ones_like(v), v, u, v * v, v * u, u * u], -1)


def fit(colours: Floats, y: NDArray[np.intp], x: NDArray[np.intp], shape: tuple[int, int]) -> Floats:
    """Factors (6, 3) of the quadratic nearest to colours (n, 3) at places (n,), twice: the second time without what
    lies far off, a bird or a lamp."""
    basis = terms(y, x, shape).astype(np.float64)
    kept = np.ones(len(basis), np.bool_)
    for _ in range(2):
        some = basis[kept]  # the six normal equations: five times faster, and exact enough over -1..1
        factors, *_ = np.linalg.lstsq(some.T @ some, some.T @ colours[kept], rcond=None)
        off = np.abs(colours - basis @ factors).max(1)
        kept = off <= max(4 * float(np.median(off)), 1e-3)
    return factors.astype(np.float32)


def surface(image: NDArray[np.uint8], hole: Bools, factors: Floats, watch: Watch) -> Surface:
    """What the quadratic leaves of the known part of a box, averaged over the grain.

    Args:
        image: uint8 or uint16 (H, W, 3). hole: bool (H, W). factors: of `fit`.
    """
    height, width = hole.shape
    step = -(-max(height, width) // SIDE)
    h, w = -(-height // step), -(-width // step)
    sums, share = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
    x = np.arange(width)[None, :]
    for first in range(0, h, CELLS):  # a float copy of a large box is 12 bytes a pixel
        watch.check()
        cells = slice(first, min(first + CELLS, h))
        rows = slice(cells.start * height // h, cells.stop * height // h)
        unknown, y = hole[rows], np.arange(rows.start, rows.stop)[:, None]
        share[cells] = _mean(1 - unknown.astype(np.float32), cells, w)
        for k in range(3):
            rest = image[rows, :, k] - plane(y, x, hole.shape, factors[:, k])
            rest[unknown] = 0
            sums[cells, :, k] = _mean(rest, cells, w)
    sigma = BLUR / step
    if sigma < LEAST_BLUR:
        rest = sums / np.maximum(share, 1e-6)[..., None]
    else:
        weight = np.maximum(cv2.GaussianBlur(share, (0, 0), sigma), 1e-6)
        rest = cv2.GaussianBlur(sums, (0, 0), sigma) / weight[..., None]
    return Surface(factors, (height, width), np.asarray(rest, np.float32), share)


def _mean(plane: Floats, cells: slice, width: int) -> Floats:
    """Rows of pixels as rows of cells."""
    size = (width, cells.stop - cells.start)
    if size == (plane.shape[1], plane.shape[0]):
        return plane
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def plane(y: NDArray[np.intp], x: NDArray[np.intp], shape: tuple[int, int], factors: Floats) -> Floats:
    """One channel (H, W) of the quadratic on a whole box, without six planes of terms."""
    v = ((np.asarray(y, np.float32) * 2 + 1) / shape[0] - 1).astype(np.float32)
    u = ((np.asarray(x, np.float32) * 2 + 1) / shape[1] - 1).astype(np.float32)
    one, down, across, down2, both, across2 = (np.float32(f) for f in factors)
    out: Floats = (one + down * v + down2 * v * v) + u * (across + both * v) + across2 * u * u
    return out

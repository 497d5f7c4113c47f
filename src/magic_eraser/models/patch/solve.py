"""Screened Poisson equation on the hole: make copied pieces agree where they meet.

Perez et al. 2003, "Poisson Image Editing"; screened as in Bhat et al. 2008, with robust weights: across an edge where
the two copies disagree strongly the equation lets the step stand, so colours do not bleed from a branch into the sky.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.windows import Bools, Floats
from magic_eraser.models.watch import Watch

SMALLEST = 8  # side in pixels from which on unknowns are solved for directly
MOST_STEPS = 30
PRECISION = 7e-3
"""Norm of the residual over that of the right-hand side: pixels err by 0.2 levels on average, as they do at 2e-3 where
conjugate gradients go without a multigrid cycle, which takes 60 steps and twice the time."""
EXACT = 1e-3  # where the solution is what is shown and not a correction of it
DAMPING = 0.85  # of Jacobi's steps


@dataclass(frozen=True, slots=True)
class System:
    """A grid of unknowns: sum of weight * (c_p - c_q) over neighbours q, plus mass * c_p, equals `right`.

    Attributes:
        down: float32 (H - 1, W), weight between vertical neighbours; across: (H, W - 1).
        mass: float32 (H, W), pull towards zero: screening, and weight of the edges to known pixels.
        right: float32 (C, H, W).
    """

    down: Floats
    across: Floats
    mass: Floats
    right: Floats


class _Grid:
    """A `System`'s left-hand side with room to work in.

    Args:
        channels: of what it is applied to.
    """

    def __init__(self, down: Floats, across: Floats, mass: Floats, channels: int) -> None:
        self.down, self.across, self.mass = down, across, mass
        self.shape = (channels, *mass.shape)
        self.diagonal = mass.copy()
        self.diagonal[:-1] += down
        self.diagonal[1:] += down
        self.diagonal[:, :-1] += across
        self.diagonal[:, 1:] += across
        self.real = self.diagonal > 0
        self.step = np.divide(DAMPING, self.diagonal, out=np.zeros_like(mass), where=self.real)
        self._product, self._spare, self._rest = (np.empty(self.shape, np.float32) for _ in range(3))

    def apply(self, c: Floats) -> Floats:
        """The left-hand side of c (C, H, W); overwritten by the next call."""
        out, product = self._spare, self._product
        np.multiply(self.diagonal, c, out=out)
        part = product[:, :-1]
        out[:, :-1] -= np.multiply(self.down, c[:, 1:], out=part)
        out[:, 1:] -= np.multiply(self.down, c[:, :-1], out=part)
        part = product[:, :, :-1]
        out[:, :, :-1] -= np.multiply(self.across, c[:, :, 1:], out=part)
        out[:, :, 1:] -= np.multiply(self.across, c[:, :, :-1], out=part)
        return out

    def rest(self, right: Floats, c: Floats) -> Floats:
        """What c leaves of `right`; overwritten by the next call."""
        return np.subtract(right, self.apply(c), out=self._rest)

    def coarser(self) -> _Grid:
        """2 x 2 unknowns as one (Galerkin, piecewise constant)."""
        down, across = _pair_sum(self.down[1::2], 1), _pair_sum(self.across[:, 1::2], 0)
        return _Grid(down, across, _sum_of_four(self.mass), self.shape[0])

    def inverse(self) -> Floats:
        """Dense inverse (n, n) for few unknowns; those without weight or mass become what stands on the right."""
        matrix = np.diag(np.where(self.real, self.diagonal, 1.0).ravel().astype(np.float64))
        at = np.arange(self.mass.size).reshape(self.mass.shape)
        for p, q, weight in ((at[:-1], at[1:], self.down), (at[:, :-1], at[:, 1:], self.across)):
            matrix[p, q] = matrix[q, p] = -weight
        found: Floats = np.linalg.pinv(matrix, hermitian=True).astype(np.float32)
        return found


def _pair_sum(a: Floats, axis: int) -> Floats:
    """Sums of neighbours 0+1, 2+3, ... along `axis`; an odd last one stands alone."""
    a = np.moveaxis(a, axis, 0)
    out = a[::2].copy()
    out[: len(a) // 2] += a[1::2]
    return np.ascontiguousarray(np.moveaxis(out, 0, axis))


def _sum_of_four(a: Floats) -> Floats:
    return _pair_sum(_pair_sum(a, a.ndim - 2), a.ndim - 1)


def _spread(c: Floats, shape: tuple[int, ...]) -> Floats:
    """The coarser grid's values at the finer grid's places."""
    found: Floats = c.repeat(2, 1).repeat(2, 2)[:, : shape[1], : shape[2]]
    return found


class _Grids:
    """A grid and its coarser ones, down to one that is solved directly."""

    def __init__(self, system: System) -> None:
        self.all = [_Grid(system.down, system.across, system.mass, len(system.right))]
        while max(self.all[-1].mass.shape) > SMALLEST:
            self.all.append(self.all[-1].coarser())
        self._inverse = self.all[-1].inverse()

    def cycle(self, index: int, right: Floats) -> Floats:
        """One symmetric V-cycle from zero: about what grid `index` makes of `right`."""
        grid = self.all[index]
        if index == len(self.all) - 1:
            found: Floats = (right.reshape(len(right), -1) @ self._inverse).reshape(right.shape)
            return found
        c = grid.step * right
        c += _spread(self.cycle(index + 1, _sum_of_four(grid.rest(right, c))), grid.shape)
        rest = grid.rest(right, c)
        rest *= grid.step
        c += rest
        return c


def solve(system: System, watch: Watch, precision: float = PRECISION) -> Floats:
    """Conjugate gradients behind a multigrid cycle, started from the solution of the grid of half the size.

    Returns:
        float32 (C, H, W). Zero where a pixel has neither weight nor mass.
    """
    grids = _Grids(system)
    rights = [system.right * grids.all[0].real]
    for _ in grids.all[1:]:
        rights.append(_sum_of_four(rights[-1]))
    c = grids.cycle(len(rights) - 1, rights[-1])
    for index in range(len(rights) - 2, -1, -1):
        c = _spread(c, grids.all[index].shape) * grids.all[index].real
        _improve(grids, index, rights[index], c, precision, watch)
    return c * grids.all[0].real


def _improve(grids: _Grids, index: int, right: Floats, c: Floats, precision: float, watch: Watch) -> None:
    """Take c (C, h, w) to the solution on one grid, in place."""
    grid = grids.all[index]
    residual = right - grid.apply(c)
    goal = _dot(right, right) * precision**2
    direction = np.zeros_like(c)
    before = np.full(len(c), np.inf)
    for _ in range(MOST_STEPS):
        if (_dot(residual, residual) <= goal).all():
            return
        watch.check()
        z = grids.cycle(index, residual)
        energy = _dot(residual, z)
        direction *= _column(energy / np.maximum(before, 1e-20))
        direction += z
        before = energy
        image = grid.apply(direction)
        length = _column(energy / np.maximum(_dot(direction, image), 1e-20))
        residual -= np.multiply(length, image, out=image)
        c += np.multiply(length, direction, out=z)


def _dot(a: Floats, b: Floats) -> NDArray[np.float64]:
    """Scalar product (C,) of each channel."""
    return np.array([np.vdot(p, q) for p, q in zip(a, b, strict=True)], np.float64)


def _column(values: NDArray[np.float64]) -> Floats:
    return values.astype(np.float32)[:, None, None]


def harmonic(border: Floats, hole: Bools, watch: Watch) -> Floats:
    """Membrane through the hole: each value the mean of its four neighbours.

    Args:
        border: float32 (H, W, C); its values outside the hole are met at the hole's edge.
        hole: bool (H, W).

    Returns:
        float32 (H, W, C); `border` outside the hole.
    """
    down, across = (hole[:-1] & hole[1:]).astype(np.float32), (hole[:, :-1] & hole[:, 1:]).astype(np.float32)
    mass = np.zeros(hole.shape, np.float32)
    right = np.zeros((border.shape[2], *hole.shape), np.float32)
    planes = np.moveaxis(border, -1, 0)
    height, width = hole.shape
    for dy, dx in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        mine = (slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx)))
        other = (slice(max(0, dy), height + min(0, dy)), slice(max(0, dx), width + min(0, dx)))
        edge = hole[mine] & ~hole[other]
        mass[mine] += edge
        right[(slice(None), *mine)] += edge * planes[(slice(None), *other)]
    filled = np.moveaxis(solve(System(down, across, mass, right), watch, EXACT), 0, -1)
    return np.where(hole[..., None], filled, border).astype(np.float32)

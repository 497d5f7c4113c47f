"""Screened Poisson equation on the hole: make copied pieces agree where they meet.

Perez et al. 2003, "Poisson Image Editing"; screened as in Bhat et al. 2008, with robust weights: across an edge where
the two copies disagree strongly the equation lets the step stand, so colours do not bleed from a branch into the sky.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from magic_eraser.models.patch.windows import Bools, Floats
from magic_eraser.models.watch import Watch

SMALLEST = 8  # side in pixels below which no coarser grid is made
MOST_STEPS = 60
PRECISION = 2e-3  # of the right-hand side's norm


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


def _apply(system: System, diagonal: Floats, c: Floats) -> Floats:
    out = diagonal * c
    out[:, :-1] -= system.down * c[:, 1:]
    out[:, 1:] -= system.down * c[:, :-1]
    out[:, :, :-1] -= system.across * c[:, :, 1:]
    out[:, :, 1:] -= system.across * c[:, :, :-1]
    return out


def _diagonal(system: System) -> Floats:
    out = system.mass.copy()
    out[:-1] += system.down
    out[1:] += system.down
    out[:, :-1] += system.across
    out[:, 1:] += system.across
    return out


def _pair_sum(a: Floats, axis: int) -> Floats:
    """Sums of neighbours 0+1, 2+3, ... along `axis`; an odd last one stands alone."""
    return np.add.reduceat(a, np.arange(0, a.shape[axis], 2), axis=axis)


def _coarser(system: System) -> System:
    """2 x 2 unknowns as one (Galerkin, piecewise constant)."""
    return System(
        down=_pair_sum(system.down[1::2], 1),
        across=_pair_sum(system.across[:, 1::2], 0),
        mass=_pair_sum(_pair_sum(system.mass, 0), 1),
        right=_pair_sum(_pair_sum(system.right, 1), 2),
    )


def solve(system: System, watch: Watch) -> Floats:
    """Conjugate gradients, started from the solution of the grid of half the size.

    Returns:
        float32 (C, H, W). Zero where a pixel has neither weight nor mass.
    """
    watch.check()
    height, width = system.mass.shape
    diagonal = _diagonal(system)
    inverse = np.where(diagonal > 0, 1.0 / np.maximum(diagonal, 1e-12), 0.0).astype(np.float32)
    c = np.zeros_like(system.right)
    if max(height, width) > SMALLEST:
        half = solve(_coarser(system), watch)
        c = half.repeat(2, 1).repeat(2, 2)[:, :height, :width] * (diagonal > 0)
    residual = system.right - _apply(system, diagonal, c)
    goal = np.einsum("chw,chw->c", system.right, system.right) * PRECISION**2
    z = inverse * residual
    direction = z.copy()
    energy = np.einsum("chw,chw->c", residual, z)
    for step in range(MOST_STEPS):
        if step % 4 == 0:
            watch.check()
        image = _apply(system, diagonal, direction)
        length = energy / np.maximum(np.einsum("chw,chw->c", direction, image), 1e-20)
        c += length[:, None, None] * direction
        residual -= length[:, None, None] * image
        if (np.einsum("chw,chw->c", residual, residual) <= goal).all():
            break
        z = inverse * residual
        fresh = np.einsum("chw,chw->c", residual, z)
        direction *= (fresh / np.maximum(energy, 1e-20))[:, None, None]
        direction += z
        energy = fresh
    return c


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
    filled = np.moveaxis(solve(System(down, across, mass, right), watch), 0, -1)
    return np.where(hole[..., None], filled, border).astype(np.float32)

"""The multigrid solver against a dense one."""

from __future__ import annotations

import numpy as np
import pytest

from magic_eraser.models.patch.solve import System, harmonic, solve
from magic_eraser.models.watch import Watch


def _system(height, width, seed=0):
    rng = np.random.default_rng(seed)

    def weights(*shape):
        return (rng.random(shape) ** 4).astype(np.float32)  # some hundred times as strong as others

    return System(
        down=weights(height - 1, width),
        across=weights(height, width - 1),
        mass=np.full((height, width), 2e-3, np.float32)
        + weights(height, width) * (rng.random((height, width)) < 0.1),
        right=rng.normal(size=(3, height, width)).astype(np.float32),
    )


def _dense(system):
    at = np.arange(system.mass.size).reshape(system.mass.shape)
    matrix = np.diag(system.mass.ravel().astype(float))
    for p, q, weight in ((at[:-1], at[1:], system.down), (at[:, :-1], at[:, 1:], system.across)):
        for i, j, w in zip(p.ravel(), q.ravel(), weight.ravel(), strict=True):
            matrix[i, i] += w
            matrix[j, j] += w
            matrix[i, j] -= w
            matrix[j, i] -= w
    return matrix


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (5, 7), (9, 8), (31, 24), (17, 40)])
def test_the_residual_is_as_small_as_asked_for(shape):
    system = _system(*shape)
    found = solve(system, Watch(), precision=1e-4)
    right = system.right.reshape(3, -1)
    left = found.reshape(3, -1).astype(float) @ _dense(system)
    assert (np.linalg.norm(left - right, axis=1) <= 2e-4 * np.linalg.norm(right, axis=1)).all()


def test_a_pixel_without_weight_or_mass_stays_zero():
    system = _system(20, 20)
    for part in (system.mass[4:6, 4:6], system.down[3:6, 4:6], system.across[4:6, 3:6]):
        part[...] = 0
    found = solve(system, Watch())
    assert np.isfinite(found).all()
    assert (found[:, 4:6, 4:6] == 0).all()


def test_a_membrane_through_a_ramp_is_the_ramp():
    y, x = np.mgrid[:90, :70].astype(np.float32)
    ramp = np.stack([y + x, 2 * y, 100 - x], -1)
    hole = np.zeros((90, 70), bool)
    hole[10:80, 8:60] = True
    filled = harmonic(np.where(hole[..., None], 0, ramp).astype(np.float32), hole, Watch())
    assert np.abs(filled - ramp).max() < 0.5

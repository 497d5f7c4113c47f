"""What is regular goes on regularly, and what is smooth stays smooth."""

from __future__ import annotations

import numpy as np
import pytest


def damaged(image, hole):
    """Magenta in the hole, so that a look at hidden pixels shows."""
    out = image.copy()
    out[hole] = (255, 0, 255)
    return out


def wrong(filled, truth, hole):
    """Share of hole pixels that are nearer to the other tone."""
    return (np.abs(filled.astype(int) - truth)[hole].max(1) > 85).mean()


@pytest.mark.parametrize("period", [8, 12, 20])
def test_upright_stripes_go_on_in_phase(fill, stripes, square_hole, period):
    image, hole = stripes(200, period), square_hole(200, 200, 60)
    assert wrong(fill(damaged(image, hole), hole), image, hole) == 0


@pytest.mark.parametrize("slope", [1.0, -1.0, 0.5])
def test_diagonal_stripes_go_on_in_phase(fill, stripes, square_hole, slope):
    image, hole = stripes(200, 16, slope), square_hole(200, 200, 60)
    assert wrong(fill(damaged(image, hole), hole), image, hole) < 0.005


def test_a_checkerboard_goes_on_in_phase(fill, square_hole):
    y, x = np.mgrid[:192, :192]
    image = np.repeat((50 + 150 * ((y // 12 + x // 12) % 2))[..., None], 3, 2).astype(np.uint8)
    hole = square_hole(192, 192, 60)
    assert wrong(fill(damaged(image, hole), hole), image, hole) == 0


def test_a_slanted_edge_goes_on_straight(fill, square_hole):
    y, x = np.mgrid[:200, :200]
    image = np.where((y > 60 + 0.4 * x)[..., None], (200, 180, 90), (40, 60, 120)).astype(np.uint8)
    hole = square_hole(200, 200, 56)
    assert wrong(fill(damaged(image, hole), hole), image, hole) < 0.01


def test_flat_stays_flat(fill, square_hole):
    image = np.full((160, 200, 3), (90, 141, 33), np.uint8)
    hole = square_hole(160, 200, 70)
    assert (fill(damaged(image, hole), hole) == image).all()


@pytest.mark.parametrize("side", [40, 110])
def test_a_ramp_is_continued_within_three_levels(fill, square_hole, side):
    y, x = np.mgrid[:256, :256]
    image = np.rint(np.stack([20 + 0.7 * x, 20 + 0.7 * y, 30 + 0.35 * (x + y)], -1)).astype(np.uint8)
    hole = square_hole(256, 256, side)
    assert np.abs(fill(damaged(image, hole), hole).astype(int) - image).max() <= 3


def test_a_noisy_wall_keeps_its_grain(fill, square_hole):
    rng = np.random.default_rng(0)
    image = np.rint(150 + rng.normal(0, 2.5, (200, 200, 3))).astype(np.uint8)
    hole = square_hole(200, 200, 80)
    inside = fill(damaged(image, hole), hole)[hole].astype(float)
    assert inside.std(0) == pytest.approx([2.5] * 3, rel=0.25)
    assert inside.mean(0) == pytest.approx([150.0] * 3, abs=1.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_thing_beside_the_hole_is_not_copied_into_it(fill, texture, seed):
    """The wall left of the thing fits the wall at the hole's edge; what follows it there must not come along."""
    y, x = np.mgrid[:320, :320]
    image = (texture(320, 320, seed=seed, grain=3.0) // 6 + 140).astype(np.uint8)
    image[np.hypot(y - 150, x - 90) < 45] = (180, 20, 20)
    hole = np.zeros((320, 320), bool)
    hole[40:260, 165:245] = True
    filled = fill(damaged(image, hole), hole).astype(int)
    assert (filled[..., 0] - filled[..., 1])[hole].max() < 60

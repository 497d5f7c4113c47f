"""The grain that thin fills borrow from beside them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magic_eraser.models.diffusion import THIN_RADIUS, diffuse_thin
from magic_eraser.models.grain import LIMIT, finish_thin
from magic_eraser.models.watch import Watch


def noisy(deviation, size=1.0, shape=(200, 200), seed=0):
    noise = np.random.default_rng(seed).standard_normal((*shape, 3)).astype(np.float32)
    if size:
        noise = cv2.GaussianBlur(noise, (0, 0), size)
    return np.clip(np.rint(128 + noise * deviation / noise.std()), 0, 255).astype(np.uint8)


@pytest.fixture
def bars():
    hole = np.zeros((200, 200), bool)
    for top in range(20, 180, 20):
        hole[top : top + 6] = True
    return hole


def smoothed(image, hole):
    out = image.copy()
    out[hole] = 128
    return out


def filled(image, hole, method=cv2.INPAINT_NS):
    """By a PDE, whose own share of the grain counts, too."""
    out = image.copy()
    out[hole] = 0
    diffuse_thin(out, hole, hole, THIN_RADIUS[method], method, Watch(), grain=True)
    return out


def likeness(rows):
    """Correlation of neighbours along rows (n, W, 3)."""
    a = rows.astype(float) - 128
    return (a[:, 1:] * a[:, :-1]).mean() / (a * a).mean()


@pytest.mark.parametrize("method", [cv2.INPAINT_NS, cv2.INPAINT_TELEA])
@pytest.mark.parametrize("size", [0.0, 0.5, 0.7, 1.0])
def test_the_grain_is_as_strong_and_as_fine_as_beside_the_hole(bars, size, method):
    image = noisy(4.0, size)

    out = filled(image, bars, method)

    rows = bars[:, 0]
    assert out[rows].std() == pytest.approx(image[~rows].std(), rel=0.15)
    assert likeness(out[rows]) == pytest.approx(likeness(image[~rows]), abs=0.1)
    assert (out[~bars] == image[~bars]).all()


@pytest.mark.parametrize("method", [cv2.INPAINT_NS, cv2.INPAINT_TELEA])
def test_a_flat_surface_stays_flat_and_a_ramp_rises_evenly(bars, method):
    flat = np.full((200, 200, 3), 90, np.uint8)
    ramp = (np.indices((200, 200)).sum(0) // 3)[..., None].repeat(3, 2).astype(np.uint8)
    scratch = cv2.line(np.zeros((200, 200), np.uint8), (10, 20), (190, 150), 1, 3) > 0

    assert (filled(flat, bars, method) == flat).all()
    out = filled(ramp, scratch, method)
    assert np.abs(out.astype(int) - ramp).max() <= 1
    assert (np.diff(out[..., 0].astype(int), axis=1) >= 0).all()


def test_the_step_where_the_fronts_of_the_pde_meet_is_softened():
    image = np.full((100, 200, 3), 60, np.uint8)
    image[50:] = 160
    hole = np.zeros((100, 200), bool)
    hole[44:56] = True

    steps = np.diff(filled(image, hole)[:, 100, 0].astype(int))

    assert (steps >= 0).all()
    assert steps.max() < 35  # the equation alone: 67


def test_edges_are_not_reflected_whole(bars):
    image = np.full((200, 200, 3), 20, np.uint8)
    image[:, ::7] = 240
    out = smoothed(image, bars)

    finish_thin(out, bars, bars)

    assert np.abs(out[bars].astype(int) - 128).max() <= 3 * LIMIT  # bars reflected whole would be off by 100


def test_only_what_is_wanted_is_written_and_only_known_pixels_are_read(bars):
    image = noisy(4.0)
    wanted = bars.copy()
    wanted[100:] = False
    one, other = smoothed(image, bars), smoothed(image, bars)
    other[bars & ~wanted] = 255

    finish_thin(one, bars, wanted)

    assert (one[~wanted] == smoothed(image, bars)[~wanted]).all()
    finish_thin(other, bars, wanted)
    assert (one[20:26] == other[20:26]).all()


def test_without_a_known_pixel_nothing_happens():
    out = np.full((3, 3, 3), 7, np.uint8)
    finish_thin(out, np.ones((3, 3), bool), np.ones((3, 3), bool))
    assert (out == 7).all()


def test_sixteen_bits_are_treated_alike(bars):
    image = noisy(4.0)
    eight, sixteen = smoothed(image, bars), smoothed(image, bars).astype(np.uint16) * np.uint16(257)

    finish_thin(eight, bars, bars)
    finish_thin(sixteen, bars, bars)

    assert np.abs(sixteen / 257 - eight).max() <= 1.5

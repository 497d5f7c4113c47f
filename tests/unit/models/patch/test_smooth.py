"""Holes in sky and walls: exact without grain, else with the same grain; and left alone where it is not smooth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magic_eraser.models.patch.smooth import fill_smooth
from magic_eraser.models.watch import Watch

SIDE = 400


def sky(deviation=3.0, size=0.8, dtype=np.uint8):
    y, x = np.mgrid[:SIDE, :SIDE]
    level = np.stack([90 + y * 0.08, 130 + y * 0.06, 200 - x * 0.02], -1)
    noise = np.random.default_rng(0).standard_normal((SIDE, SIDE, 3)).astype(np.float32)
    if size:
        noise = cv2.GaussianBlur(noise, (0, 0), size)
    unit = np.iinfo(dtype).max / 255
    return np.rint((level + noise * deviation / noise.std()) * unit).astype(dtype)


@pytest.fixture
def hole(square_hole):
    return square_hole(SIDE, SIDE, 120)


def filled(image, hole, seed=0):
    out = image.copy()
    out[hole] = 0
    done = fill_smooth(out, hole, out, np.random.default_rng(seed), Watch())
    assert (out[~done & ~hole] == image[~done & ~hole]).all()
    return out, done


def grain(image, where):
    """What is finer than 8 px, in a square."""
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    part = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    return (part - cv2.GaussianBlur(part, (0, 0), 8))[8:-8, 8:-8]


@pytest.mark.parametrize("size", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_grain_is_as_strong_and_as_fine_as_round_the_hole(hole, size, dtype):
    image = sky(size=size, dtype=dtype)

    out, done = filled(image, hole)

    assert (done == hole).all()
    ours, truth = grain(out, hole), grain(image, hole)
    assert ours.std((0, 1)) == pytest.approx(truth.std((0, 1)), rel=0.15)
    for a, b in ((ours, truth), (ours.transpose(1, 0, 2), truth.transpose(1, 0, 2))):
        likeness = [float((v[1:] * v[:-1]).mean() / (v * v).mean()) for v in (a, b)]
        assert likeness[0] == pytest.approx(likeness[1], abs=0.1)


def test_grain_of_grey_noise_stays_grey(hole):
    image = sky()
    noise = np.random.default_rng(5).normal(0, 3, (SIDE, SIDE, 1))
    image = np.rint(np.full((SIDE, SIDE, 3), 120) + noise).astype(np.uint8)

    out, _ = filled(image, hole)

    assert np.ptp(out[hole].astype(int), axis=1).mean() < 0.6


@pytest.mark.parametrize("slope", [0.02, 0.1, 0.3, 0.6])
def test_a_ramp_without_grain_stays_even(hole, slope):
    y, x = np.mgrid[:SIDE, :SIDE]
    image = np.rint(np.stack([10 + slope * x, 10 + slope * y, 5 + slope * (x + y) / 2], -1)).astype(np.uint8)

    out, done = filled(image, hole)

    assert (done == hole).all()
    assert np.abs(out.astype(int) - image).max() <= 2
    assert (np.diff(out[..., 0].astype(int), axis=1)[150:250] >= 0).all()
    assert (np.diff(out[..., 1].astype(int), axis=0)[:, 150:250] >= 0).all()


def test_flat_is_filled_exactly(hole):
    image = np.full((SIDE, SIDE, 3), (90, 141, 33), np.uint8)
    out, done = filled(image, hole)
    assert (done == hole).all()
    assert (out == image).all()


def test_a_vignetted_wall_is_smooth(hole):
    y, x = np.mgrid[:SIDE, :SIDE]
    level = 220 * (1 - 0.3 * ((y - 200) ** 2 + (x - 200) ** 2) / 200**2)
    image = np.rint(level[..., None] + np.random.default_rng(0).normal(0, 2, (SIDE, SIDE, 3))).astype(
        np.uint8
    )

    out, done = filled(image, hole)

    assert (done == hole).all()
    mean = cv2.GaussianBlur(out.astype(np.float32), (0, 0), 4)
    assert np.abs(mean - level[..., None])[hole].max() < 2


TOUCHING = {
    "a wire of one pixel across": lambda a: cv2.line(a, (0, 180), (399, 215), (60, 80, 110), 1),
    "a thicker wire": lambda a: cv2.line(a, (0, 180), (399, 215), (30, 30, 30), 3),
    "a wire that ends in it": lambda a: cv2.line(a, (0, 190), (150, 195), (30, 30, 30), 1),
    "a branch that touches it": lambda a: cv2.line(a, (20, 399), (142, 258), (60, 50, 40), 14),
    "a shore along it": lambda a: a.__setitem__(np.s_[262:], (60, 90, 40)),
    "a cloud": lambda a: a.__setitem__(np.s_[:], cv2.add(a, cloud())),
}


def cloud():
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.repeat((45 * np.exp(-((y - 150) ** 2 + (x - 130) ** 2) / 900))[..., None], 3, 2).astype(
        np.uint8
    )


@pytest.mark.parametrize("name", TOUCHING)
def test_a_membrane_does_not_smear(hole, name):
    image = sky()
    TOUCHING[name](image)

    _, done = filled(image, hole)

    assert not done.any()


def test_a_bird_near_by_does_not_matter(hole):
    image = sky()
    cv2.circle(image, (128, 128), 2, (20, 20, 20), -1)

    out, done = filled(image, hole)

    assert (done == hole).all()
    assert np.abs(out[hole].astype(int) - sky()[hole]).max() < 25


@pytest.mark.parametrize("count", [31, 33, 120])
def test_many_pieces_are_filled_like_few(count):
    image, hole = sky(), np.zeros((SIDE, SIDE), bool)
    for y, x in (divmod(k, 12) for k in range(count)):
        hole[12 + 32 * y : 24 + 32 * y, 12 + 32 * x : 24 + 32 * x] = True

    out, done = filled(image, hole)

    assert (done == hole).all()
    assert np.abs(out[hole].astype(float).mean(0) - image[hole].mean(0)).max() < 1


def test_pieces_are_judged_one_by_one(texture):
    image, hole = sky(), np.zeros((SIDE, SIDE), bool)
    image[:, 200:] = texture(SIDE, SIDE // 2)
    hole[100:160, 50:110] = hole[100:160, 280:340] = True

    _, done = filled(image, hole)

    assert done[:, :200].sum() == 3600
    assert not done[:, 200:].any()


def test_the_same_seed_gives_the_same_bytes_and_another_a_variant(hole):
    one, again, other = (filled(sky(), hole, seed)[0] for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (2, 60), (30, 30)])
def test_a_narrow_picture_is_no_trouble(shape):
    image = np.full((*shape, 3), 77, np.uint8)
    hole = np.zeros(shape, bool)
    hole[shape[0] // 3 : shape[0] // 3 + 6, shape[1] // 3 : shape[1] // 3 + 6] = True
    out, done = filled(image, hole)
    assert (out[done] == 77).all()

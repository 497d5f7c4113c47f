"""A full-size fill's border is no sharper than a photograph's edges."""

from __future__ import annotations

import numpy as np
import pytest

from magic_eraser.models.patch.edge import REACH, soften
from magic_eraser.models.watch import Watch

AWAY = 50


@pytest.fixture
def hole():
    hole = np.zeros((60, 120), bool)
    hole[20:40, 20:40] = True
    return hole


def copied(place):
    return np.full((len(place), 2), (0, AWAY), np.int32)


def filled(image, hole, brighter=0):
    out = image.copy()
    out[hole] = np.roll(image, -AWAY, 1)[hole] + image.dtype.type(brighter)
    return out


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_cut_becomes_a_slope(hole, dtype):
    unit = np.iinfo(dtype).max // 255
    image = np.full((60, 120, 4), 80 * unit, dtype)
    image[:, 60:] = 180 * unit
    out = filled(image, hole)
    before = out.copy()
    soften(image, hole, out, copied, Watch())
    row = out[30, 18:42, 0].astype(int) // unit
    assert np.abs(np.diff(row)).max() <= 45  # it was 100
    assert (np.diff(row[:12]) >= 0).all()
    inner = np.s_[20 + REACH : 40 - REACH, 20 + REACH : 40 - REACH]
    assert (out[inner] == before[inner]).all()
    assert (out[~hole] == before[~hole]).all()
    assert (out[..., 3] == before[..., 3]).all()


def test_grain_and_copies_that_were_brightened_stay_as_they_are(hole):
    image = np.random.default_rng(0).integers(100, 106, (60, 120, 3), np.uint8)
    image[:, 60:] -= 30
    out = filled(image, hole, brighter=30)
    before = out.copy()
    soften(image, hole, out, copied, Watch())
    assert (out == before).all()


def test_copies_of_what_is_unknown_are_left_alone(hole):
    image = np.full((60, 120, 3), 90, np.uint8)
    out = filled(image, hole)
    out[hole] = 200
    before = out.copy()
    soften(image, hole, out, lambda place: np.full((len(place), 2), (0, 10), np.int32), Watch())
    inside = np.s_[24:36, 22:28]
    assert (out[inside] == before[inside]).all()

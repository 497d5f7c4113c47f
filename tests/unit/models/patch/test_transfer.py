"""Labels of working size, made of full-size samples."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magic_eraser.models.patch.edge import REACH
from magic_eraser.models.patch.transfer import Plan, transfer
from magic_eraser.models.watch import Watch


def noise(height, width, channels=3, dtype=np.uint8):
    top = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, top, (height, width, channels), dtype, endpoint=True)


def inner(hole):
    """What lies too deep to be softened."""
    side = 2 * REACH + 1
    return cv2.erode(hole.view(np.uint8), np.ones((side, side), np.uint8)) > 0


def plan_of(hole, scale, step):
    """One offset for the whole hole."""
    height, width = hole.shape[0] // scale, hole.shape[1] // scale
    small = hole.reshape(height, scale, width, scale).any((1, 3))
    offsets = np.zeros((2, height, width), np.float32)
    offsets[0], offsets[1] = step
    return Plan(small, offsets, (scale, scale), np.zeros((height, width, 3), np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("scale", [4, 12])
def test_where_labels_agree_it_is_an_exact_copy(dtype, channels, scale):
    image = noise(240, 360, channels, dtype)
    hole = np.zeros((240, 360), bool)
    hole[100:150, 60:130] = True
    out = np.zeros_like(image)
    transfer(image, hole, plan_of(hole, scale, (7, 153)), out, Watch())
    assert (out[inner(hole)] == np.roll(image, (-7, -153), (0, 1))[inner(hole)]).all()
    assert (out[~hole] == 0).all()


def test_the_correction_is_of_colours_and_in_the_pictures_own_units():
    image = noise(120, 120, 4, np.uint16) // 4 + 20_000
    hole = np.zeros((120, 120), bool)
    hole[40:60, 40:60] = True
    plan = plan_of(hole, 4, (0, 40))
    plan.correction[plan.hole] = 10.0
    out = image.copy()
    transfer(image, hole, plan, out, Watch())
    away = out.astype(int) - np.roll(image, -40, 1)
    assert np.abs(away[inner(hole)][:, :3] - 2570).max() <= 1
    assert (away[hole][:, 3] == 0).all()


def test_what_would_be_copied_from_the_hole_comes_from_the_nearest_known_pixels():
    image = noise(120, 240) // 8 + 200
    hole = np.zeros((120, 240), bool)
    hole[40:80, 80:140] = True
    image[hole] = 0
    out = image.copy()
    transfer(image, hole, plan_of(hole, 4, (0, 57)), out, Watch())  # three pixels short
    assert (out[inner(hole)] >= 200).all()


def test_labels_that_differ_go_over_into_each_other():
    image = np.full((200, 400, 3), 50, np.uint8)
    image[:, 300:] = 200
    hole = np.zeros((200, 400), bool)
    hole[60:120, 100:160] = True
    plan = plan_of(hole, 4, (0, 220))
    plan.offsets[1][:, : 130 // 4] = 70
    out = np.zeros_like(image)
    transfer(image, hole, plan, out, Watch())
    row = out[90, 100 + REACH : 160 - REACH, 0].astype(int)
    assert row[0] == 50
    assert row[-1] == 200
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 60


def test_a_piece_that_is_bent_is_sampled_in_between():
    ramp = (np.arange(400) // 2).astype(np.uint8)
    image = np.repeat(np.broadcast_to(ramp, (200, 400))[..., None], 3, 2)
    hole = np.zeros((200, 400), bool)
    hole[60:140, 100:180] = True
    plan = plan_of(hole, 8, (0, 100))
    plan.offsets[1] += np.linspace(0, 60, plan.hole.shape[1], dtype=np.float32)
    out = np.zeros_like(image)
    transfer(image, hole, plan, out, Watch())
    row = out[100, 100 + REACH : 180 - REACH, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() <= 2


def test_a_strip_longer_than_opencv_can_index_is_filled():
    image = noise(24, 40_000)
    hole = np.zeros((24, 40_000), bool)
    hole[4:20, 36_000:36_400] = True
    out = np.zeros_like(image)
    transfer(image, hole, plan_of(hole, 4, (0, -1000)), out, Watch())
    assert (out[inner(hole)] == np.roll(image, 1000, 1)[inner(hole)]).all()

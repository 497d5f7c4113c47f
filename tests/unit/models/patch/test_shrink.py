"""The picture at working size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magic_eraser.models.patch.shrink import as_seen, shrink
from magic_eraser.models.watch import Watch


@pytest.mark.parametrize("scale", [1.5, 4.0, 7.3])
def test_it_is_the_mean_of_what_each_pixel_covers(texture, scale):
    image = texture(804, 1000, grain=8.0)
    hole = np.zeros((804, 1000), bool)
    hole[300:400, 300:400] = True
    small = shrink(image, hole, scale, Watch())
    height, width = small.hole.shape
    assert (height, width) == (round(804 / scale), round(1000 / scale))
    expected = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    away = np.abs(small.image.astype(int) - expected)[~small.hole]
    assert away.max() <= 8  # blocks of four pixels do not end where seven do
    assert away.mean() < 1.5
    assert (small.image[small.hole] == 0).all()
    assert small.scale == pytest.approx((804 / height, 1000 / width), rel=0.01)


@pytest.mark.parametrize("scale", [1.4, 3.1, 6.7])
@pytest.mark.parametrize("at", [(0, 0), (506, 702), (333, 401)])
def test_one_hidden_pixel_makes_the_small_one_a_hole(scale, at):
    hole = np.zeros((507, 703), bool)
    hole[at] = True
    small = shrink(np.zeros((507, 703, 3), np.uint8), hole, scale, Watch())
    place = tuple(min(int(a / s), n - 1) for a, s, n in zip(at, small.scale, small.hole.shape, strict=True))
    assert small.hole[place]
    assert small.hole.sum() <= 4


@pytest.mark.parametrize(("tone", "behind"), [(30_000, 255), (50_000, 0)])
def test_sixteen_bits_become_eight_and_transparency_a_colour_far_from_the_picture(tone, behind):
    image = np.full((4, 4, 4), tone, np.uint16)
    image[..., 3] = 65_535
    image[:, 2, 3] = 0
    hole = np.zeros((4, 4), bool)
    hole[:, 3] = True
    seen = as_seen(image, hole)
    assert seen.dtype == np.uint8
    assert (seen[:, :2] == round(tone / 257)).all()
    assert (seen[:, 2] == behind).all()
    assert (seen[:, 3] == 0).all()
    assert (as_seen(image[..., :3], hole)[:, :3] == round(tone / 257)).all()

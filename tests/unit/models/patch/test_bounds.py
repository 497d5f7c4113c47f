"""Any picture and any hole give a picture, in bounded time."""

from __future__ import annotations

import time

import numpy as np
import pytest

SIZE = 256


def _except(known):
    hole = np.ones((SIZE, SIZE), bool)
    hole[known] = False
    return hole


def _frame():
    return _except(np.s_[30:-30, 30:-30])


def _specks(count, side):
    hole = np.zeros((SIZE, SIZE), bool)
    for y, x in np.random.default_rng(3).integers(0, SIZE - side, (count, 2)):
        hole[y : y + side, x : x + side] = True
    return hole


HOLES = {
    "one known pixel": _except(np.s_[5, 5]),
    "one known row": _except(np.s_[9]),
    "eight known rows": _except(np.s_[:8]),
    "sixteen known rows": _except(np.s_[100:116]),
    "a known corner of a tenth": _except(np.s_[:101, :101]),
    "a frame": _frame(),
    "all but a frame": ~_frame(),
    "the left half": _except(np.s_[:, SIZE // 2 :]),
    "every other pixel": np.indices((SIZE, SIZE)).sum(0) % 2 == 0,
    "a random half": np.random.default_rng(1).random((SIZE, SIZE)) < 0.5,
    "stripes": (np.arange(SIZE) // 12 % 2 == 0)[None, :].repeat(SIZE, 0),
    "500 specks": _specks(500, 3),
    "60 spots": _specks(60, 10),
    "one pixel missing": ~_except(np.s_[40, 50]),
}


@pytest.mark.parametrize("name", HOLES)
def test_any_hole_gives_a_picture(fill, texture, name):
    image, hole = texture(SIZE, SIZE), HOLES[name]
    begun = time.thread_time()
    filled = fill(image, hole)
    assert time.thread_time() - begun < 6  # 2 s on a quiet machine
    assert (filled[~hole] == image[~hole]).all()
    assert np.abs(filled[hole].mean(0) - 128).max() < 80  # neither black nor white


@pytest.mark.parametrize(
    "shape", [(1, 2), (2, 2), (5, 5), (1, 50), (3, 200), (200, 3), (6, 200), (7, 7), (8, 300), (33, 31)]
)
def test_any_size_gives_a_picture(fill, texture, shape):
    image = texture(*shape)
    hole = np.zeros(shape, bool)
    hole[shape[0] // 3 :, shape[1] // 2 :] = True
    filled = fill(image, hole)
    assert filled.shape == image.shape
    assert (filled[~hole] == image[~hole]).all()


def test_a_single_pixel_without_hole_is_returned(fill):
    image = np.full((1, 1, 3), 9, np.uint8)
    assert (fill(image, np.zeros((1, 1), bool)) == image).all()


@pytest.mark.parametrize("tone", [0, 255])
def test_black_and_white_are_filled_with_themselves(fill, square_hole, tone):
    image = np.full((120, 120, 3), tone, np.uint8)
    assert (fill(image, square_hole(120, 120, 50)) == image).all()


def test_white_noise_is_filled_with_noise(fill, square_hole):
    image = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    hole = square_hole(160, 160, 60)
    assert fill(image, hole)[hole].std() > 40


@pytest.mark.parametrize("corner", [np.s_[:60, :60], np.s_[-60:, -60:], np.s_[70:130, :50]])
def test_a_hole_at_the_edge_is_filled_with_texture(fill, texture, corner):
    image = texture(200, 200)
    hole = np.zeros((200, 200), bool)
    hole[corner] = True
    assert fill(image, hole)[hole].std() > 0.6 * image.std()


def test_a_crowded_level_is_thinned_and_still_filled(fill, texture):
    hole = np.ones((800, 800), bool)
    hole[:120] = False
    image = texture(800, 800)
    begun = time.thread_time()
    filled = fill(image, hole)
    assert time.thread_time() - begun < 9  # 2.5 s on a quiet machine
    assert filled[hole].std() > 0.4 * image.std()


@pytest.mark.parametrize("shape", [(1, 3000), (3, 9000), (3000, 1), (14, 900)])
def test_a_ribbon_of_a_picture_gets_colours_from_its_ends(fill, shape):
    rng = np.random.default_rng(0)
    image = np.clip(129 + rng.normal(0, 12, (*shape, 3)), 0, 255).astype(np.uint8)
    long = max(shape)
    hole = np.zeros(shape, bool)
    hole[(slice(None), slice(long // 3, long // 2)) if shape[1] == long else slice(long // 3, long // 2)] = (
        True
    )
    image[hole] = 0
    assert abs(fill(image, hole)[hole].mean() - 129) < 20

"""Depth, opacity and softness between a picture and its models."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.hosting.pool import LocalPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.imaging.compose import blend
from magic_eraser.imaging.photo import Photo
from magic_eraser.models.catalog import CATALOG
from magic_eraser.service.erase import EraseService
from magic_eraser.service.fill import feathered, with_opacity, without_opacity
from magic_eraser.service.request import EraseOptions, EraseRequest

SIZE = 160


@pytest.fixture
def erase():
    workers = Workers(threads=1)
    service = EraseService(LocalPool(workers), workers)

    def run(image, hole, **options) -> np.ndarray:
        request = EraseRequest(Photo.from_array(image), hole, EraseOptions(**options), output=None)
        return asyncio.run(service.erase(LOCAL_OWNER, request)).photo.to_array()

    yield run
    workers.close()


@pytest.fixture
def hole():
    hole = np.zeros((SIZE, SIZE), bool)
    hole[60:100, 60:100] = True
    return hole


def noise(channels, dtype):
    top = np.iinfo(dtype).max
    image = np.random.default_rng(0).integers(top // 4, top // 2, (SIZE, SIZE, channels), dtype)
    if channels == 4:
        image[..., 3] = top
        image[: SIZE // 2, :, 3] = top // 3
    return image


@pytest.mark.parametrize("model", ["patch", "auto"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_come_back_in_full(erase, hole, model, channels):
    image = noise(channels, np.uint16)
    erased = erase(image, hole, model=model)
    assert (erased[~hole] == image[~hole]).all()
    assert (erased[hole] != image[hole]).any()
    assert (erased[hole][:, 0] % 257 != 0).mean() > 0.9  # of 8 bits times 257 none would be


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_opacity_is_copied_with_the_colours(erase, hole, dtype):
    image = noise(4, dtype)
    erased = erase(image, hole, model="patch")
    assert (erased[~hole] == image[~hole]).all()
    assert set(np.unique(erased[..., 3])) == set(np.unique(image[..., 3]))  # copied, not smeared
    wrong = erased[..., 3] != image[..., 3]
    assert wrong[hole].mean() < 0.15


def test_even_opacity_stays_even(erase, hole):
    image = noise(4, np.uint8)
    image[..., 3] = 77
    assert (erase(image, hole, model="patch")[..., 3] == 77).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_soft_edge_mixes_at_every_depth(erase, hole, dtype, channels):
    image = noise(channels, dtype)
    erased = erase(image, hole, model="patch", feather=6)
    assert erased.dtype == dtype
    far = np.zeros_like(hole)
    far[45:115, 45:115] = True
    assert (erased[~far] == image[~far]).all()


@pytest.mark.parametrize("even", [True, False])
def test_only_opacity_that_varies_is_given_to_a_model_that_takes_it(hole, even):
    colours, alpha = noise(3, np.uint8), np.full((SIZE, SIZE), 9, np.uint8)
    alpha[hole] = 100
    if not even:
        alpha[0, 0] = 10
    given = with_opacity(colours, alpha, hole, CATALOG["patch"].card)
    assert given.shape[2] == (3 if even else 4)
    assert with_opacity(colours, alpha, hole, CATALOG["telea"].card) is colours
    assert with_opacity(colours, None, hole, CATALOG["patch"].card) is colours
    back, opacity = without_opacity(given)
    assert (back == colours).all()
    assert opacity is None if even else (opacity == alpha).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_feathering_at_the_rim_alone_is_blending_everywhere(hole, channels):
    rng = np.random.default_rng(1)
    shape = (SIZE, SIZE) if channels == 1 else (SIZE, SIZE, channels)
    original, filled = (rng.integers(0, 65_535, shape, np.uint16) for _ in range(2))
    weight = np.where(hole, rng.integers(0, 256, hole.shape), 0).astype(np.uint8)
    expected = blend(original, filled, weight)
    filled.setflags(write=False)
    assert (feathered(original, filled, hole, weight)[hole] == expected[hole]).all()

"""Detail: a fill comes back to full size with the texture that stands round it, and with nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from skimage import data

from fill_metrics import swd
from magic_eraser.errors import Cancelled
from magic_eraser.imaging.compose import enlarge
from magic_eraser.models.detail import restore
from magic_eraser.models.watch import Watch

SEED = 3


@pytest.fixture
def hole():
    mask = np.zeros((360, 400), np.uint8)
    cv2.ellipse(mask, (200, 180), (90, 70), 20, 0, 360, 1, -1)
    return mask > 0


def texture(shape: tuple[int, int], contrast: float = 30, seed: int = 1) -> np.ndarray:
    """Blobs of two sizes: uint8 (h, w, 3)."""
    noise = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(noise, (0, 0), width) for width in (1, 4))
    plane = 120 + contrast * (fine / fine.std() + coarse / coarse.std()) / 1.4
    return np.repeat(np.clip(plane, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def small(image: np.ndarray, scale: float) -> np.ndarray:
    size = (round(image.shape[1] / scale), round(image.shape[0] / scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def inside(hole: np.ndarray, by: int = 9) -> np.ndarray:
    return cv2.erode(hole.view(np.uint8), np.ones((by, by), np.uint8)) > 0


def fine(image: np.ndarray, where: np.ndarray) -> float:
    """Deviation of what is finer than 2 px."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), 2))[where].std())


def pasted(image: np.ndarray, filled: np.ndarray, hole: np.ndarray) -> np.ndarray:
    return np.where(hole[..., None], filled, image)


@pytest.mark.parametrize("scale", [2, 3, 4.7])
def test_texture_comes_back_with_its_strength(hole, scale):
    image = texture(hole.shape)

    out = pasted(image, restore(small(image, scale), image, hole, hole, SEED, Watch()), hole)

    assert 0.75 < fine(out, inside(hole)) / fine(image, ~hole) < 1.25


def test_a_real_texture_is_nearer_to_the_truth_than_when_it_is_only_enlarged():
    image = np.ascontiguousarray(np.repeat(data.gravel()[:400, :400, None], 3, axis=2))
    hole = np.zeros(image.shape[:2], bool)
    hole[130:270, 120:280] = True
    fill = small(image, 3)

    apart = [
        swd(pasted(image, found, hole), image, hole)
        for found in (
            restore(fill, image, hole, hole, SEED, Watch()),
            enlarge(fill, image, hole, hole, SEED),
        )
    ]

    assert apart[0] is not None
    assert apart[1] is not None
    assert apart[0] < 0.7 * apart[1]


def test_the_colours_stay_those_of_the_fill(hole):
    image = texture(hole.shape)
    fill = small(image, 3)

    out = pasted(image, restore(fill, image, hole, hole, SEED, Watch()), hole)

    apart = small(out, 3).astype(float) - fill
    assert abs(apart.mean()) < 1
    assert np.sqrt((apart**2).mean()) < 5


def test_flat_stays_flat(hole):
    image = np.full((*hole.shape, 3), 137, np.uint8)

    assert (restore(small(image, 4), image, hole, hole, SEED, Watch())[hole] == 137).all()


def test_a_smooth_fill_amid_texture_is_given_none(hole):
    image = texture(hole.shape)
    fill = small(image, 3)
    fill[:] = 120  # a wall in a wood

    out = restore(fill, image, hole, hole, SEED, Watch())

    assert fine(out, inside(hole, 31)) < 0.35 * fine(image, ~hole)


def test_a_smooth_shade_stays_smooth_beside_texture(hole):
    image = texture(hole.shape)
    ramp = np.linspace(60, 200, 200).astype(np.uint8)
    image[:, 200:] = ramp[None, :, None]
    far = inside(hole) & (np.arange(hole.shape[1]) > 215)

    out = pasted(image, restore(small(image, 3), image, hole, hole, SEED, Watch()), hole)

    assert np.abs(out[far].astype(int) - image[far]).max() <= 4


def test_an_edge_is_as_steep_as_those_that_are_known(hole):
    image = np.full((*hole.shape, 3), 60, np.uint8)
    image[np.arange(360) > 180] = 190
    steepest = int(np.abs(np.diff(image[:, 200, 0].astype(int))).max())

    out = restore(small(image, 4), image, hole, hole, SEED, Watch())
    enlarged = enlarge(small(image, 4), image, hole, hole, SEED)

    steps = [
        np.abs(np.diff(each[150:210, 180:220, 0].astype(int), axis=0)).max(axis=0).mean()
        for each in (out, enlarged)
    ]
    assert steps[0] > 0.6 * steepest
    assert steps[0] > 1.5 * steps[1]


def test_an_edge_of_a_soft_picture_stays_soft_and_smooth(hole):
    image = np.full((*hole.shape, 3), 60, np.uint8)
    image[np.add.outer(np.arange(360) * 3, np.arange(400)) > 740] = 190
    image = cv2.GaussianBlur(image, (0, 0), 6)

    out = pasted(image, restore(small(image, 6), image, hole, hole, SEED, Watch()), hole)

    assert np.abs(out.astype(int) - image).max() <= 10


def test_a_fill_that_drifts_off_the_picture_is_met_at_the_seam(hole):
    image = np.full((*hole.shape, 3), 100, np.uint8)
    fill = np.full((90, 100, 3), 108, np.uint8)

    out = restore(fill, image, hole, hole, SEED, Watch()).astype(float)

    rim = hole & ~inside(hole, 3)
    assert abs(out[rim].mean() - 100) < 2
    assert abs(out[175:185, 195:205].mean() - 108) < 1


def test_what_the_model_answers_outside_the_hole_need_not_be_the_picture(hole):
    image = texture(hole.shape)
    answer = small(image, 4)
    own = answer.copy()
    own[cv2.resize(hole.view(np.uint8), (100, 90), interpolation=cv2.INTER_AREA) == 0] = 0

    out = restore(own, image, hole, hole, SEED, Watch())

    assert abs(float(out[hole].mean()) - float(image[hole].mean())) < 8


def test_nothing_of_the_unknown_is_looked_at(hole):
    image = texture(hole.shape)
    fill = small(image, 3)
    unknown = hole.copy()
    unknown[20:90, 300:390] = True
    other = image.copy()
    other[unknown] = np.random.default_rng(8).integers(0, 256, (np.count_nonzero(unknown), 3))

    first, second = (restore(fill, each, hole, unknown, SEED, Watch()) for each in (image, other))

    assert (first[hole] == second[hole]).all()


def test_the_same_seed_gives_the_same_detail_and_nothing_given_is_changed(hole):
    image = texture(hole.shape)
    fill = small(image, 3)
    before = image.copy(), fill.copy()

    runs = [restore(fill, image, hole, hole, seed, Watch()) for seed in (3, 3, 4)]

    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).any()
    assert (image == before[0]).all()
    assert (fill == before[1]).all()


def test_sixteen_bits_stay_sixteen_bits(hole):
    image = texture(hole.shape)
    deep = image.astype(np.uint16) * 257
    fill = small(deep, 3)

    out = restore(fill, deep, hole, hole, SEED, Watch())

    assert out.dtype == np.uint16
    assert (out[hole] % 257 != 0).any()
    shown = pasted(image, (out // 257).astype(np.uint8), hole)
    assert 0.75 < fine(shown, inside(hole)) / fine(image, ~hole) < 1.25


def _hardly_smaller(image: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return small(image, 1.1), hole


def _nothing_known(image: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return small(image, 4), np.ones_like(hole)


def _only_a_rim_known(image: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    unknown = np.ones_like(hole)
    unknown[:8] = False
    return small(image, 4), unknown


def _tiny(image: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return small(image, 40), hole


@pytest.mark.parametrize("case", [_hardly_smaller, _nothing_known, _only_a_rim_known, _tiny])
def test_where_there_is_nothing_to_copy_it_is_enlarged(
    hole, case: Callable[..., tuple[np.ndarray, np.ndarray]]
):
    image = texture(hole.shape)
    fill, unknown = case(image, hole)

    out = restore(fill, image, hole, unknown, SEED, Watch())

    assert (out == enlarge(fill, image, hole, unknown, SEED)).all()


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5])
def test_a_hole_of_a_few_pixels_is_filled(side: int):
    # as few as three targets a side, where the search steps by four
    image = texture((96, 96))
    hole = np.zeros((96, 96), bool)
    hole[40 : 40 + side, 50 : 50 + side] = True
    filled = restore(small(image, 1.4), image, hole, hole, 0, Watch())
    assert filled.shape == image.shape
    assert np.abs(filled[hole].astype(int) - image[hole]).mean() < 60


@pytest.mark.parametrize("place", ["corner", "specks", "row", "most"])
def test_holes_of_any_shape_are_filled(place):
    image = texture((300, 260))
    hole = np.zeros((300, 260), bool)
    if place == "corner":
        hole[:70, :60] = True
    elif place == "specks":
        hole[50:250:40, 30:230:35] = True
    elif place == "row":
        hole[140:150] = True
    else:
        hole[:, 90:] = True

    out = pasted(image, restore(small(image, 2.5), image, hole, hole, SEED, Watch()), hole)

    assert np.abs(small(out, 2.5).astype(float) - small(image, 2.5)).mean() < 6


def test_it_stops_when_nobody_waits(hole):
    image = texture(hole.shape)
    watch = Watch()
    watch.cancel()

    with pytest.raises(Cancelled):
        restore(small(image, 3), image, hole, hole, SEED, watch)


class Gaps(Watch):
    """Longest CPU time of this thread between two checks."""

    longest = 0.0
    last: float | None = None

    def check(self) -> None:
        now = time.thread_time()
        if self.last is not None:
            self.longest = max(self.longest, now - self.last)
        self.last = now
        super().check()


def test_the_watch_is_checked_often():
    image = texture((1500, 2000))
    hole = np.zeros(image.shape[:2], bool)
    hole[300:1200, 400:1500] = True
    watch = Gaps()

    restore(small(image, 3.9), image, hole, hole, SEED, watch)

    assert 0 < watch.longest < 0.1

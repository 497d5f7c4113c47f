"""Growing a hole to the rim of its object: as far as the object goes, and no further."""

from __future__ import annotations

import time

import numpy as np
import pytest

from magic_eraser.imaging.photo import Photo
from magic_eraser.imaging.rim import grow_to_rim

ORANGE, GREEN = (200, 90, 30), (90, 140, 80)


def disc(radius: float, *, size: int = 256, object_=ORANGE, ground=GREEN, noise: float = 0, soft: float = 1):
    """A disc with an edge `soft` px wide, uint8 (size, size, 3), and the distance of every pixel from its middle."""
    y, x = np.mgrid[:size, :size]
    away = np.hypot(x - size / 2 - 0.3, y - size / 2 + 0.2)
    share = np.clip((radius - away) / soft + 0.5, 0, 1)[..., None]
    image = share * np.array(object_) + (1 - share) * np.array(ground)
    image += noise * np.random.default_rng(1).standard_normal(image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), away


@pytest.mark.parametrize("missing", range(7))
@pytest.mark.parametrize(
    "look",
    [
        {},
        {"noise": 10},
        {"soft": 3},
        {"object_": (120, 120, 120), "ground": (150, 150, 150)},
        {"object_": (0, 0, 0), "ground": (255, 255, 255)},
    ],
    ids=["plain", "noisy", "soft", "a faint shadow", "black on white"],
)
def test_a_stroke_too_small_for_its_object_grows_to_its_rim(look, missing):
    image, away = disc(40, **look)
    hole = away <= 40 - missing

    grown = grow_to_rim(Photo.from_array(image), hole)

    assert grown[away <= 40].mean() >= 0.98
    assert away[grown].max() <= 42


@pytest.mark.parametrize("spare", [3, 4, 6, 10, 20])
@pytest.mark.parametrize("noise", [0, 10])
def test_a_generous_stroke_stays_as_it_is(spare, noise):
    image, away = disc(40, noise=noise)
    hole = away <= 40 + spare

    assert (grow_to_rim(Photo.from_array(image), hole) == hole).all()


def test_a_stroke_over_one_plain_texture_stays_as_it_is():
    image, away = disc(40, object_=GREEN, noise=20)
    hole = away <= 40

    assert (grow_to_rim(Photo.from_array(image), hole) == hole).all()


def test_growth_is_decided_place_by_place():
    image, away = disc(40)
    hole = np.roll(away <= 42, 6, axis=1)  # 4 px short on the left, 8 px to spare on the right

    grown = grow_to_rim(Photo.from_array(image), hole)

    assert grown[away <= 40].mean() >= 0.98
    assert (grown == hole)[:, 150:].all()


def test_a_neighbour_that_the_stroke_touches_is_not_eaten():
    image, away = disc(40)
    image[:, 170:] = (240, 240, 240)  # begins 2 px beyond the disc's right edge
    hole = away <= 41

    grown = grow_to_rim(Photo.from_array(image), hole)

    assert not (grown & ~hole)[:, 173:].any()


def test_12_megapixels_grow_in_proportion():
    image, away = disc(200, size=2048, soft=2)
    hole = away <= 200 - 10

    grown = grow_to_rim(Photo.from_array(image), hole)

    assert grown[away <= 200].mean() >= 0.98
    assert away[grown].max() <= 204


def test_most_bounds_the_growth():
    image, away = disc(40)
    hole = away <= 34
    photo = Photo.from_array(image)

    grown = grow_to_rim(photo, hole, most=2)

    assert (grow_to_rim(photo, hole, most=0) == hole).all()
    assert not grown[away > 34 + 2 * 2**0.5].any()


def test_8_and_16_bit_and_another_run_agree():
    image, away = disc(40, noise=10)
    hole = away <= 36

    grown = grow_to_rim(Photo.from_array(image), hole)

    assert (grow_to_rim(Photo.from_array(image), hole) == grown).all()
    assert (grow_to_rim(Photo.from_array(image.astype(np.uint16) * 257), hole) == grown).all()


def test_grey_pictures_grow_too():
    image, away = disc(40)

    grown = grow_to_rim(Photo.from_array(image[..., 0].copy()), away <= 36)

    assert grown[away <= 40].mean() >= 0.98


def masks(height: int, width: int):
    rng = np.random.default_rng(3)
    specks = np.zeros((height, width), bool)
    for y, x in zip(rng.integers(0, height - 2, 500), rng.integers(0, width - 2, 500), strict=True):
        specks[y : y + 3, x : x + 3] = True
    half = np.zeros((height, width), bool)
    half[:, : width // 2] = True
    stripes = np.zeros((height, width), bool)
    stripes[:, ::2] = True
    one = np.zeros((height, width), bool)
    one[0, 0] = True
    return {
        "specks": specks,
        "half": half,
        "stripes": stripes,
        "dust": rng.random((height, width)) < 0.5,
        "one": one,
        "all but one": ~one,
        "frame": np.pad(np.zeros((height - 8, width - 8), bool), 4, constant_values=True),
    }


@pytest.mark.parametrize("kind", masks(20, 20))
def test_any_mask_is_contained_in_what_it_grows_to_and_soon(kind):
    image = np.random.default_rng(2).integers(0, 256, (384, 512, 3), dtype=np.uint8)
    hole = masks(384, 512)[kind]
    before, started = hole.copy(), time.process_time()

    grown = grow_to_rim(Photo.from_array(image), hole)

    assert time.process_time() - started < 1  # 0.02-0.08 s on one core
    assert (hole == before).all()
    assert grown[hole].all()
    assert not grown.all()


def test_specks_and_scratches_grow_by_a_pixel_at_most():
    image = np.full((200, 200, 3), 90, np.uint8)
    hole = np.zeros((200, 200), bool)
    hole[50:53, 60:63] = hole[100:103, 20:180] = True
    image[49:54, 59:64] = image[99:104, 19:181] = 170
    image[hole] = 250

    grown = grow_to_rim(Photo.from_array(image), hole)

    near = np.zeros_like(hole)
    near[49:54, 59:64] = near[99:104, 19:181] = True
    assert grown[100 - 1, 40:160].all()  # the antialiased rim
    assert not grown[~near].any()


def test_nothing_and_everything_stay():
    photo = Photo.from_array(disc(40)[0])

    assert not grow_to_rim(photo, np.zeros((256, 256), bool)).any()
    assert grow_to_rim(photo, np.ones((256, 256), bool)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 200), (5, 5)])
def test_tiny_pictures_are_no_trouble(shape):
    hole = np.zeros(shape, bool)
    hole[0, 0] = True

    grown = grow_to_rim(Photo.from_array(np.zeros((*shape, 3), np.uint8)), hole)

    assert grown[0, 0]


def test_a_hole_that_does_not_fit_is_refused():
    photo = Photo.from_array(np.zeros((4, 5, 3), np.uint8))

    with pytest.raises(ValueError, match="does not fit"):
        grow_to_rim(photo, np.zeros((5, 4), bool))
    with pytest.raises(ValueError, match="most is 0 or more"):
        grow_to_rim(photo, np.zeros((4, 5), bool), most=-1)

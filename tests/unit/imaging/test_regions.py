"""Regions: few crops, every hole pixel in exactly one, context as asked."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from magic_eraser.imaging.regions import CELL, MOST_REGIONS, Region, find_regions, shrink


def covered(regions: list[Region], shape: tuple[int, int]) -> np.ndarray:
    count = np.zeros(shape, int)
    for region in regions:
        count[region.box.slices] += region.hole
    return count


def test_one_hole_gets_one_crop_with_context_in_proportion():
    hole = np.zeros((1000, 1000), bool)
    hole[400:500, 400:600] = True

    (region,) = find_regions(hole, context=0.5, min_context=10)

    assert region.box.left <= 300
    assert region.box.right >= 700
    assert region.box.left >= 300 - 16  # the grid's cells may add a little
    assert region.scale == 1
    assert (region.hole == hole[region.box.slices]).all()


def test_a_speck_gets_the_least_context():
    hole = np.zeros((1000, 1000), bool)
    hole[500, 500] = True

    (region,) = find_regions(hole, context=1.0, min_context=64)

    assert 129 <= region.box.width <= 145


def test_far_apart_holes_do_not_share_a_crop():
    hole = np.zeros((3000, 4000), bool)
    hole[100:140, 100:140] = hole[2800:2840, 3800:3840] = True

    regions = find_regions(hole, context=1.0, min_context=64)

    assert len(regions) == 2
    assert sum(r.box.width * r.box.height for r in regions) < 0.01 * hole.size


def test_500_specks_in_12_megapixels_are_a_few_calls():
    rng = np.random.default_rng(5)
    hole = np.zeros((3000, 4000), bool)
    for y, x in zip(rng.integers(0, 2996, 500), rng.integers(0, 3996, 500), strict=True):
        hole[y : y + 4, x : x + 4] = True

    regions = find_regions(hole, context=0.1, min_context=16)

    assert len(regions) <= MOST_REGIONS
    assert (covered(regions, hole.shape) == hole).all()


def test_a_neighbours_hole_is_unknown_but_not_filled_twice():
    hole = np.zeros((400, 1200), bool)
    hole[100:300, 100:300] = True
    hole[190:200, 700:710] = True  # inside the large one's context, a group of its own would be wasteful

    regions = find_regions(hole, context=2.5, min_context=16)

    assert (covered(regions, hole.shape) == hole).all()
    for region in regions:
        assert (region.unknown == hole[region.box.slices]).all()


def test_a_large_hole_is_shrunk_to_the_working_size():
    hole = np.zeros((3000, 4000), bool)
    hole[500:2500, 500:2500] = True

    (by_side,) = find_regions(hole, context=0.25, min_context=16, working_size=768)
    (by_area,) = find_regions(hole, context=0.25, min_context=16, working_hole=1_000_000)

    assert by_side.scale == max(by_side.box.width, by_side.box.height) / 768
    assert by_area.scale == 2


def test_a_scratch_across_the_picture_is_not_shrunk():
    hole = np.zeros((3000, 4000), bool)
    hole[np.arange(3000), np.arange(3000)] = True

    (region,) = find_regions(hole, context=0.1, min_context=16, working_hole=400_000)

    assert region.scale == 1


@settings(deadline=None, max_examples=60)
@given(
    hole=npst.arrays(bool, st.tuples(st.integers(1, 120), st.integers(1, 120)), elements=st.booleans()),
    context=st.floats(0, 2),
    most=st.integers(1, 5),
)
def test_whatever_the_mask_every_hole_pixel_is_filled_once(hole, context, most):
    hole[0, 0] = True

    regions = find_regions(hole, context=context, min_context=3, most=most)

    assert 1 <= len(regions) <= most
    assert (covered(regions, hole.shape) == hole).all()
    for region in regions:
        assert region.hole.any()
        assert 0 <= region.box.left < region.box.right <= hole.shape[1]
        assert 0 <= region.box.top < region.box.bottom <= hole.shape[0]


SIDES = (32, 48, 64, 96)


def test_small_holes_grow_to_sides_that_agree():
    hole = np.zeros((3000, 4000), bool)
    hole[2:5, 3990:4000] = hole[700:745, 900:960] = hole[2000:2010, 2000:2009] = True

    regions = find_regions(hole, context=0.5, min_context=64, working_size=512, sides=(128, 192, 256, 512))

    assert [region.hole.shape for region in regions] == [(128, 128), (192, 192), (192, 192)]
    assert all(region.scale == 1 for region in regions)


def test_a_single_hole_is_not_grown_for_the_sake_of_others():
    hole = np.zeros((1000, 1000), bool)
    hole[400:460, 400:460] = True

    (plain,) = find_regions(hole, context=0.5, min_context=64, working_size=512)
    (asked,) = find_regions(hole, context=0.5, min_context=64, working_size=512, sides=(256, 512))

    assert asked.box == plain.box
    assert max(plain.hole.shape) <= 200


def test_a_crop_that_is_shrunk_has_those_sides_as_the_model_sees_it():
    hole = np.zeros((3000, 4000), bool)
    hole[100:700, 100:900] = hole[2500:2504, 3500:3504] = True

    large, small = find_regions(
        hole, context=0.5, min_context=64, working_size=512, sides=(128, 192, 256, 384, 512)
    )

    assert [round(side / large.scale) for side in large.hole.shape] == [512, 512]
    assert small.hole.shape == (192, 192)


def test_a_long_crop_does_not_become_a_square():
    hole = np.zeros((3000, 4000), bool)
    hole[1500:1510, 100:3000] = hole[100:104, 3500:3504] = True

    _, long = find_regions(hole, context=0.05, min_context=64, working_size=512, sides=(64, 128, 512))

    assert long.hole.shape[0] < long.hole.shape[1] / 4


def test_specks_all_over_are_not_shrunk_together():
    rng = np.random.default_rng(5)
    hole = np.zeros((3000, 4000), bool)
    for y, x in zip(rng.integers(0, 2996, 500), rng.integers(0, 3996, 500), strict=True):
        hole[y : y + 4, x : x + 4] = True

    (together,) = find_regions(hole, context=1, min_context=128, working_size=512)
    apart = find_regions(hole, context=1, min_context=128, working_size=512, sides=(256, 512))

    assert together.scale > 7
    assert len(apart) <= MOST_REGIONS
    assert max(region.scale for region in apart) < 4
    assert (covered(apart, hole.shape) == hole).all()


@settings(deadline=None, max_examples=80)
@given(
    hole=npst.arrays(bool, st.tuples(st.integers(1, 150), st.integers(1, 150)), elements=st.booleans()),
    sparse=st.integers(1, 400),
    context=st.floats(0, 2),
    most=st.integers(1, 5),
    working_size=st.sampled_from((40, 96, 200)),
)
def test_whatever_the_sides_every_hole_pixel_is_filled_once(hole, sparse, context, most, working_size):
    hole &= np.arange(hole.size).reshape(hole.shape) % sparse == 0
    hole[0, 0] = True

    regions = find_regions(
        hole, context=context, min_context=3, working_size=working_size, most=most, sides=SIDES
    )

    assert 1 <= len(regions) <= most
    assert (covered(regions, hole.shape) == hole).all()
    for region in regions:
        assert region.hole.any()
        assert 0 <= region.box.left < region.box.right <= hole.shape[1]
        assert 0 <= region.box.top < region.box.bottom <= hole.shape[0]
        assert (region.unknown == hole[region.box.slices]).all()
        assert max(region.hole.shape) / region.scale <= working_size + CELL


def test_shrinking_lets_nothing_of_the_hole_leak_out():
    image = np.full((100, 100, 3), 50, np.uint8)
    unknown = np.zeros((100, 100), bool)
    unknown[33:66, 33:66] = True
    image[unknown] = 255

    small, small_unknown = shrink(image, unknown, 4)

    assert small.shape == (25, 25, 3)
    assert (small[~small_unknown] == 50).all()
    assert 49 <= small_unknown.sum() <= 81


def test_shrinking_keeps_a_hole_that_is_thinner_than_a_pixel():
    unknown = np.zeros((40, 40), bool)
    unknown[20, 20] = True

    _, small_unknown = shrink(np.zeros((40, 40, 3), np.uint16), unknown, 8)

    assert small_unknown.any()

"""Batches: few calls, little padding, nothing lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.imaging.regions import find_regions
from magic_eraser.service.batches import SIDES, WASTE, group


def padded(shapes: list[tuple[int, int]], calls: list[list[int]], multiple_of: int = 1) -> int:
    """Pixels that a model is given."""

    def up(side: int) -> int:
        return math.ceil(side / multiple_of) * multiple_of

    return sum(
        len(call) * up(max(shapes[k][0] for k in call)) * up(max(shapes[k][1] for k in call))
        for call in calls
    )


def test_crops_of_one_size_fill_the_calls():
    assert [len(call) for call in group([(256, 256)] * 20, 8)] in ([8, 8, 4], [4, 8, 8], [8, 4, 8])


def test_nothing_to_do_is_no_call():
    assert group([], 8) == []


def test_a_small_crop_is_not_padded_to_a_large_one():
    assert group([(128, 128), (512, 512), (128, 128)], 8) == [[1], [0, 2]]


def test_a_few_smaller_crops_ride_along_where_that_saves_a_call():
    shapes = [(512, 512)] * 14 + [(384, 384)] * 2

    calls = group(shapes, 8)

    assert len(calls) == 2
    assert padded(shapes, calls) <= WASTE * sum(h * w for h, w in shapes)


def test_sizes_that_a_model_pads_anyway_are_the_same():
    assert len(group([(500, 490), (512, 512)], 8, multiple_of=512)) == 1


@given(
    shapes=st.lists(st.tuples(st.integers(1, 600), st.integers(1, 600)), max_size=40),
    most=st.integers(1, 9),
    multiple_of=st.sampled_from((1, 8, 64, 512)),
)
def test_every_crop_is_in_one_call_and_little_is_wasted(shapes, most, multiple_of):
    calls = group(shapes, most, multiple_of)

    assert sorted(k for call in calls for k in call) == list(range(len(shapes)))
    assert all(1 <= len(call) <= most for call in calls)
    alone = padded(shapes, [[k] for k in range(len(shapes))], multiple_of)
    assert padded(shapes, calls, multiple_of) <= WASTE * alone


@given(
    shapes=st.lists(st.tuples(st.integers(470, 512), st.integers(470, 512)), max_size=40),
    most=st.integers(1, 9),
)
def test_crops_of_about_one_size_take_no_more_calls_than_they_must(shapes, most):
    assert len(group(shapes, most)) == math.ceil(len(shapes) / most)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("context", "min_context"), [(0.5, 32), (1.0, 64), (1.0, 128)])
def test_500_specks_in_12_megapixels_take_two_calls(seed, context, min_context):
    rng = np.random.default_rng(seed)
    hole = np.zeros((3000, 4000), bool)
    for y, x in zip(rng.integers(0, 2990, 500), rng.integers(0, 3990, 500), strict=True):
        side = int(rng.integers(3, 10))
        hole[y : y + side, x : x + side] = True

    regions = find_regions(hole, context=context, min_context=min_context, working_size=512, sides=SIDES)
    shapes = [(round(r.hole.shape[0] / r.scale), round(r.hole.shape[1] / r.scale)) for r in regions]

    assert len(group(shapes, 8, 8)) <= 2


@pytest.mark.parametrize(("across", "most"), [(60, 200), (300, 512)])
def test_a_hole_alone_costs_no_more_than_it_needs(across, most):
    hole = np.zeros((3000, 4000), bool)
    hole[1203 : 1203 + across, 2001 : 2001 + across] = True

    (region,) = find_regions(hole, context=0.5, min_context=64, working_size=512, sides=SIDES)

    assert max(region.hole.shape) / region.scale <= most

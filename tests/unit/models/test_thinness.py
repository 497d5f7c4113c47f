"""Which parts of a hole a PDE fills."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from magic_eraser.models import thinness
from magic_eraser.models.thinness import label_pieces
from magic_eraser.models.watch import Watch


def thin_parts(hole):
    return thinness.thin_parts(hole, Watch())


def slender_parts(hole):
    return thinness.slender_parts(hole, Watch())


def is_thin(hole):
    return thinness.is_thin(hole, Watch())


def empty(height=300, width=400):
    return np.zeros((height, width), np.uint8)


def stroke(width, height=300, length=400):
    """A bar of exactly that width across the middle."""
    mask = empty(height, length)
    mask[height // 2 : height // 2 + width, 10:-10] = 1
    return mask > 0


def disc(mask, x, y, radius):
    cv2.circle(mask, (x, y), radius, 1, -1)
    return mask


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_strokes_up_to_four_pixels_are_thin(width):
    assert is_thin(stroke(width))


@pytest.mark.parametrize("width", [5, 6, 10, 14])
def test_wider_ones_are_not_where_patches_work_at_full_size(width):
    assert not thin_parts(stroke(width)).any()


@pytest.mark.parametrize("angle", range(0, 90, 15))
def test_a_line_of_three_pixels_is_thin_at_any_angle(angle):
    mask = empty(300, 300)
    turn = np.deg2rad(angle)
    along = np.array([np.cos(turn), np.sin(turn)])
    ends = np.rint([150 - 120 * along, 150 + 120 * along]).astype(np.int32)
    cv2.line(mask, ends[0].tolist(), ends[1].tolist(), 1, 2)  # OpenCV draws it three pixels wide

    assert is_thin(mask > 0)


def test_scratches_that_cross_are_thin():
    mask = empty()
    for y in (20, 80, 150):
        cv2.line(mask, (10, y), (380, 270 - y), 1, 2)

    assert is_thin(mask > 0)


@pytest.mark.parametrize("width", [5, 8, 10, 12])
def test_wires_over_a_large_picture_are_thin(width):
    assert is_thin(stroke(width, 1500, 4000))


def test_letters_of_bold_strokes_are_not():
    assert not thin_parts(stroke(16, 1500, 4000)).any()


def test_what_is_thin_grows_with_the_crop_that_patches_would_need():
    assert not thin_parts(stroke(6, 600, 990)).any()
    assert is_thin(stroke(6, 600, 1600))
    assert not thin_parts(stroke(12, 600, 1600)).any()


def test_a_short_scratch_in_a_large_picture_is_left_to_patches():
    mask = empty(1500, 4000)
    mask[700:708, 2000:2200] = 1

    assert not thin_parts(mask > 0).any()


def test_each_piece_is_judged_for_itself():
    mask = empty()
    mask[20:23, 10:300] = 1
    disc(mask, 200, 180, 40)

    thin = thin_parts(mask > 0)

    assert thin[20:23, 10:300].all()
    assert not thin[100:].any()


def test_a_string_that_holds_a_balloon_is_one_piece():
    mask = disc(empty(), 200, 100, 40)
    mask[100:290, 199:202] = 1

    assert not thin_parts(mask > 0).any()


def test_dust_over_a_large_picture_is_thin_beside_an_object():
    mask = empty(1500, 2000)
    for y, x in np.random.default_rng(1).integers(10, 1400, (200, 2)):
        disc(mask, int(x), int(y), 4)
    disc(mask, 1700, 700, 150)

    thin = thin_parts(mask > 0)

    assert thin[:, :1400].sum() > 0.9 * mask[:, :1400].sum()
    assert not thin[550:850, 1550:1850].any()


@pytest.mark.parametrize("edge", [np.s_[:, :3], np.s_[-4:], np.s_[:, -2:]])
def test_a_strip_at_the_edge_of_the_picture_is_thin(edge):
    mask = empty()
    mask[edge] = 1

    assert is_thin(mask > 0)


def test_nothing_is_thin_of_no_hole():
    assert not thin_parts(np.zeros((5, 6), bool)).any()


HOLES = arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))
BLOBS = st.lists(
    st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(1, 14), st.integers(1, 60)), max_size=6
)


def painted(blobs):
    mask = np.zeros((100, 100), bool)
    for y, x, height, width in blobs:
        mask[y : y + height, x : x + width] = True
    return mask


@settings(max_examples=60, deadline=None)
@given(HOLES | BLOBS.map(painted))
def test_pieces_are_never_split(hole):
    """And every thin pixel is a hole's."""
    for parts in (thin_parts(hole), slender_parts(hole)):
        assert not (parts & ~hole).any()
        count, pieces = cv2.connectedComponents(hole.astype(np.uint8), connectivity=8)
        for piece in range(1, count):
            mine = parts[pieces == piece]
            assert mine.all() or not mine.any()


@settings(max_examples=40, deadline=None)
@given(BLOBS.map(painted), st.randoms())
def test_what_a_whole_leaves_to_patches_its_parts_leave_too(hole, random):
    large = np.zeros((1200, 1500), bool)
    large[::12, ::15] = hole  # pieces of one pixel, spread
    large = cv2.dilate(large.view(np.uint8), np.ones((9, 9), np.uint8)) > 0
    count, pieces = cv2.connectedComponents(large.view(np.uint8), connectivity=8)
    some = np.isin(pieces, [p for p in range(1, count) if random.random() < 0.5])

    assert not (thin_parts(some) & ~thin_parts(large)).any()


@pytest.mark.parametrize("dense", [False, True])
def test_labels_of_sixteen_bits_are_used_only_where_they_suffice(dense):
    mask = np.zeros((600, 600), np.uint8)
    mask[:: 2 if dense else 8, ::2] = 1

    pieces, stats = label_pieces(mask, Watch())
    assert (pieces.dtype == np.uint16) is not dense
    assert len(stats) == mask.sum() + 1


@pytest.mark.parametrize("shape", ["blob", "ring", "ring and dot", "two", "corner"])
def test_a_piece_found_by_its_contour_is_told_like_any_other(shape):
    mask = np.zeros((90, 120), np.uint8)
    cv2.ellipse(mask, (50, 40), (30, 20), 20, 0, 360, 1, -1)
    if shape.startswith("ring"):
        cv2.circle(mask, (50, 40), 12, 0, -1)
    if shape == "ring and dot":
        mask[40, 50] = 1
    if shape == "two":
        mask[80:, 100:] = 1
    if shape == "corner":
        mask[:] = np.eye(90, 120)
    pieces, stats = label_pieces(mask, Watch())
    count, numbers, expected, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    assert (stats == expected).all()
    assert count == len(stats)
    assert (pieces == numbers).all()


def test_many_specks_are_dust_and_a_few_are_not():
    many, few = np.zeros((600, 600), np.bool_), np.zeros((600, 600), np.bool_)
    for index in range(12):
        many[40 * index + 20 : 40 * index + 27, 300:307] = True
    few[:80] = many[:80]
    assert thinness.is_thin(many, Watch())
    assert not thinness.thin_parts(few, Watch()).any()
    many[200:240, 100:140] = True  # a wide piece among the dust stays a wide piece
    assert not thinness.thin_parts(many, Watch())[200:240, 100:140].any()

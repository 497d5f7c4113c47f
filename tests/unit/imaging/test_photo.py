from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from magic_eraser.errors import InvalidImage, UnsupportedFormat
from magic_eraser.imaging.codec import decode, encode
from magic_eraser.imaging.photo import Box, Fill, Layout, Metadata, Palette, Photo

PHOTOGRAPHS = ["astronaut", "coffee", "chelsea", "rocket"]
SLOW_ENOUGH = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def whole_fill(photo: Photo, hole: np.ndarray, value: int = 7) -> Fill:
    rgb = np.full((photo.height, photo.width, 3), value, np.uint16 if photo.deep else np.uint8)
    return Fill(photo.box, rgb, None, hole)


def test_a_box_knows_its_size_and_slices():
    box = Box(2, 3, 12, 8)
    assert (box.width, box.height) == (10, 5)
    assert np.zeros((20, 30))[box.slices].shape == (5, 10)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_changes_under_the_hole_and_nowhere_else(name):
    before = getattr(data, name)()
    photo = Photo.from_array(before)
    hole = np.zeros(before.shape[:2], np.bool_)
    hole[100:130, 90:170] = True
    after = photo.with_fills([whole_fill(photo, hole)]).to_array()
    assert (after[hole] == 7).all()
    assert np.array_equal(after[~hole], before[~hole])


def test_filling_leaves_the_first_picture_as_it_was():
    before = data.coffee()
    copy = before.copy()
    photo = Photo.from_array(before)
    photo.with_fills([whole_fill(photo, np.ones(before.shape[:2], np.bool_))])
    assert np.array_equal(before, copy)


def test_samples_cannot_be_written_to_but_the_callers_array_still_can():
    array = np.zeros((4, 5, 3), np.uint8)
    photo = Photo.from_array(array)
    with pytest.raises(ValueError, match="read-only"):
        photo.samples[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        photo.rgb()[0, 0, 0] = 1
    array[0, 0, 0] = 1


def test_later_fills_win_and_each_keeps_to_its_box():
    photo = Photo.from_array(np.zeros((10, 10), np.uint8))
    all_of = np.ones((4, 4), np.bool_)
    first = Fill(Box(0, 0, 4, 4), np.full((4, 4, 3), 50, np.uint8), None, all_of)
    second = Fill(Box(2, 2, 6, 6), np.full((4, 4, 3), 90, np.uint8), None, all_of)
    samples = photo.with_fills([first, second]).samples
    assert samples[3, 3] == 90
    assert samples[1, 1] == 50
    assert samples[0, 4] == samples[6, 6] == 0


def test_no_fill_changes_nothing():
    for photo in (Photo.from_array(data.coffee()), palette_photo(20)):
        assert np.array_equal(photo.with_fills([]).samples, photo.samples)
        nothing = np.zeros((photo.height, photo.width), np.bool_)
        assert np.array_equal(photo.with_fills([whole_fill(photo, nothing)]).samples, photo.samples)


@pytest.mark.parametrize(
    ("box", "shape", "dtype", "error"),
    [
        (Box(0, 0, 11, 4), (4, 11, 3), np.uint8, ValueError),
        (Box(-1, 0, 3, 4), (4, 4, 3), np.uint8, ValueError),
        (Box(4, 4, 4, 8), (4, 0, 3), np.uint8, ValueError),
        (Box(0, 0, 4, 4), (4, 5, 3), np.uint8, ValueError),
        (Box(0, 0, 4, 4), (4, 4), np.uint8, ValueError),
        (Box(0, 0, 4, 4), (4, 4, 3), np.uint16, TypeError),
        (Box(0, 0, 4, 4), (4, 4, 3), np.float32, TypeError),
    ],
)
def test_a_fill_that_does_not_fit_is_refused(box, shape, dtype, error):
    photo = Photo.from_array(np.zeros((10, 10, 3), np.uint8))
    fill = Fill(box, np.zeros(shape, dtype), None, np.ones(shape[:2], np.bool_))
    with pytest.raises(error):
        photo.with_fills([fill])


def test_a_fill_whose_alpha_or_hole_does_not_fit_is_refused():
    photo = Photo.from_array(np.zeros((10, 10, 4), np.uint8))
    rgb, hole = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), np.bool_)
    for fill in (
        Fill(Box(0, 0, 4, 4), rgb, np.zeros((4, 4), np.uint16), hole),
        Fill(Box(0, 0, 4, 4), rgb, np.zeros((3, 4), np.uint8), hole),
        Fill(Box(0, 0, 4, 4), rgb, None, hole.astype(np.uint8)),
    ):
        with pytest.raises(ValueError, match="does not fit"):
            photo.with_fills([fill])


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((6, 8), "L"), ((6, 8, 1), "L"), ((6, 8, 3), "RGB"), ((6, 8, 4), "RGBA")],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_are_taken_and_given_back(shape, layout, dtype):
    array = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    photo = Photo.from_array(array)
    assert (photo.layout, photo.width, photo.height, photo.deep) == (layout, 8, 6, dtype == np.uint16)
    assert np.array_equal(photo.to_array(), array.reshape(photo.samples.shape))
    assert photo.to_array().flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 5, 2), np.uint8),
        np.zeros((4, 5, 5), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 5, 3), np.float32),
        np.zeros((4, 5, 3), np.int64),
        np.zeros((4, 5, 3), np.bool_),
        np.zeros((1, 4, 5, 3), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_that_are_no_picture_are_refused_with_their_shape(array):
    with pytest.raises(InvalidImage, match=str(array.dtype)) as caught:
        Photo.from_array(array)
    assert str(array.shape) in caught.value.detail_zh


def test_a_photo_whose_parts_contradict_each_other_cannot_be_made():
    with pytest.raises(ValueError, match="not RGB"):
        Photo(np.zeros((4, 5), np.uint8), Layout.RGB)
    with pytest.raises(TypeError, match="not CMYK"):
        Photo(np.zeros((4, 5, 4), np.uint16), Layout.CMYK)
    with pytest.raises(ValueError, match="palette"):
        Photo(np.zeros((4, 5), np.uint8), Layout.PALETTE)


def test_only_the_box_is_converted():
    photo = Photo.from_pil(Image.fromarray(data.coffee()).convert("CMYK"))
    box = Box(100, 50, 140, 80)
    assert photo.rgb(box).shape == (30, 40, 3)
    assert np.array_equal(photo.rgb(box), photo.rgb()[box.slices])
    with pytest.raises(ValueError, match="not inside"):
        photo.rgb(Box(0, 0, 601, 10))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_a_pillow_image_comes_back_in_its_mode_with_what_it_says(mode):
    tags = Image.Exif()
    tags[0x010F] = "Canon"
    image = Image.fromarray(data.chelsea()).convert(mode)
    image.info |= {"icc_profile": b"profile", "dpi": (300.0, 300.0), "exif": tags.tobytes()}
    again = Photo.from_pil(image).to_pil()
    assert (again.mode, again.size) == (mode, image.size)
    assert again.tobytes() == image.tobytes()
    assert again.info["icc_profile"] == b"profile"
    assert again.info["dpi"] == (300.0, 300.0)
    assert again.getexif()[0x010F] == "Canon"
    assert image.convert("RGBA").tobytes() == again.convert("RGBA").tobytes()
    out = io.BytesIO()
    again.save(out, "TIFF")


def test_a_pillow_image_is_turned_upright():
    tags = Image.Exif()
    tags[0x0112] = 6
    image = Image.fromarray(data.chelsea())
    image.info["exif"] = tags.tobytes()
    photo = Photo.from_pil(image)
    assert (photo.width, photo.height) == (image.height, image.width)
    assert np.array_equal(photo.samples, np.rot90(data.chelsea(), -1))


@pytest.mark.parametrize("format", ["TIFF", "PNG", "JPEG"])
def test_a_pillow_image_just_opened_is_turned_once(format):
    tags = Image.Exif()
    tags[0x0112] = 8
    out = io.BytesIO()
    Image.fromarray(data.chelsea()).save(out, format, exif=tags)
    photo = Photo.from_pil(Image.open(out))
    assert (photo.width, photo.height) == (300, 451)
    assert np.abs(photo.samples.astype(int) - np.rot90(data.chelsea(), 1)).mean() < 4


def test_16_bit_grey_goes_through_pillow_whole_and_16_bit_colour_as_8_bits():
    grey = np.arange(30_000, dtype=np.uint16).reshape(150, 200)
    assert np.array_equal(np.asarray(Photo.from_array(grey).to_pil()), grey)
    assert np.array_equal(Photo.from_pil(Image.fromarray(grey)).samples, grey)
    assert Photo.from_array(np.dstack([grey] * 3)).to_pil().mode == "RGB"


@pytest.mark.parametrize("mode", ["F", "I", "HSV", "LAB"])
def test_a_pillow_mode_that_is_no_photograph_is_refused(mode):
    with pytest.raises(UnsupportedFormat, match=f"mode {mode}"):
        Photo.from_pil(Image.new(mode, (5, 5)))


def test_a_transparent_palette_image_goes_through_pillow():
    image = Image.fromarray(data.chelsea()).quantize(30)
    image.info["transparency"] = 4
    again = Photo.from_pil(image).to_pil()
    assert again.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


# --- palette ----------------------------------------------------------------------------------------------------


def palette_photo(colours: int) -> Photo:
    rng = np.random.default_rng(colours)
    entries = rng.permutation(256**3)[:colours].astype(np.uint32)[:, None].view(np.uint8)[:, :3]
    samples = np.resize(np.arange(colours, dtype=np.uint8), (40, 50))
    return Photo(samples, Layout.PALETTE, Metadata(palette=Palette(np.ascontiguousarray(entries))))


def test_as_many_new_colours_as_there_is_room_are_exact():
    photo = palette_photo(200)
    rgb = np.random.default_rng(0).permutation(256**3)[:56].astype(np.uint32)[:, None].view(np.uint8)[:, :3]
    fill = Fill(Box(3, 3, 10, 11), rgb.reshape(8, 7, 3), None, np.ones((8, 7), np.bool_))
    after = photo.with_fills([fill])
    assert np.array_equal(after.rgb(fill.box), fill.rgb)
    assert after.notices == ()
    assert after.metadata.palette is not None
    assert len(after.metadata.palette.rgb) == 256


def test_more_colours_than_room_are_gathered_and_said_once():
    photo = palette_photo(240)
    coffee = data.coffee()[100:140, 100:150]
    fill = Fill(photo.box, coffee, None, np.pad(np.ones((20, 30), np.bool_), ((0, 20), (0, 20))))
    after = photo.with_fills([fill]).with_fills([fill])
    assert [notice.code for notice in after.notices] == ["palette_approximated"]
    error = np.abs(after.rgb()[fill.hole].astype(int) - coffee[fill.hole]).mean()
    assert error < 15
    assert np.array_equal(after.rgb()[~fill.hole], photo.rgb()[~fill.hole])


def test_a_colour_that_only_the_erased_object_used_makes_room():
    photo = palette_photo(256)
    hole = photo.samples == 17
    after = photo.with_fills([whole_fill(photo, hole, value=123)])
    assert (after.rgb()[hole] == 123).all()
    assert (after.samples[hole] == 17).all()
    assert after.notices == ()


def test_an_index_past_the_palette_is_black_and_stays():
    photo = Photo(
        np.array([[0, 9]], np.uint8),
        Layout.PALETTE,
        Metadata(palette=Palette(np.full((2, 3), 200, np.uint8))),
    )
    assert photo.rgb().tolist() == [[[200] * 3, [0] * 3]]
    assert np.array_equal(Photo.from_pil(photo.to_pil()).samples, photo.samples)


# --- any picture, any hole ----------------------------------------------------------------------------------------


@st.composite
def pictures(draw: st.DrawFn) -> Photo:
    height, width = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    layout = draw(st.sampled_from(list(Layout)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (height, width, layout.channels) if layout.channels > 1 else (height, width)
    dtype = draw(st.sampled_from(layout.dtypes))
    if dtype == np.bool_:
        return Photo(rng.random(shape) < 0.5, layout)
    top = (
        draw(st.integers(1, np.iinfo(dtype).max))
        if layout is not Layout.PALETTE
        else draw(st.integers(0, 255))
    )
    samples = rng.integers(0, top, shape, dtype, endpoint=True)
    if layout is not Layout.PALETTE:
        return Photo(samples, layout)
    alpha = rng.integers(0, 256, top + 1, np.uint8) if draw(st.booleans()) else None
    palette = Palette(rng.integers(0, 256, (top + 1, 3), np.uint8), alpha)
    return Photo(samples, layout, Metadata(palette=palette))


@st.composite
def filled(draw: st.DrawFn) -> tuple[Photo, Photo, np.ndarray]:
    """A picture, the same after one to three fills, and the union of their holes."""
    photo = draw(pictures())
    union = np.zeros((photo.height, photo.width), np.bool_)
    fills = []
    for _ in range(draw(st.integers(1, 3))):
        left, top = draw(st.integers(0, photo.width - 1)), draw(st.integers(0, photo.height - 1))
        box = Box(
            left, top, draw(st.integers(left + 1, photo.width)), draw(st.integers(top + 1, photo.height))
        )
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        top_value, dtype = (65535, np.uint16) if photo.deep else (255, np.uint8)
        hole = rng.random((box.height, box.width)) < draw(st.floats(0, 1))
        rgb = rng.integers(0, top_value, (box.height, box.width, 3), dtype, endpoint=True)
        alpha = rng.integers(0, top_value, hole.shape, dtype, endpoint=True) if draw(st.booleans()) else None
        union[box.slices] |= hole
        fills.append(Fill(box, rgb, alpha, hole))
    return photo, photo.with_fills(fills), union


def seen(photo: Photo) -> np.ndarray:
    alpha = photo.alpha()
    return photo.rgb() if alpha is None else np.dstack([photo.rgb(), alpha])


@SLOW_ENOUGH
@given(filled())
def test_no_sample_outside_the_holes_ever_changes(case):
    before, after, hole = case
    assert (after.layout, after.samples.dtype, after.samples.shape) == (
        before.layout,
        before.samples.dtype,
        before.samples.shape,
    )
    assert np.array_equal(after.samples[~hole], before.samples[~hole])
    shown, shown_before = after.rgb()[~hole], before.rgb()[~hole]
    assert np.array_equal(shown, shown_before)


@SLOW_ENOUGH
@given(filled(), st.sampled_from(["png", "tiff"]))
def test_every_sample_survives_a_lossless_file(case, target):
    _, photo, _ = case
    if photo.layout is Layout.CMYK:
        target = "tiff"
    again = decode(encode(photo, format=target).data)
    assert (again.width, again.height, again.deep) == (photo.width, photo.height, photo.deep)
    as_rgba = target == "tiff" and photo.has_alpha and (photo.deep or photo.layout is Layout.PALETTE)
    if as_rgba:
        assert np.array_equal(seen(again), seen(photo))
    else:
        assert again.layout is photo.layout
        assert np.array_equal(again.samples, photo.samples)
        assert np.array_equal(again.rgb(), photo.rgb())


@settings(SLOW_ENOUGH, max_examples=60)
@given(pictures(), st.sampled_from(["jpeg", "webp", "avif", "bmp", "gif"]))
def test_any_picture_goes_into_any_format_at_its_size(photo, format):
    again = decode(encode(photo, format=format).data)
    assert (again.width, again.height) == (photo.width, photo.height)

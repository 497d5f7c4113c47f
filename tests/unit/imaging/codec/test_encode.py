"""From one format to another: what is converted, and what is said about it."""

from __future__ import annotations

import io
import threading
import time

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

from magic_eraser.errors import ImageTooLarge, UnsupportedFormat
from magic_eraser.imaging.codec import FORMATS, decode, encode
from magic_eraser.imaging.codec.png import header
from magic_eraser.imaging.photo import Layout, Metadata, Photo

WRITABLE = [row.name for row in FORMATS.values() if row.writable]


def reopened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def codes(result):
    return [notice.code for notice in result.notices]


@pytest.mark.parametrize("target", WRITABLE)
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_layout_goes_into_every_format(mode, target, astronaut):
    photo = Photo.from_pil(Image.fromarray(astronaut).convert(mode))
    result = encode(photo, format=target)
    image = reopened(result.data)
    assert (result.format, result.media_type) == (target, FORMATS[target].media_type)
    assert image.format == target.upper()
    assert image.size == (120, 90)
    shown = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(shown - photo.rgb()).mean() < (16 if mode == "P" else 12 if target == "gif" else 8)


@pytest.mark.parametrize("target", WRITABLE)
@pytest.mark.parametrize("planes", [1, 2, 3, 4])
def test_16_bits_go_into_every_format_and_the_loss_is_said(planes, target, deep, alpha):
    opacity = alpha.astype(np.uint16) * 257
    layout = [Layout.GREY, Layout.GREY_ALPHA, Layout.RGB, Layout.RGBA][planes - 1]
    colours = deep[..., :1] if planes < 3 else deep
    samples = np.dstack([colours, opacity]) if planes in (2, 4) else colours
    photo = Photo(samples[..., 0] if planes == 1 else samples, layout)
    result = encode(photo, format=target)
    assert ("depth_reduced" in codes(result)) is (target not in ("png", "tiff"))
    again = decode(result.data)
    assert again.deep is (target in ("png", "tiff"))
    if again.deep:
        assert np.array_equal(again.rgb(), photo.rgb())


def test_16_bits_are_rounded_not_cut():
    from magic_eraser.imaging.samples import to_eight_bits

    values = np.array([[0, 128, 129, 257, 65535, 65406, 65407]], np.uint16)
    assert to_eight_bits(values).tolist() == [[0, 0, 1, 1, 255, 254, 255]]


def test_transparency_becomes_white_in_jpeg_and_is_said(astronaut, alpha):
    photo = Photo.from_array(np.dstack([astronaut, alpha]))
    result = encode(photo, format="jpeg", quality=95)
    assert codes(result) == ["alpha_flattened"]
    shown = np.asarray(reopened(result.data)).astype(int)
    assert shown[:, :8].min() > 245
    assert np.abs(shown[:, 100:] - astronaut[:, 100:]).mean() < 4


def test_an_opaque_alpha_channel_is_dropped_without_a_word(astronaut):
    opaque = np.full((90, 120), 255, np.uint8)
    assert codes(encode(Photo.from_array(np.dstack([astronaut, opaque])), format="jpeg")) == []


@pytest.mark.parametrize("target", ["png", "webp", "avif", "bmp", "gif"])
def test_cmyk_becomes_srgb_where_it_has_to_and_is_said(target, astronaut):
    result = encode(Photo.from_pil(Image.fromarray(astronaut).convert("CMYK")), format=target)
    assert codes(result)[0] == "cmyk_converted"
    assert "icc_profile" not in reopened(result.data).info


@pytest.mark.parametrize(("mode", "target"), [("L", "webp"), ("RGB", "gif"), ("RGB", "bmp")])
def test_a_profile_that_finds_no_place_is_left_out_and_said(mode, target, astronaut, save):
    space = b"GRAY" if mode == "L" else b"RGB "
    profile = b"\0\0\1\0lcms\4\x30\0\0mntr" + space + bytes(200)
    photo = decode(save(Image.fromarray(astronaut).convert(mode), "PNG", icc_profile=profile))
    result = encode(photo, format=target)
    assert "profile_dropped" in codes(result)
    assert "icc_profile" not in reopened(result.data).info


def test_camera_data_that_finds_no_place_is_said(astronaut, save):
    tags = Image.Exif()
    tags[0x010F] = "Canon"
    photo = decode(save(Image.fromarray(astronaut), "JPEG", exif=tags))
    assert codes(encode(photo, format="bmp")) == ["metadata_dropped"]
    assert codes(encode(photo, format="webp")) == []


def test_few_colours_go_into_gif_without_loss():
    rng = np.random.default_rng(3)
    colours = rng.integers(0, 256, (40, 3), dtype=np.uint8)
    samples = colours[rng.integers(0, 40, (50, 60))]
    result = encode(Photo.from_array(samples), format="gif")
    assert np.array_equal(np.asarray(reopened(result.data).convert("RGB")), samples)
    assert codes(result) == []


def test_many_colours_in_gif_are_reduced_and_said(astronaut, alpha):
    result = encode(Photo.from_array(np.dstack([astronaut, alpha])), format="gif")
    assert codes(result) == ["colours_reduced", "alpha_rounded"]
    shown = np.asarray(reopened(result.data).convert("RGBA"))
    assert np.array_equal(shown[..., 3] == 0, alpha < 128)


def test_a_half_transparent_palette_in_gif_is_rounded_and_said(astronaut, save):
    source = Image.fromarray(astronaut).quantize(40)
    photo = decode(save(source, "PNG", transparency=bytes([0, 10, 200]) + bytes([255]) * 37))
    result = encode(photo, format="gif")
    shown = np.asarray(reopened(result.data).convert("RGBA"))
    assert codes(result) == ["alpha_rounded"]
    assert np.array_equal(shown[..., 3] == 0, np.asarray(source) < 2)


@pytest.mark.parametrize("target", ["jpeg", "webp", "avif"])
def test_quality_matters_where_there_is_loss(target, astronaut):
    photo = Photo.from_array(astronaut)
    sizes = [len(encode(photo, format=target, quality=quality).data) for quality in (20, 60, 95)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] / 2


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_an_impossible_quality_is_a_mistake_of_the_caller(quality, astronaut):
    with pytest.raises(ValueError, match=r"1\.\.100"):
        encode(Photo.from_array(astronaut), format="jpeg", quality=quality)


def test_quality_makes_a_lossless_webp_lossy(astronaut, save):
    photo = decode(save(Image.fromarray(astronaut), "WEBP", lossless=True))
    assert b"VP8L" in encode(photo).data[:60]
    assert b"VP8 " in encode(photo, quality=80).data[:60]


@pytest.mark.parametrize("mode", ["1", "P"])
def test_a_drawing_stays_sharp_in_webp_unless_a_quality_is_asked_for(mode, astronaut):
    photo = Photo.from_pil(Image.fromarray(astronaut).convert(mode))
    assert np.array_equal(decode(encode(photo, format="webp").data).rgb(), photo.rgb())
    assert b"VP8 " in encode(photo, format="webp", quality=80).data[:60]


def test_jpeg_tables_that_pillow_cannot_write_give_way_to_a_quality(astronaut):
    from magic_eraser.imaging.photo import JpegTables

    odd = JpegTables(((300,) * 64,), 0, progressive=False)
    photo = Photo(astronaut, Layout.RGB, Metadata(format="jpeg", jpeg=odd))
    assert np.abs(decode(encode(photo).data).rgb().astype(int) - astronaut).mean() < 3


def test_same_is_png_for_an_array(astronaut):
    result = encode(Photo.from_array(astronaut))
    assert (result.format, result.media_type) == ("png", "image/png")


@pytest.mark.parametrize("target", ["heif", "jxl", ""])
def test_a_format_that_is_not_written_is_refused_with_those_that_are(target, astronaut):
    with pytest.raises(UnsupportedFormat, match="png, jpeg, webp, avif, bmp, tiff, gif"):
        encode(Photo.from_array(astronaut), format=target)


def test_a_side_too_long_for_the_format_is_refused():
    long = Photo.from_array(np.zeros((1, 16384, 3), np.uint8))
    with pytest.raises(ImageTooLarge, match="16383"):
        encode(long, format="webp")
    assert decode(encode(long, format="png").data).width == 16384


def test_a_drawing_is_packed_by_matching_and_a_photograph_by_runs():
    """Either strategy alone would make one of the two half as large again."""
    page = Image.new("RGB", (900, 600), "white")
    for line in range(30):
        ImageDraw.Draw(page).text(
            (10 + line % 7, line * 20), "The quick brown fox jumps. " * 5, fill=(30, 30, 40)
        )
    drawing = np.asarray(page)
    size = len(encode(Photo.from_array(drawing), format="png").data)
    runs = [
        cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
        cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_ALL_FILTERS,
    ]  # fmt: skip
    assert size < len(cv2.imencode(".png", drawing, runs)[1]) / 2


def test_png_headers_say_what_is_inside(astronaut, deep):
    assert header(encode(Photo.from_array(astronaut), format="png").data)[2:] == (8, 2)
    assert header(encode(Photo.from_array(deep), format="png").data)[2:] == (16, 2)


def test_12_megapixels_are_written_as_png_in_about_a_second():
    photograph = np.tile(data.coffee(), (8, 7, 1))[:3000, :4000]
    noise = np.random.default_rng(0).integers(0, 6, photograph.shape, np.uint8)
    photo = Photo.from_array(np.minimum(photograph, 250) + noise)
    start = time.process_time()
    encode(photo, format="png")
    # 0.7 s measured; Pillow's default takes 5 s.
    assert time.process_time() - start < 3


# --- a CMYK profile of our own, since none is free to copy -----------------------------------------------------


def cmyk_profile() -> bytes:
    """A printer whose inks are swapped (the "cyan" channel holds yellow), as an ICC.1:2001 profile of lut8 tables."""
    grid = 17
    axes = np.meshgrid(*[np.linspace(0, 1, 2)] * 4, indexing="ij")
    inks = np.stack([axis.ravel() for axis in axes], axis=1)
    rgb = (1 - inks[:, [2, 1, 0]]) * (1 - inks[:, 3:])
    to_lab = encoded_lab(cv2.cvtColor(rgb[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0])
    axes = np.meshgrid(*[np.linspace(0, 255, grid)] * 3, indexing="ij")
    values = np.stack([axis.ravel() for axis in axes], axis=1)
    lab = np.stack([values[:, 0] / 2.55, values[:, 1] - 128, values[:, 2] - 128], axis=1)
    back = np.clip(cv2.cvtColor(lab[None].astype(np.float32), cv2.COLOR_Lab2RGB)[0], 0, 1)
    to_inks = np.concatenate([1 - back[:, [2, 1, 0]], np.zeros((len(back), 1))], axis=1)
    tags = {
        b"desc": b"desc\0\0\0\0\0\0\0\5test\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + b"\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d",
        b"A2B0": lut8(4, 3, 2, to_lab),
        b"B2A0": lut8(3, 4, grid, np.rint(to_inks * 255)),
    }
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, tag in tags.items():
        padded = tag + bytes(-len(tag) % 4)
        table += name + (at + len(body)).to_bytes(4, "big") + len(tag).to_bytes(4, "big")
        body += padded
    size = (at + len(body)).to_bytes(4, "big")
    head = size + b"lcms\2\x40\0\0prtrCMYKLab " + bytes(12) + b"acsp" + bytes(28)
    head += b"\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d"
    return head.ljust(128, b"\0") + len(tags).to_bytes(4, "big") + table + body


def encoded_lab(lab: np.ndarray) -> np.ndarray:
    return np.rint(np.stack([lab[:, 0] * 2.55, lab[:, 1] + 128, lab[:, 2] + 128], axis=1))


def lut8(inputs: int, outputs: int, grid: int, values: np.ndarray) -> bytes:
    identity = b"".join(int(v).to_bytes(4, "big") for v in (65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    ramp = bytes(range(256))
    cube = np.clip(values, 0, 255).astype(np.uint8).tobytes()
    return (
        b"mft1\0\0\0\0" + bytes([inputs, outputs, grid, 0]) + identity + ramp * inputs + cube + ramp * outputs
    )


def test_cmyk_is_shown_and_filled_through_its_profile(erase, hole):
    yellow = np.zeros((90, 120, 4), np.uint8)
    yellow[..., 0] = 255  # "cyan", which is yellow by this profile
    photo = Photo(yellow, Layout.CMYK, Metadata(format="tiff", icc=cmyk_profile()))
    assert np.abs(photo.rgb()[0, 0].astype(int) - (255, 255, 0)).max() < 20
    filled = erase(photo, colour=(250, 60, 40))
    assert np.abs(filled.rgb()[hole].astype(int) - (250, 60, 40)).max() < 50
    assert filled.samples[hole][0, 0] > 150, "a red needs yellow ink, which is the first channel here"
    assert np.array_equal(filled.samples[~hole], yellow[~hole])
    as_png = encode(filled, format="png")
    assert np.array_equal(decode(as_png.data).samples, filled.rgb())
    assert reopened(encode(filled).data).info["icc_profile"] == photo.metadata.icc


def test_other_threads_run_while_a_jpeg_is_written():
    photo = Photo.from_array(np.zeros((4000, 4000, 3), np.uint8))  # few buffers, each of many rows
    turns = 0
    over = threading.Event()

    def count() -> None:
        nonlocal turns
        while not over.wait(0.001):
            turns += 1

    other = threading.Thread(target=count)
    other.start()
    start = time.monotonic()
    encode(photo, format="jpeg")
    taken = time.monotonic() - start
    over.set()
    other.join()
    assert turns > 600 * taken  # 900 a second; 400 where the interpreter is held

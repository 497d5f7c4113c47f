"""What is refused, and how; and the frames, depths and modes on the way in."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from magic_eraser.errors import EraserError, ImageTooLarge, InvalidImage, UnsupportedFormat
from magic_eraser.imaging.codec import decode, probe
from magic_eraser.imaging.codec.png import assemble, chunks
from magic_eraser.imaging.photo import Layout

STILLS = ["PNG", "JPEG", "WEBP", "AVIF", "BMP", "TIFF", "GIF"]


def codes(photo):
    return [notice.code for notice in photo.notices]


@pytest.mark.parametrize("format", STILLS)
def test_each_format_is_decoded_as_pillow_does(format, astronaut, save):
    content = save(Image.fromarray(astronaut), format)
    photo = decode(content)
    assert np.array_equal(photo.rgb(), np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
    assert photo.metadata.format == format.lower()
    assert probe(content) == (format.lower(), 120, 90, 1)


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize(
    ("mode", "subsampling", "keep_rgb"),
    [("RGB", 0, False), ("RGB", 1, False), ("RGB", 2, False), ("L", 0, False), ("RGB", 0, True)],
)
def test_the_fast_jpeg_reader_gives_the_samples_of_the_careful_one(
    mode, subsampling, keep_rgb, quality, astronaut, save
):
    content = save(
        Image.fromarray(astronaut).convert(mode),
        "JPEG",
        quality=quality,
        subsampling=subsampling,
        keep_rgb=keep_rgb,
    )
    assert np.array_equal(decode(content).samples, np.asarray(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("format", STILLS)
def test_a_cut_off_file_is_refused_wherever_it_is_cut(format, progressive, astronaut, save):
    options = {"progressive": True} if format == "JPEG" and progressive else {}
    content = save(Image.fromarray(astronaut), format, **options)
    for kept in (0.02, 0.3, 0.6, 0.95):
        with pytest.raises((InvalidImage, UnsupportedFormat)):
            decode(content[: int(len(content) * kept)])


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_cut_off_file_is_called_cut_off(format, astronaut, save):
    content = save(Image.fromarray(astronaut), format)
    with pytest.raises(InvalidImage, match="cut off") as caught:
        decode(content[: len(content) * 2 // 3])
    assert "不完整" in caught.value.detail_zh


def test_a_png_without_its_end_or_with_a_wrong_checksum_is_refused(astronaut, save):
    content = save(Image.fromarray(astronaut), "PNG")
    with pytest.raises(InvalidImage, match="cut off"):
        decode(content[:-12])
    spoiled = bytearray(content)
    spoiled[len(content) // 2] ^= 1
    with pytest.raises(InvalidImage, match="checksum"):
        decode(bytes(spoiled))


def test_a_16_bit_png_with_too_few_rows_is_refused():
    header = struct.pack(">IIBBBBB", 30, 20, 16, 2, 0, 0, 0)
    content = assemble([(b"IHDR", header), (b"IDAT", zlib.compress(bytes(500))), (b"IEND", b"")])
    with pytest.raises(InvalidImage):
        decode(content)


def bomb_png() -> bytes:
    return assemble([(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)), (b"IEND", b"")])


def bomb_webp() -> bytes:
    size = (16383 - 1).to_bytes(3, "little")
    return b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + size + size


def bomb_gif() -> bytes:
    return b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;"


def bomb_bmp() -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def bomb_jpeg() -> bytes:
    frame = struct.pack(">BHHB", 8, 65_000, 65_000, 3) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xda\0\x02\xff\xd9"


@pytest.mark.parametrize("make", [bomb_png, bomb_webp, bomb_gif, bomb_bmp, bomb_jpeg])
@pytest.mark.parametrize("read", [decode, probe])
def test_a_small_file_of_absurd_size_is_refused_by_its_header(read: Callable, make: Callable[[], bytes]):
    with pytest.raises(ImageTooLarge) as caught:
        read(make())
    assert caught.value.extra["pixels"] > caught.value.extra["max_pixels"] == 50_000_000


def test_the_pixel_cap_is_the_callers_and_exact(astronaut, save):
    content = save(Image.fromarray(astronaut), "PNG")
    assert decode(content, max_pixels=90 * 120).width == 120
    with pytest.raises(ImageTooLarge, match="10,800 pixels; at most 10,799"):
        decode(content, max_pixels=90 * 120 - 1)


def test_pillows_own_limit_neither_warns_nor_refuses_below_ours(monkeypatch, astronaut, save):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for name in set(STILLS) - {"TIFF"}:  # where Pillow compares the size of one strip with it
        assert decode(save(Image.fromarray(astronaut), name)).width == 120


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_gives_its_first_frame_and_says_so(format, astronaut, save):
    frames = [
        Image.fromarray(astronaut),
        Image.fromarray(astronaut[::-1].copy()),
        Image.fromarray(255 - astronaut),
    ]
    content = save(frames[0], format, save_all=True, append_images=frames[1:])
    photo = decode(content)
    assert (codes(photo), photo.metadata.frames) == (["animation_dropped"], 3)
    assert probe(content).frames == 3
    assert np.abs(photo.rgb().astype(int) - astronaut).mean() < 12


def test_a_tiff_of_several_pages_gives_its_first_one_and_says_so(astronaut, save):
    second = Image.fromarray(astronaut[:50])
    photo = decode(save(Image.fromarray(astronaut), "TIFF", save_all=True, append_images=[second]))
    assert codes(photo) == ["pages_dropped"]
    assert np.array_equal(photo.samples, astronaut)


def test_a_deep_tiff_of_several_pages_gives_its_first_one(deep):
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as file:
        file.write(deep, photometric="rgb")
        file.write(deep[::-1], photometric="rgb")
    photo = decode(out.getvalue())
    assert np.array_equal(photo.samples, deep)
    assert codes(photo) == ["pages_dropped"]


def test_the_previews_behind_a_phones_jpeg_are_no_animation(astronaut, save):
    content = save(
        Image.fromarray(astronaut), "MPO", save_all=True, append_images=[Image.fromarray(astronaut)]
    )
    assert (codes(decode(content)), decode(content).metadata.format) == ([], "jpeg")


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int16, np.uint32])
def test_samples_that_are_no_photograph_are_refused(dtype):
    out = io.BytesIO()
    tifffile.imwrite(out, np.zeros((20, 30), dtype))
    with pytest.raises(UnsupportedFormat) as caught:
        decode(out.getvalue())
    assert caught.value.detail.startswith("TIFF pictures with")


def test_16_bit_cmyk_and_lab_are_refused(deep, save, astronaut):
    out = io.BytesIO()
    tifffile.imwrite(out, np.dstack([deep, deep[..., 0]]), photometric="separated")
    with pytest.raises(UnsupportedFormat, match="16 bits"):
        decode(out.getvalue())
    from PIL import ImageCms

    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    with pytest.raises(UnsupportedFormat, match="Lab"):
        decode(save(ImageCms.applyTransform(Image.fromarray(astronaut), to_lab), "TIFF"))


def test_deep_tiff_where_white_is_zero_is_turned_round(deep):
    out = io.BytesIO()
    tifffile.imwrite(out, deep[..., 0], photometric="miniswhite")
    assert np.array_equal(decode(out.getvalue()).samples, 65535 - deep[..., 0])


@pytest.mark.parametrize(
    "options", [{"byteorder": ">"}, {"bigtiff": True}, {"tile": (16, 32)}, {"rowsperstrip": 7}], ids=str
)
@pytest.mark.parametrize("planes", [1, 3])
def test_deep_tiff_is_read_in_its_unusual_forms(planes, options, deep):
    out = io.BytesIO()
    samples = deep if planes == 3 else deep[..., 0]
    tifffile.imwrite(out, samples, photometric="rgb" if planes == 3 else "minisblack", **options)
    assert np.array_equal(decode(out.getvalue()).samples, samples)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_deep_tiff_is_read_in_its_compressions(compression, deep, save):
    content = save(Image.fromarray(deep[..., 0]), "TIFF", compression=compression)
    assert np.array_equal(decode(content).samples, deep[..., 0])


def test_a_deep_channel_of_no_known_meaning_is_left_out_and_said(deep):
    out = io.BytesIO()
    tifffile.imwrite(out, np.dstack([deep, deep[..., 0]]), photometric="rgb", extrasamples=["unspecified"])
    photo = decode(out.getvalue())
    assert (photo.layout, codes(photo)) == (Layout.RGB, ["extra_channel_dropped"])
    assert np.array_equal(photo.samples, deep)


def test_deep_colours_multiplied_by_alpha_come_back_as_such(deep):
    out = io.BytesIO()
    before = np.dstack([deep, deep[..., 0]])
    tifffile.imwrite(out, before, photometric="rgb", extrasamples=["assocalpha"])
    from magic_eraser.imaging.codec import encode

    with tifffile.TiffFile(io.BytesIO(encode(decode(out.getvalue())).data)) as file:
        assert np.array_equal(file.pages[0].asarray(), before)
        assert [int(kind) for kind in file.pages[0].extrasamples] == [1]


@pytest.mark.parametrize("depth", [2, 4])
def test_transparent_grey_of_a_shallow_png_is_found(depth):
    levels = np.tile(np.arange(2**depth, dtype=np.uint8), 8 // depth)
    packed = np.packbits(np.unpackbits(levels[:, None], axis=1)[:, 8 - depth :].ravel())
    header = struct.pack(">IIBBBBB", len(levels), 1, depth, 0, 0, 0, 0)
    content = assemble(
        [
            (b"IHDR", header),
            (b"tRNS", b"\0\1"),
            (b"IDAT", zlib.compress(b"\0" + packed.tobytes())),
            (b"IEND", b""),
        ]
    )
    photo = decode(content)
    assert photo.layout is Layout.GREY_ALPHA
    assert np.array_equal(photo.alpha()[0] == 0, levels == 1)


def test_ten_bit_avif_says_that_it_was_reduced(astronaut, save):
    content = bytearray(save(Image.fromarray(astronaut), "AVIF"))
    assert codes(decode(bytes(content))) == []
    from magic_eraser.imaging.codec.decode import _over_eight_bits
    from magic_eraser.imaging.codec.formats import FORMATS

    content[content.find(b"av1C") + 6] |= 0x40
    assert _over_eight_bits(FORMATS["avif"], bytes(content))


def test_heic_is_read_where_the_plugin_is_and_written_as_jpeg(astronaut, save):
    heif = pytest.importorskip("pillow_heif")
    from magic_eraser.imaging.codec import encode

    out = io.BytesIO()
    heif.from_pillow(Image.fromarray(astronaut)).save(out, quality=95)
    photo = decode(out.getvalue())
    assert (photo.metadata.format, photo.layout) == ("heif", Layout.RGB)
    assert np.abs(photo.rgb().astype(int) - astronaut).mean() < 6
    assert probe(out.getvalue())[:3] == ("heif", 120, 90)
    result = encode(photo)
    assert (result.format, [notice.code for notice in result.notices]) == ("jpeg", ["format_changed"])


def test_heic_without_the_plugin_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnsupportedFormat, match=r'pip install "magic-eraser\[heif\]"'):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))


# --- whatever comes, only our own errors go out ---------------------------------------------------------------


def seeds() -> list[bytes]:
    picture = Image.fromarray(np.ascontiguousarray(data.chelsea()[100:140, 100:150]))
    found = []
    tags = Image.Exif()
    tags[0x0112], tags[0x010F] = 6, "Canon"
    for name in STILLS:
        out = io.BytesIO()
        options = {} if name in ("BMP", "GIF") else {"exif": tags}
        picture.save(out, name, **options)
        found.append(out.getvalue())
    for mode, name in (("P", "PNG"), ("1", "TIFF"), ("CMYK", "JPEG"), ("LA", "PNG"), ("P", "GIF")):
        out = io.BytesIO()
        picture.convert(mode).save(out, name)
        found.append(out.getvalue())
    out = io.BytesIO()
    picture.save(out, "WEBP", save_all=True, append_images=[picture.rotate(90)])
    found.append(out.getvalue())
    deep = np.asarray(picture).astype(np.uint16) * 257
    found.append(cv2.imencode(".png", deep)[1].tobytes())
    out = io.BytesIO()
    tifffile.imwrite(out, deep, photometric="rgb", compression="zlib")
    found.append(out.getvalue())
    return found


SEEDS = seeds()
FUZZ = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))


def assert_taken_or_refused(content: bytes) -> None:
    for read in (decode, probe):
        refusal = None
        try:
            read(content, max_pixels=1_000_000)
        except EraserError as error:
            refusal = error
        if refusal is not None:
            assert refusal.status in (400, 413, 415)
            assert refusal.detail
            assert refusal.detail_zh


@FUZZ
@given(st.binary(max_size=300))
@example(b"")
@example(b"\xff\xd8\xff")
@example(b"BM")
@example(b"RIFF\0\0\0\0WEBP")
@example(b"\x89PNG\r\n\x1a\n")
@example(b"\0\0\0\x0cftypavif")
def test_random_bytes_raise_nothing_but_our_errors(content):
    assert_taken_or_refused(content)


@FUZZ
@given(st.sampled_from([seed[:16] for seed in SEEDS]), st.binary(max_size=300))
def test_random_bytes_behind_a_true_signature_raise_nothing_but_our_errors(signature, rest):
    assert_taken_or_refused(signature + rest)


@FUZZ
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12),
    st.floats(0.3, 1),
)
def test_damaged_files_raise_nothing_but_our_errors(seed, changes, kept):
    content = bytearray(seed)
    for place, value in changes:
        # Most of what a decoder believes stands in the first bytes, so most of the harm goes there.
        content[int(place**3 * len(content))] = value
    assert_taken_or_refused(bytes(content[: int(len(content) * kept)] if kept < 0.5 else content))


@FUZZ
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 16), st.integers(0, 7))
def test_png_headers_of_any_content_raise_nothing_but_our_errors(width, height, depth, colour):
    parts = [(part.kind, bytes(part.payload)) for part in chunks(SEEDS[0])]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    assert_taken_or_refused(assemble([(b"IHDR", header), *parts[1:]]))

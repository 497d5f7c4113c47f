"""What goes in comes out: each kind of picture, erased, written in its own format and read by other programs."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from magic_eraser.imaging.codec import decode, encode
from magic_eraser.imaging.photo import Layout

LOSSLESS_RGB = ["PNG", "BMP", "TIFF"]


def reopened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def cv2_read(content: bytes):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def assert_only_the_hole_changed(before, after, hole):
    assert before.shape == after.shape
    assert before.dtype == after.dtype
    assert np.array_equal(before[~hole], after[~hole])
    assert not np.array_equal(before[hole], after[hole])


@pytest.mark.parametrize("format", LOSSLESS_RGB)
def test_colour_keeps_every_sample_outside_the_hole(format, astronaut, save, erase, hole):
    result = encode(erase(decode(save(Image.fromarray(astronaut), format))))
    image = reopened(result.data)
    assert (image.format, image.mode, result.notices) == (format, "RGB", ())
    assert_only_the_hole_changed(astronaut, np.asarray(image), hole)
    assert (np.asarray(image)[hole] == (40, 160, 90)).all()


@pytest.mark.parametrize("format", LOSSLESS_RGB)
def test_colour_with_alpha_keeps_both_also_under_full_transparency(
    format, astronaut, alpha, save, erase, hole
):
    before = np.dstack([astronaut, alpha])
    # Pillow writes a BMP's fourth channel, but in a header that does not call it alpha.
    by_opencv = cv2.imencode(".bmp", before[..., [2, 1, 0, 3]])[1].tobytes()
    source = by_opencv if format == "BMP" else save(Image.fromarray(before), format)
    result = encode(erase(decode(source)))
    image = reopened(result.data)
    assert image.mode == "RGBA"
    if format != "TIFF":  # where OpenCV multiplies by alpha
        assert np.array_equal(cv2_read(result.data)[..., [2, 1, 0, 3]], np.asarray(image))
    assert_only_the_hole_changed(before, np.asarray(image), hole)
    assert np.array_equal(np.asarray(image)[..., 3], alpha)


def test_a_fill_with_alpha_makes_the_hole_opaque(astronaut, alpha, save, erase, hole):
    before = np.dstack([astronaut, alpha])
    after = np.asarray(
        reopened(encode(erase(decode(save(Image.fromarray(before), "PNG")), opacity=255)).data)
    )
    assert (after[hole][:, 3] == 255).all()
    assert np.array_equal(before[~hole], after[~hole])


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF"])
def test_grey_stays_grey(format, astronaut, save, erase, hole):
    before = np.asarray(Image.fromarray(astronaut).convert("L"))
    before = np.clip(before, 1, 254)
    before[0] = np.arange(120) * 2  # all greys of a ramp, else Pillow writes a GIF of a smaller palette
    before[1] = np.arange(120, 240)
    before[2] = np.resize(np.arange(256), 120) + 136
    image = reopened(encode(erase(decode(save(Image.fromarray(before), format)))).data)
    assert (image.format, image.mode) == (format, "L")
    assert_only_the_hole_changed(before, np.asarray(image), hole)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_grey_with_alpha_stays_so(format, astronaut, alpha, save, erase, hole):
    before = np.dstack([np.asarray(Image.fromarray(astronaut).convert("L")), alpha])
    image = reopened(encode(erase(decode(save(Image.fromarray(before), format)))).data)
    assert image.mode == "LA"
    assert_only_the_hole_changed(before, np.asarray(image), hole)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF"])
def test_a_palette_with_room_takes_the_new_colour_exactly_and_keeps_its_indices(
    format, astronaut, save, erase, hole
):
    source = Image.fromarray(astronaut).quantize(60)
    result = encode(erase(decode(save(source, format))))
    image = reopened(result.data)
    assert (image.mode, result.notices) == ("P", ())
    assert_only_the_hole_changed(np.asarray(source), np.asarray(image), hole)
    shown, before = np.asarray(image.convert("RGB")), np.asarray(source.convert("RGB"))
    assert (shown[hole] == (40, 160, 90)).all()
    assert np.array_equal(shown[~hole], before[~hole])


def test_a_full_palette_takes_the_nearest_colour_and_says_so(save, erase):
    samples = np.arange(90 * 120, dtype=np.uint32).astype(np.uint8).reshape(90, 120)
    source = Image.fromarray(samples).convert("P")
    source.putpalette(np.random.default_rng(1).integers(0, 100, 768, dtype=np.uint8).tobytes())
    result = encode(erase(decode(save(source, "PNG"))))
    image = reopened(result.data)
    assert [notice.code for notice in result.notices] == ["palette_approximated"]
    assert len(image.getpalette("RGB") or []) == 768
    assert image.getpalette("RGB") == source.getpalette("RGB")


def test_a_palette_with_half_transparent_entries_keeps_them(astronaut, save, erase, hole):
    source = Image.fromarray(astronaut).quantize(40)
    opacity = bytes([0, 77, 128]) + bytes([255]) * 37
    photo = decode(save(source, "PNG", transparency=opacity))
    image = reopened(encode(erase(photo, opacity=255)).data)
    assert image.mode == "P"
    assert_only_the_hole_changed(np.asarray(source), np.asarray(image), hole)
    before = reopened(save(source, "PNG", transparency=opacity)).convert("RGBA")
    shown = np.asarray(image.convert("RGBA"))
    assert np.array_equal(shown[~hole], np.asarray(before)[~hole])
    assert (shown[hole] == (40, 160, 90, 255)).all()


def test_a_gif_keeps_its_transparent_index(astronaut, save, erase, hole):
    source = Image.fromarray(astronaut).quantize(40)
    image = reopened(encode(erase(decode(save(source, "GIF", transparency=3)), opacity=255)).data)
    shown = np.asarray(image.convert("RGBA"))
    transparent = (np.asarray(source) == 3) & ~hole
    assert transparent.any()
    assert (shown[transparent][:, 3] == 0).all()
    assert (shown[~transparent][:, 3] == 255).all()


def test_a_grey_gif_with_transparency_keeps_it(astronaut, save):
    source = Image.fromarray(astronaut).convert("L")
    photo = decode(save(source, "GIF", transparency=int(np.asarray(source)[0, 0])))
    shown = np.asarray(reopened(encode(photo).data).convert("RGBA"))
    assert np.array_equal(shown[..., 3] == 0, np.asarray(source) == np.asarray(source)[0, 0])


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF"])
def test_one_bit_stays_one_bit(format, astronaut, save, erase, hole):
    source = Image.fromarray(astronaut).convert("1")
    image = reopened(encode(erase(decode(save(source, format)), colour=(200, 200, 200))).data)
    assert image.mode == "1"
    assert np.array_equal(np.asarray(source)[~hole], np.asarray(image)[~hole])
    assert np.asarray(image)[hole].all()


@pytest.mark.parametrize("compression", ["group4", "tiff_lzw", "packbits", "tiff_adobe_deflate", "raw"])
def test_a_tiff_keeps_its_lossless_compression(compression, astronaut, save, erase):
    source = Image.fromarray(astronaut).convert("1" if compression == "group4" else "RGB")
    image = reopened(encode(erase(decode(save(source, "TIFF", compression=compression)))).data)
    assert (image.mode, image.info["compression"]) == (source.mode, compression)


def test_a_tiff_with_jpeg_inside_is_written_without_further_loss(astronaut, save, erase, hole):
    source = save(Image.fromarray(astronaut), "TIFF", compression="jpeg", quality=90)
    image = reopened(encode(erase(decode(source))).data)
    assert image.info["compression"] == "tiff_adobe_deflate"
    assert_only_the_hole_changed(np.asarray(reopened(source)), np.asarray(image), hole)


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "L"])
def test_16_bit_png_keeps_every_bit(kind, deep, alpha, erase, hole):
    planes = {"RGB": deep, "RGBA": np.dstack([deep, alpha.astype(np.uint16) * 257]), "L": deep[..., 0]}[kind]
    swapped = planes if kind == "L" else planes[..., [2, 1, 0, 3][: planes.shape[2]]]
    source = cv2.imencode(".png", swapped)[1].tobytes()
    photo = decode(source)
    assert (photo.layout, photo.deep) == (Layout(kind), True)
    result = encode(erase(photo))
    assert result.notices == ()
    assert_only_the_hole_changed(cv2_read(source), cv2_read(result.data), hole)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["RGB", "RGBA", "L"])
def test_16_bit_tiff_keeps_every_bit(kind, compression, deep, alpha, erase, hole):
    before = {"RGB": deep, "RGBA": np.dstack([deep, alpha.astype(np.uint16) * 257]), "L": deep[..., 0]}[kind]
    source = io.BytesIO()
    extra = {"extrasamples": ["unassalpha"]} if kind == "RGBA" else {}
    photometric = "minisblack" if kind == "L" else "rgb"
    tifffile.imwrite(source, before, photometric=photometric, compression=compression, **extra)
    photo = decode(source.getvalue())
    assert (photo.layout, photo.deep) == (Layout(kind), True)
    result = encode(erase(photo))
    by_tifffile = tifffile.imread(io.BytesIO(result.data))
    assert_only_the_hole_changed(before, by_tifffile, hole)
    by_opencv = cv2_read(result.data)
    order = [2, 1, 0, 3][: by_opencv.shape[2]] if by_opencv.ndim == 3 else None
    assert np.array_equal(by_tifffile, by_opencv if order is None else by_opencv[..., order])


@pytest.mark.parametrize(
    ("format", "profile_for"),
    [
        *((name, "RGB") for name in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")),
        ("PNG", "L"),
        ("JPEG", "L"),
        ("TIFF", "L"),
    ],
)
def test_a_colour_profile_comes_back_byte_for_byte(format, profile_for, astronaut, save, erase):
    # Not a real profile except for its header: it has to survive without being understood.
    profile = (
        b"\0\0\1\0lcms\4\x30\0\0mntr" + (b"RGB " if profile_for == "RGB" else b"GRAY") + bytes(range(236))
    )
    source = Image.fromarray(astronaut).convert(profile_for)
    result = encode(erase(decode(save(source, format, icc_profile=profile))))
    assert reopened(result.data).info["icc_profile"] == profile
    assert result.notices == ()


def test_a_display_p3_like_profile_is_neither_changed_nor_applied(astronaut, save, erase, srgb_icc, hole):
    source = save(Image.fromarray(astronaut), "PNG", icc_profile=srgb_icc)
    image = reopened(encode(erase(decode(source))).data)
    assert image.info["icc_profile"] == srgb_icc
    assert np.array_equal(np.asarray(image)[~hole], astronaut[~hole])


@pytest.mark.parametrize("size", [3, 4])
def test_16_bit_png_keeps_profile_exif_and_resolution(size, deep, alpha, srgb_icc, erase):
    from dataclasses import replace

    from magic_eraser.imaging.codec import exif

    planes = deep if size == 3 else np.dstack([deep, alpha.astype(np.uint16) * 257])
    photo = decode(cv2.imencode(".png", planes)[1].tobytes())
    tags = Image.Exif()
    tags[0x010F] = "Canon"
    block = tags.tobytes().removeprefix(b"Exif\0\0")
    photo = replace(photo, metadata=replace(photo.metadata, icc=srgb_icc, exif=block, dpi=(300.0, 300.0)))
    for target in ("png", "tiff"):
        again = decode(encode(erase(photo), format=target).data)
        assert again.metadata.icc == srgb_icc
        assert again.metadata.dpi == pytest.approx((300, 300), abs=0.02)
        assert exif.load(again.metadata.exif or b"")[0x010F] == "Canon"
        assert again.deep


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "BMP"])
def test_resolution_comes_back(format, astronaut, save, erase):
    result = encode(erase(decode(save(Image.fromarray(astronaut), format, dpi=(300, 150)))))
    assert reopened(result.data).info["dpi"] == pytest.approx((300, 150), abs=0.02)


def test_cmyk_jpeg_stays_cmyk_with_its_profile(astronaut, save, erase, hole):
    profile = b"\0\0\1\0lcms\4\x30\0\0prtrCMYK" + bytes(range(236))
    source = Image.fromarray(astronaut).convert("CMYK")
    original = save(source, "JPEG", quality=95, icc_profile=profile)
    result = encode(erase(decode(original)))
    image = reopened(result.data)
    assert (image.mode, image.info["icc_profile"], result.notices) == ("CMYK", profile, ())
    before, after = np.asarray(reopened(original)).astype(int), np.asarray(image).astype(int)
    far = cv2.dilate(hole.astype(np.uint8), np.ones((33, 33), np.uint8)) == 0
    assert np.abs(before - after)[far].mean() < 0.5
    shown = np.asarray(image.convert("RGB"))[hole].astype(int)
    assert np.abs(shown.mean(axis=0) - (40, 160, 90)).max() < 12


def test_cmyk_tiff_keeps_every_ink_outside_the_hole(astronaut, save, erase, hole):
    source = Image.fromarray(astronaut).convert("CMYK")
    image = reopened(encode(erase(decode(save(source, "TIFF")))).data)
    assert image.mode == "CMYK"
    assert_only_the_hole_changed(np.asarray(source), np.asarray(image), hole)


def test_lossless_webp_stays_lossless_and_keeps_colours_under_transparency(
    astronaut, alpha, save, erase, hole
):
    before = np.dstack([astronaut, alpha])
    source = save(Image.fromarray(before), "WEBP", lossless=True, exact=True)
    result = encode(erase(decode(source)))
    assert b"VP8L" in result.data[:60]
    assert_only_the_hole_changed(before, np.asarray(reopened(result.data)), hole)


def test_lossy_webp_stays_lossy_and_close(astronaut, save, erase, hole):
    source = save(Image.fromarray(astronaut), "WEBP", quality=80)
    result = encode(erase(decode(source)))
    assert b"VP8 " in result.data[:60]
    before = np.asarray(reopened(source)).astype(int)
    after = np.asarray(reopened(result.data)).astype(int)
    assert np.abs(before - after)[~hole].mean() < 3


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_keeps_its_tables_subsampling_and_order(subsampling, progressive, astronaut, save, erase):
    from PIL import JpegImagePlugin

    source = save(
        Image.fromarray(astronaut), "JPEG", quality=81, subsampling=subsampling, progressive=progressive
    )
    image = reopened(encode(erase(decode(source))).data)
    assert image.quantization == reopened(source).quantization
    assert JpegImagePlugin.get_sampling(image) == subsampling
    assert bool(image.info.get("progressive")) is progressive


def test_a_jpeg_written_again_hardly_changes_outside_the_hole(astronaut, save, erase, hole):
    source = save(Image.fromarray(astronaut), "JPEG", quality=85)
    before = np.asarray(reopened(source)).astype(int)
    after = np.asarray(reopened(encode(erase(decode(source))).data)).astype(int)
    far = cv2.dilate(hole.astype(np.uint8), np.ones((49, 49), np.uint8)) == 0
    assert np.abs(before - after)[far].mean() < 0.3


def test_png_colour_chunks_come_back(astronaut, save, erase):
    from magic_eraser.imaging.codec import png

    source = save(Image.fromarray(astronaut), "PNG")
    gamma = (b"gAMA", (45455).to_bytes(4, "big"))
    parts = [(part.kind, bytes(part.payload)) for part in png.chunks(source)]
    result = encode(erase(decode(png.assemble([parts[0], gamma, *parts[1:]]))))
    assert gamma in [(part.kind, bytes(part.payload)) for part in png.chunks(result.data)]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_orientation_is_applied_once_and_its_tag_is_gone(format, orientation, astronaut, save):
    from PIL import ImageOps

    tags = Image.Exif()
    tags[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 97}}.get(format, {})
    source = save(Image.fromarray(astronaut), format, exif=tags, **options)
    result = reopened(encode(decode(source)).data)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(source)))
    assert result.size == upright.size
    assert result.getexif().get(0x0112, 1) == 1
    limit = 3 if format == "JPEG" else 0
    assert np.abs(np.asarray(result).astype(int) - np.asarray(upright)).mean() <= limit


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_orientation_of_16_bit_tiff_is_applied(planar, orientation, deep):
    from magic_eraser.imaging.samples import upright

    source = io.BytesIO()
    planes = deep if planar == "contig" else np.moveaxis(deep, -1, 0)
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(source, planes, photometric="rgb", planarconfig=planar, extratags=[tag])
    assert np.array_equal(decode(source.getvalue()).samples, upright(deep, orientation))


def test_transparent_colour_of_a_png_becomes_alpha(astronaut, save):
    colour = tuple(int(value) for value in astronaut[5, 7])
    photo = decode(save(Image.fromarray(astronaut), "PNG", transparency=colour))
    assert photo.layout is Layout.RGBA
    assert np.array_equal(photo.alpha() == 0, (astronaut == colour).all(axis=2))
    grey = Image.fromarray(astronaut).convert("L")
    photo = decode(save(grey, "PNG", transparency=90))
    assert photo.layout is Layout.GREY_ALPHA
    assert np.array_equal(photo.alpha() == 0, np.asarray(grey) == 90)
    bits = Image.fromarray(astronaut).convert("1")
    photo = decode(save(bits, "PNG", transparency=1))
    assert np.array_equal(photo.alpha() == 0, np.asarray(bits))


@pytest.mark.parametrize("colours", [3, 1])
def test_transparent_colour_of_a_16_bit_png_becomes_alpha(colours, deep):
    from magic_eraser.imaging.codec import png

    planes = deep if colours == 3 else deep[..., 0]
    source = cv2.imencode(".png", planes[..., ::-1] if colours == 3 else planes)[1].tobytes()
    key = np.atleast_1d(planes[5, 7])
    parts = [(part.kind, bytes(part.payload)) for part in png.chunks(source)]
    marked = png.assemble([parts[0], (b"tRNS", key.astype(">u2").tobytes()), *parts[1:]])
    photo = decode(marked)
    assert photo.layout is (Layout.RGBA if colours == 3 else Layout.GREY_ALPHA)
    same = (deep[..., :colours] == key).all(axis=2)
    assert np.array_equal(photo.alpha() == 0, same)
    # And grey+alpha with 16 bits, which neither Pillow nor OpenCV writes, comes back whole.
    assert np.array_equal(decode(encode(photo).data).samples, photo.samples)


def test_a_cmyk_profile_is_used_in_both_directions(astronaut):
    """A profile whose CMYK is unusual would show here; without one the simple formula has to be its own inverse."""
    from magic_eraser.imaging.samples import cmyk_to_rgb, rgb_to_cmyk

    assert np.abs(cmyk_to_rgb(rgb_to_cmyk(astronaut, None), None).astype(int) - astronaut).max() <= 1
    broken = b"\0\0\1\0lcms\4\x30\0\0prtrCMYK" + bytes(236)
    assert np.array_equal(rgb_to_cmyk(astronaut, broken), rgb_to_cmyk(astronaut, None))

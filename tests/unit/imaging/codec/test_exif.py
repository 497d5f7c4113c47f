from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, TiffImagePlugin

from magic_eraser.imaging.codec import decode, encode, exif
from magic_eraser.imaging.photo import Photo

CARRIERS = ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"]


def camera_tags(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0132] = "Canon", "EOS R5", "2024:05:06 07:08:09"
    tags[0x0112] = orientation
    tags[0x02BC] = b"<x:xmpmeta>a place</x:xmpmeta>"
    tags[0x8769] = {
        0x829A: TiffImagePlugin.IFDRational(1, 250),
        0x8827: 400,
        0x9003: "2024:05:06 07:08:09",
        0x927C: b"maker note with a preview",
        0xA002: 6000,
        0xA003: 4000,
        0xA005: {1: "R03", 2: b"0100"},
    }
    tags[0x8825] = {1: "N", 2: (31.0, 14.0, 9.0)}
    return tags


@pytest.mark.parametrize("format", CARRIERS)
def test_camera_data_is_kept_and_places_previews_and_xmp_are_dropped(format, astronaut, save):
    photo = decode(save(Image.fromarray(astronaut), format, exif=camera_tags().tobytes()))
    result = encode(photo)
    tags = Image.open(io.BytesIO(result.data)).getexif()
    assert (tags[0x010F], tags[0x0110], tags[0x0132]) == ("Canon", "EOS R5", "2024:05:06 07:08:09")
    details = tags.get_ifd(0x8769)
    assert (float(details[0x829A]), details[0x8827]) == (0.004, 400)
    if format != "TIFF":  # where Pillow, which made the file, writes a wrong pointer
        assert tags.get_ifd(0xA005)[1] == "R03", "which says Adobe RGB where there is no profile"
    assert not tags.get_ifd(0x8825)
    assert b"maker note" not in result.data
    assert b"xmpmeta" not in result.data
    assert [notice.code for notice in result.notices] == ["gps_dropped"]


def test_tags_that_the_standard_does_not_define_are_dropped(astronaut, save):
    tags = camera_tags()
    tags[0x8769] = {0x8827: 100, 0xEA1C: b"a makers own", 0x927D: b"a makers own"}
    tags[0xC4A5] = b"a makers own"
    photo = decode(save(Image.fromarray(astronaut), "JPEG", exif=tags))
    assert exif.details(photo.metadata.exif or b"") == {0x8827: 100}
    assert b"a makers own" not in encode(photo).data


def test_no_place_no_notice(astronaut, save):
    tags = camera_tags()
    del tags[0x8825]
    assert decode(save(Image.fromarray(astronaut), "JPEG", exif=tags)).notices == ()


def test_the_thumbnail_of_the_unerased_picture_is_dropped(astronaut, save):
    thumbnail = save(Image.fromarray(astronaut).resize((32, 24)), "JPEG")
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    directory[0x010F] = "Canon"
    first = bytearray(directory.tobytes(8))
    second = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    start = 8 + len(first)
    second[0x0201], second[0x0202] = 0, len(thumbnail)
    second[0x0201] = start + len(second.tobytes(start))
    first[2 + 12 : 2 + 12 + 4] = start.to_bytes(4, "little")  # "next directory"
    block = b"Exif\0\0II*\0\x08\0\0\0" + bytes(first) + second.tobytes(start) + thumbnail
    content = save(Image.fromarray(astronaut), "JPEG", exif=block)
    assert thumbnail in content
    assert 0x0201 in Image.open(io.BytesIO(content)).getexif().get_ifd(ExifTags.IFD.IFD1)
    result = encode(decode(content))
    assert thumbnail not in result.data
    assert Image.open(io.BytesIO(result.data)).getexif()[0x010F] == "Canon"


def test_resolution_changes_places_when_the_picture_is_turned(astronaut, save):
    tags = camera_tags(orientation=6)
    tags[0x011A], tags[0x011B], tags[0x0128] = 300.0, 150.0, 2
    photo = decode(save(Image.fromarray(astronaut), "WEBP", exif=tags))
    kept = exif.load(photo.metadata.exif or b"")
    assert (photo.width, photo.height) == (90, 120)
    assert (float(kept[0x011A]), float(kept[0x011B])) == (150, 300)
    assert 0x0112 not in kept


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits", None])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("target", ["png", "tiff"])
def test_camera_data_goes_into_files_of_every_depth_and_compression(
    target, bits, compression, deep, astronaut, save
):
    block = decode(save(Image.fromarray(astronaut), "JPEG", exif=camera_tags())).metadata.exif
    photo = Photo.from_array(deep if bits == 16 else astronaut)
    photo = replace(photo, metadata=replace(photo.metadata, exif=block, compression=compression))
    tags = Image.open(io.BytesIO(encode(photo, format=target).data)).getexif()
    assert (tags[0x010F], float(tags.get_ifd(0x8769)[0x829A]), tags.get_ifd(0xA005)[1]) == (
        "Canon",
        0.004,
        "R03",
    )
    again = decode(encode(photo, format=target).data)
    assert np.array_equal(again.samples, photo.samples)
    assert exif.details(again.metadata.exif or b"") == exif.details(block or b"")
    if target == "tiff":
        with tifffile.TiffFile(io.BytesIO(encode(photo, format=target).data)) as file:
            assert file.pages[0].tags["ExifTag"].value["ISOSpeedRatings"] == 400


@pytest.mark.parametrize("value", [0, 9, 300])
def test_an_orientation_that_does_not_exist_means_upright(value, astronaut, save):
    photo = decode(save(Image.fromarray(astronaut), "PNG", exif=camera_tags(orientation=value)))
    assert np.array_equal(photo.samples, astronaut)


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_a_broken_block_costs_the_block_and_not_the_picture(block, astronaut, save):
    content = save(Image.fromarray(astronaut), "PNG")
    from magic_eraser.imaging.codec import png

    parts = [(part.kind, bytes(part.payload)) for part in png.chunks(content)]
    marked = png.assemble([parts[0], (b"eXIf", block.removeprefix(b"Exif\0\0")), *parts[1:]])
    photo = decode(marked)
    assert np.array_equal(photo.samples, astronaut)
    assert photo.metadata.exif is None

from __future__ import annotations

import io
import zipfile

import pytest

from magic_eraser.errors import InvalidImage, UnsupportedFormat
from magic_eraser.imaging.codec import FORMATS, decode, extension_of, format_of_extension, identify


@pytest.mark.parametrize("name", FORMATS)
def test_the_usual_extension_leads_back_to_the_format(name):
    assert format_of_extension(extension_of(name)) == name
    assert FORMATS[name].media_type.startswith("image/")


def test_extensions_are_read_without_regard_to_case_or_dot():
    assert format_of_extension("JPG") == "jpeg"
    assert format_of_extension(".Tif") == "tiff"
    assert format_of_extension(".docx") is None


def test_an_empty_file_is_called_empty():
    with pytest.raises(InvalidImage, match="empty"):
        decode(b"")


def test_unknown_bytes_are_no_picture():
    with pytest.raises(InvalidImage, match="not a picture of any known kind"):
        decode(b"\x01\x02\x03\x04 nothing that anybody knows")


def a_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("photo.png", b"x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (a_zip(), "ZIP"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "PDF"),
        (b"8BPS\0\1" + bytes(30), "Photoshop"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<svg/>", "SVG"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "MP4"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "QuickTime"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "WAV"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"\0\0\1\0\1\0", "ICO"),
        (b'{"detail": "not found"}', "text"),
    ],
)
def test_a_file_of_another_kind_is_named(content, found):
    with pytest.raises(UnsupportedFormat, match=found) as caught:
        identify(content)
    assert caught.value.detail_zh != caught.value.title_zh
    assert found in caught.value.extra["found"]

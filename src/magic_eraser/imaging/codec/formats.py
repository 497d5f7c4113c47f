"""The formats that are read and written, and how to tell what a file is from its first bytes."""

from __future__ import annotations

from typing import Literal, NamedTuple

from magic_eraser.errors import InvalidImage, UnsupportedFormat

FormatName = Literal["png", "jpeg", "webp", "avif", "bmp", "tiff", "gif", "heif"]
OutputFormat = Literal["same", "png", "jpeg", "webp", "avif", "bmp", "tiff", "gif"]


class Format(NamedTuple):
    """A row of the table. extensions: lower case, with the dot, the usual first; side: most pixels a side."""

    name: FormatName
    title: str
    media_type: str
    extensions: tuple[str, ...]
    side: int
    writable: bool = True


FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format("png", "PNG", "image/png", (".png", ".apng"), 2**31 - 1),
        Format("jpeg", "JPEG", "image/jpeg", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), 65500),
        Format("webp", "WebP", "image/webp", (".webp",), 16383),
        Format("avif", "AVIF", "image/avif", (".avif",), 65536),
        Format("bmp", "BMP", "image/bmp", (".bmp", ".dib"), 2**31 - 1),
        Format("tiff", "TIFF", "image/tiff", (".tif", ".tiff"), 2**31 - 1),
        Format("gif", "GIF", "image/gif", (".gif",), 65535),
        Format("heif", "HEIC", "image/heic", (".heic", ".heif", ".hif"), 2**31 - 1, writable=False),
    )
}

_SIGNATURES = (
    ("png", b"\x89PNG\r\n\x1a\n"),
    ("jpeg", b"\xff\xd8\xff"),
    ("gif", b"GIF87a"),
    ("gif", b"GIF89a"),
    ("tiff", b"II*\0"),
    ("tiff", b"MM\0*"),
    ("tiff", b"II+\0"),  # BigTIFF
    ("tiff", b"MM\0+"),
)
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_BRANDS = {b"jp2 ": "JPEG 2000", b"jpx ": "JPEG 2000", b"crx ": "a raw photo (CR3)"}

# What people send by mistake: (offset, signature, name).
_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"PK\x05\x06", "a ZIP archive"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"8BPS", "a Photoshop document (PSD)"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x00\x00\x01\x00", "a Windows icon (ICO)"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"FORM", "an IFF file"),
    (0, b"gimp xcf", "a GIMP document (XCF)"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"DDS ", "a DDS texture"),
    (0, b"FUJIFILMCCD-RAW", "a raw photo (RAF)"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a Windows program"),
    (0, b"ID3", "an MP3 file"),
    (0, b"OggS", "an Ogg file"),
    (0, b"P5", "a PNM picture"),
    (0, b"P6", "a PNM picture"),
)


def extension_of(name: str) -> str:
    """The usual file extension of a format, with its dot: `extension_of("jpeg")` is ".jpg"."""
    return FORMATS[name].extensions[0]


def format_of_extension(extension: str) -> FormatName | None:
    """The format that a file extension (".JPG" or "jpg") means, None where it means none of ours."""
    wanted = "." + extension.lower().removeprefix(".")
    return next((row.name for row in FORMATS.values() if wanted in row.extensions), None)


def identify(data: bytes) -> Format:
    """What the file is, by its signature alone; its name is never asked.

    Raises:
        InvalidImage: empty, or bytes of no known kind.
        UnsupportedFormat: a known kind that is not one of `FORMATS`.
    """
    if not data:
        raise InvalidImage("The file is empty (0 bytes).", "文件是空的（0 字节）。")
    name = _ours(data)
    if name is not None:
        return FORMATS[name]
    found = _foreign(data)
    if found is not None:
        raise UnsupportedFormat(
            f"This is {found}, not a picture in a format that can be read.",
            f"文件的实际类型是 {found}，不是可以读取的图片格式。",
            extra={"found": found},
        )
    raise InvalidImage(
        "The file is not a picture of any known kind.",
        "这个文件不是任何已知类型的图片。",
    )


def _ours(data: bytes) -> str | None:
    for name, signature in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    # "BM" alone is two letters of text; a header size of a known version makes it a bitmap.
    if data[:2] == b"BM" and data[14:18] in {bytes([n, 0, 0, 0]) for n in (12, 40, 52, 56, 64, 108, 124)}:
        return "bmp"
    if data[4:8] == b"ftyp":
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(_box_size(data), 64), 4))}
        if brands & {b"avif", b"avis"}:
            return "avif"
        if brands & _HEIF_BRANDS:
            return "heif"
    return None


def _box_size(data: bytes) -> int:
    return int.from_bytes(data[:4], "big")


def _foreign(data: bytes) -> str | None:
    for offset, signature, name in _FOREIGN:
        if data[offset : offset + len(signature)] == signature:
            return name
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "an MP4 or QuickTime video")
    if data[:4] == b"RIFF":
        return {b"AVI ": "an AVI video", b"WAVE": "a WAV sound"}.get(data[8:12], "a RIFF file")
    return _foreign_text(data)


def _foreign_text(data: bytes) -> str | None:
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<svg", b"<?xml")) and b"<svg" in head:
        return "an SVG drawing"
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    if head.startswith((b"<?xml", b"{", b"data:")):
        return "text"
    return None

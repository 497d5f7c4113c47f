"""What a file says of itself before any pixel is decoded: size, frames, and whether it is taken at all."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple, cast

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from magic_eraser.errors import UnsupportedFormat
from magic_eraser.imaging.codec import exif, png
from magic_eraser.imaging.codec.faults import check_size, cut_off, guarded
from magic_eraser.imaging.codec.formats import Format, FormatName, identify

MAX_PIXELS = 50_000_000
"""Default cap: 50 MP, a medium format camera."""

# One plugin per signature, called directly. `Image.open` would do the same by trying, and besides apply the
# process-wide `Image.MAX_IMAGE_PIXELS`, as a warning or an error at a size that is not the caller's.
_OPENERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "png": PngImagePlugin.PngImageFile,
    # Not `jpeg_factory`: it would follow the multi-picture index of phones to previews and gain maps.
    "jpeg": JpegImagePlugin.JpegImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "gif": GifImagePlugin.GifImageFile,
}


class Probe(NamedTuple):
    """width, height: after the EXIF orientation; frames: frames or pages, 1 for a still."""

    format: FormatName
    width: int
    height: int
    frames: int


def probe(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Probe:
    """Read the header only.

    Raises:
        InvalidImage, UnsupportedFormat, ImageTooLarge: as `decode`, as far as a header can tell.
    """
    kind = identify(data)
    with guarded(kind):
        image = open_header(kind, data, max_pixels)
        width, height = image.size
        # Pillow turns TIFF by itself and says the turned size; libheif turns HEIC.
        if kind.name not in ("tiff", "heif") and exif.read(image).orientation >= 5:
            width, height = height, width
        return Probe(kind.name, width, height, frames_of(image))


def frames_of(image: Image.Image) -> int:
    """Frames or pages, at least 1."""
    return max(1, int(getattr(image, "n_frames", 1)))


def open_header(kind: Format, data: bytes, max_pixels: int) -> Image.Image:
    """A lazy Pillow image whose size has been checked; its pixels are not decoded yet.

    Raises:
        ImageTooLarge, InvalidImage, UnsupportedFormat; and whatever Pillow raises: call it inside `guarded`.
    """
    if kind.name == "png":
        head = png.header(data)
        check_size(head.width, head.height, max_pixels, kind)
    if kind.name == "webp":
        # Opening a WebP already reserves two whole canvases (WebPAnimDecoderNew): its header comes first.
        check_size(*_webp_size(data, kind), max_pixels, kind)
    opened = _open_heif(data) if kind.name == "heif" else _OPENERS[kind.name](io.BytesIO(data))
    check_size(*opened.size, max_pixels, kind)
    return opened


def _open_heif(data: bytes) -> Image.Image:
    try:
        import pillow_heif
    except ImportError:
        raise UnsupportedFormat(
            'This is a HEIC picture; the server reads them once it has `pip install "magic-eraser[heif]"`.',
            '这是 HEIC 图片；服务器安装 `pip install "magic-eraser[heif]"` 后即可读取。',
            extra={"found": "HEIC"},
        ) from None
    # The plugin's class, not register_heif_opener(): nothing of Pillow's global state is touched.
    from pillow_heif.as_plugin import HeifImageFile

    del pillow_heif
    return cast("Image.Image", HeifImageFile(io.BytesIO(data)))


def webp_chunks(data: bytes) -> list[tuple[bytes, int, int]]:
    """(type, start, length) of the chunks of a WebP (RFC 9649, 2.3), those inside the first frame included."""
    found: list[tuple[bytes, int, int]] = []
    at = 12
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        found.append((kind, at + 8, length))
        # An animation frame has 16 bytes of its own, then chunks: step into it.
        at += 24 if kind == b"ANMF" else 8 + length + (length & 1)
    return found


def _webp_size(data: bytes, kind: Format) -> tuple[int, int]:
    if int.from_bytes(data[4:8], "little") + 8 > len(data) or len(data) < 30:
        raise cut_off(kind)
    first, body = data[12:16], data[20:30]
    if first == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if first == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF

"""A `Photo` to bytes."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from magic_eraser.errors import ImageTooLarge, UnsupportedFormat
from magic_eraser.imaging.codec import bmp, jpeg, notices, pil, png, tiff
from magic_eraser.imaging.codec.convert import fit
from magic_eraser.imaging.codec.formats import FORMATS, Format, FormatName, OutputFormat
from magic_eraser.imaging.photo import Layout, Notice, Photo

_WEBP_QUALITY = 90
_AVIF_QUALITY = 85
# 12 MP in 1.5 s; 6, libavif's default, takes 5 s for a file 13 % smaller.
_AVIF_SPEED = 8


# Few colours with hard edges: lossless WebP is smaller and sharp.
_DRAWINGS = frozenset({Layout.PALETTE, Layout.BILEVEL})


class Encoded(NamedTuple):
    """data: the file; format: its name in `FORMATS`; notices: the photo's own, then what this format lost."""

    data: bytes
    format: FormatName
    media_type: str
    notices: tuple[Notice, ...]


def encode(photo: Photo, *, format: OutputFormat = "same", quality: int | None = None) -> Encoded:
    """Write the picture with its profile, EXIF and resolution.

    Args:
        format: "same" is the format it came in; PNG for arrays, JPEG (PNG with alpha) for HEIC.
        quality: 1..100 for JPEG, WebP (which it makes lossy) and AVIF; the others pay no heed. None: a JPEG
            keeps its own tables (others get 92, 4:4:4); a WebP is lossless where it was, or where the picture
            is a palette or bilevel one (others get 90); AVIF gets 85.

    Raises:
        UnsupportedFormat: no such format. ImageTooLarge: a side longer than the format can say.
        ValueError: a quality outside 1..100.
    """
    if quality is not None and not 1 <= quality <= 100:
        raise ValueError(f"quality is 1..100, not {quality}")
    target, said = _target(photo, format)
    if max(photo.width, photo.height) > target.side:
        raise ImageTooLarge(
            f"{target.title} holds {target.side} pixels a side; this picture is {photo.width} x {photo.height}.",
            f"{target.title} 每边最多 {target.side} 像素，图片为 {photo.width} x {photo.height}。",
        )
    fitted, lost = fit(photo, target)
    if photo.layout in _DRAWINGS:
        fitted = replace(fitted, metadata=replace(fitted.metadata, lossless=True))
    data = _write(fitted, target, quality)
    spoken = tuple(dict.fromkeys([*photo.notices, *said, *lost]))
    return Encoded(data, target.name, target.media_type, spoken)


def _target(photo: Photo, wanted: str) -> tuple[Format, list[Notice]]:
    name = (photo.metadata.format or "png") if wanted == "same" else wanted
    target = FORMATS.get(name)
    if target is not None and target.writable:
        return target, []
    if target is not None and wanted == "same":
        instead = FORMATS["png" if photo.has_alpha else "jpeg"]
        return instead, [notices.format_changed(target.title, instead.title)]
    names = ", ".join(row.name for row in FORMATS.values() if row.writable)
    raise UnsupportedFormat(
        f'There is no output format "{wanted}"; there are same, {names}.',
        f"没有“{wanted}”输出格式，可用：same、{names}。",
    )


def _write(photo: Photo, target: Format, quality: int | None) -> bytes:
    match target.name:
        case "png":
            return png.write(photo)
        case "jpeg":
            return jpeg.write(photo, quality)
        case "tiff":
            return tiff.write(photo)
        case "bmp" if photo.layout is Layout.RGBA:
            return bmp.write_rgba(photo)
        case _:
            return _with_pillow(photo, target, quality)


def _with_pillow(photo: Photo, target: Format, quality: int | None) -> bytes:
    out = io.BytesIO()
    pil.bare_image(photo).save(out, target.title.upper(), **_options(photo, target, quality))
    return out.getvalue()


def _options(photo: Photo, target: Format, quality: int | None) -> dict[str, Any]:
    metadata = photo.metadata
    carried: dict[str, Any] = {}
    if metadata.icc is not None:
        carried["icc_profile"] = metadata.icc
    if metadata.exif is not None:
        carried["exif"] = b"Exif\0\0" + metadata.exif
    match target.name:
        case "webp" if metadata.lossless and quality is None:
            # exact: the colours under alpha 0 stay. method 1, effort 0: 12 MP in 1.7 s.
            return carried | {"lossless": True, "exact": True, "method": 1, "quality": 0}
        case "webp":
            return carried | {"quality": quality or _WEBP_QUALITY, "exact": True}
        case "avif":
            how = {"quality": quality or _AVIF_QUALITY, "speed": _AVIF_SPEED, "subsampling": "4:4:4"}
            return carried | how
        case "bmp":
            return {"dpi": metadata.dpi} if metadata.dpi else {}
        case _:
            return _gif_options(photo)


def _gif_options(photo: Photo) -> dict[str, Any]:
    palette = photo.metadata.palette
    if photo.layout is not Layout.PALETTE or palette is None or palette.alpha is None:
        return {"optimize": False}
    return {"optimize": False, "transparency": int(np.flatnonzero(palette.alpha == 0)[0])}

"""TIFF 6.0: the 16-bit part, which Pillow reads as 8 bits, and writing with profile and EXIF."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from magic_eraser.imaging.codec import exif, pil
from magic_eraser.imaging.codec.faults import damaged, unsupported
from magic_eraser.imaging.codec.formats import FORMATS
from magic_eraser.imaging.photo import Layout, Photo, Samples
from magic_eraser.imaging.samples import upright

_KIND = FORMATS["tiff"]
_BITS, _PHOTOMETRIC, _PLANAR, _EXTRA, _SAMPLE_FORMAT = 258, 262, 284, 338, 339
_ORIENTATION, _EXIF_IFD, _ICC = 274, 34665, 34675
_WHITE_IS_ZERO, _ASSOCIATED = 0, 1

_LOSSLESS = frozenset({"raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"})
_BILEVEL_ONLY = frozenset({"group3", "group4"})


def is_deep(image: Image.Image) -> bool:
    """Whether an opened TIFF has 16 bits a sample."""
    return max(_values(image, _BITS, (1,))) == 16


def _values(image: Image.Image, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
    value = image.tag_v2.get(tag, default) if isinstance(image, TiffImagePlugin.TiffImageFile) else default
    return value if isinstance(value, tuple) else (value,)


def associated_alpha(image: Image.Image) -> bool:
    return _ASSOCIATED in _values(image, _EXTRA, ())


def read_deep(data: bytes, image: Image.Image) -> tuple[Samples, Layout, bool]:
    """The first page of a 16-bit TIFF, upright; and whether a channel of no known meaning was left out."""
    if set(_values(image, _BITS, (1,))) != {16} or set(_values(image, _SAMPLE_FORMAT, (1,))) != {1}:
        raise unsupported(_KIND, "samples other than unsigned integers of one depth", "非统一无符号整数样本")
    photometric = _values(image, _PHOTOMETRIC, (1,))[0]
    if photometric not in (0, 1, 2):
        raise unsupported(_KIND, "16 bits in a colour model other than grey or RGB", "非灰度或 RGB 的 16 位颜色模型")
    decoded = _decode(data, image)
    if decoded.dtype != np.uint16 or decoded.shape[:2] != (image.height, image.width):
        raise damaged(_KIND, "its pixels cannot be unpacked")
    if decoded.ndim == 2 or decoded.shape[2] == 1:
        grey = decoded if decoded.ndim == 2 else np.ascontiguousarray(decoded[..., 0])
        return (np.uint16(65535) - grey if photometric == _WHITE_IS_ZERO else grey), Layout.GREY, False
    with_alpha = bool({1, 2} & set(_values(image, _EXTRA, ())))
    if decoded.shape[2] == 4 and with_alpha:
        return decoded, Layout.RGBA, False
    return np.ascontiguousarray(decoded[..., :3]), Layout.RGB, decoded.shape[2] > 3


def _decode(data: bytes, image: Image.Image) -> Samples:
    if _values(image, _PLANAR, (1,))[0] == 2:
        # OpenCV takes the first plane of a planar file for the whole.
        import tifffile

        with tifffile.TiffFile(io.BytesIO(data)) as file:
            planes = file.pages[0].asarray()
        return upright(np.ascontiguousarray(np.moveaxis(planes, 0, -1)), _values(image, _ORIENTATION, (1,))[0])
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise damaged(_KIND, "its pixels cannot be unpacked")
    if decoded.ndim == 3 and decoded.shape[2] in (3, 4):
        swap = cv2.COLOR_BGR2RGB if decoded.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        decoded = cv2.cvtColor(decoded, swap, dst=decoded)
    return np.asarray(decoded)


# --- writing ------------------------------------------------------------------------------------------------


def write(photo: Photo) -> bytes:
    """Any layout; 16 bits for GREY, RGB and RGBA. Compression as it came where lossless, else Deflate."""
    if photo.deep:
        return _write_deep(photo)
    metadata = photo.metadata
    options: dict[str, Any] = {"compression": _compression(photo)}
    if metadata.icc is not None:
        options["icc_profile"] = metadata.icc
    if metadata.dpi is not None:
        options["dpi"] = metadata.dpi
    if metadata.exif is not None:
        options["exif"] = exif.load(metadata.exif)
    out = io.BytesIO()
    pil.bare_image(photo).save(out, "TIFF", **options)
    return out.getvalue()


def _compression(photo: Photo) -> str:
    came = photo.metadata.compression
    if came in _LOSSLESS or (came in _BILEVEL_ONLY and photo.layout is Layout.BILEVEL):
        return came or "raw"
    return "tiff_adobe_deflate"


def _write_deep(photo: Photo) -> bytes:
    import tifffile

    metadata = photo.metadata
    colour = photo.layout is not Layout.GREY
    extra: dict[str, Any] = {}
    if photo.layout is Layout.RGBA:
        extra["extrasamples"] = ["assocalpha" if metadata.associated_alpha else "unassalpha"]
    if metadata.dpi is not None:
        extra |= {"resolution": metadata.dpi, "resolutionunit": "INCH"}
    out = io.BytesIO()
    tifffile.imwrite(
        out,
        photo.samples,
        photometric="rgb" if colour else "minisblack",
        compression=None if metadata.compression == "raw" else "zlib",
        compressionargs=None if metadata.compression == "raw" else {"level": 1},
        iccprofile=metadata.icc,
        metadata=None,
        software=False,
        extratags=_exif_tags(metadata.exif),
        **extra,
    )
    return _with_details(out.getvalue(), metadata.exif)


def _exif_tags(block: bytes | None) -> list[tuple[int, str, int, Any, bool]]:
    """The text tags of the first EXIF directory, and the place of the second one (0 for now)."""
    if block is None:
        return []
    tags: list[tuple[int, str, int, Any, bool]] = [
        (tag, "s", 0, value, True) for tag, value in exif.load(block).items() if isinstance(value, str)
    ]
    if exif.details(block):
        tags.append((_EXIF_IFD, "I", 1, 0, True))
    return tags


def _with_details(data: bytes, block: bytes | None) -> bytes:
    """Append the Exif directory, whose offsets count from the start of the file, and point to it."""
    details = exif.details(block) if block is not None else {}
    if not details:
        return data
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pointer = file.pages[0].tags[_EXIF_IFD].valueoffset
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    directory.update(details)
    out = bytearray(data + b"\0" * (len(data) % 2))
    out[pointer : pointer + 4] = len(out).to_bytes(4, "little")
    return bytes(out + directory.tobytes(len(out)))

"""TIFF 6.0: the 16-bit part, which Pillow reads as 8 bits, and writing with profile and EXIF."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import accumulate
from typing import Any

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from magic_eraser.errors import ImageTooLarge
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
        raise unsupported(
            _KIND, "16 bits in a colour model other than grey or RGB", "非灰度或 RGB 的 16 位颜色模型"
        )
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
        orientation = _values(image, _ORIENTATION, (1,))[0]
        return upright(np.ascontiguousarray(np.moveaxis(planes, 0, -1)), orientation)
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
    details: dict[int, Any] = {}
    if metadata.exif is not None:
        details = exif.details(metadata.exif)
        first = exif.load(metadata.exif)
        first.pop(_EXIF_IFD, None)
        options["exif"] = first
    out = io.BytesIO()
    pil.bare_image(photo).save(out, "TIFF", **options)
    return _with_details(out.getvalue(), details) if details else out.getvalue()


def _with_details(data: bytes, details: dict[int, Any]) -> bytes:
    """Append the Exif directory and a copy of the first one that points to it.

    Pillow writes neither into a compressed TIFF: libtiff refuses its sub-directories.
    """
    if data[:4] != b"II*\0":  # as on a big-endian machine
        return data
    at = int.from_bytes(data[4:8], "little")
    end = at + 2 + 12 * int.from_bytes(data[at : at + 2], "little")
    entries = [data[start : start + 12] for start in range(at + 2, end, 12)]
    inner = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\x08\0\0\0", group=_EXIF_IFD)
    inner.update(details)
    place = len(data) + len(data) % 2
    body = inner.tobytes(place)
    entries.append(struct.pack("<HHII", _EXIF_IFD, 4, 1, place))
    entries.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    head = data[:4] + struct.pack("<I", place + len(body))
    first = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"".join([head, data[8:].ljust(place - 8, b"\0"), body, first])


def _compression(photo: Photo) -> str:
    came = photo.metadata.compression
    if came in _LOSSLESS or (came in _BILEVEL_ONLY and photo.layout is Layout.BILEVEL):
        return came or "raw"
    return "tiff_adobe_deflate"


def _write_deep(photo: Photo) -> bytes:
    """Header, strips, directory (TIFF 6.0, sections 2 and 14), since Pillow has no 16-bit colour to write."""
    height, width = photo.samples.shape[:2]
    planes = photo.samples.reshape(height, width, -1)
    raw = photo.metadata.compression == "raw"
    # 1 MiB a strip: readers may hold one at a time.
    rows = max(1, (1 << 20) // (width * planes.shape[2] * 2))
    strips = [_strip(planes[top : top + rows], raw=raw) for top in range(0, height, rows)]
    lengths = [len(strip) for strip in strips]
    if sum(lengths) >= 0xFFF00000:
        raise ImageTooLarge(
            "A TIFF file holds 4 GiB; this picture needs more.", "TIFF 文件最大 4 GiB，图片超出。"
        )
    begin = b"II*\0\x08\0\0\0"
    directory = TiffImagePlugin.ImageFileDirectory_v2(begin)
    directory.update(_described(photo, raw=raw))
    # Pillow counts strip offsets from the end of what it writes.
    offsets = tuple(accumulate(lengths[:-1], initial=0))
    directory.update({273: offsets, 278: rows, 279: tuple(lengths)})
    return b"".join([begin, directory.tobytes(len(begin)), *strips])


def _strip(planes: Samples, *, raw: bool) -> bytes:
    little = planes.astype("<u2", copy=True)
    if raw:
        return little.tobytes()
    # Predictor 2: each sample less its left neighbour, modulo 2^16; halves the file of a photograph.
    little[:, 1:] -= planes[:, :-1]
    return zlib.compress(little.tobytes(), 1)


def _described(photo: Photo, *, raw: bool) -> dict[int, Any]:
    """The tags of the directory, but where the strips lie."""
    channels = photo.layout.channels
    metadata = photo.metadata
    tags: dict[int, Any] = {
        256: photo.width, 257: photo.height, _BITS: (16,) * channels, 259: 1 if raw else 8,
        _PHOTOMETRIC: 1 if photo.layout is Layout.GREY else 2, 277: channels, _PLANAR: 1,
        _SAMPLE_FORMAT: (1,) * channels,
    }  # fmt: skip
    if not raw:
        tags[317] = 2
    if photo.layout is Layout.RGBA:
        tags[_EXTRA] = _ASSOCIATED if metadata.associated_alpha else 2
    if metadata.dpi is not None:
        tags |= {282: metadata.dpi[0], 283: metadata.dpi[1], 296: 2}
    if metadata.icc is not None:
        tags[_ICC] = metadata.icc
    if metadata.exif is not None:
        block = exif.load(metadata.exif)
        tags |= {tag: value for tag, value in block.items() if tag not in {_EXIF_IFD, *tags}}
        details = exif.details(metadata.exif)
        if details:
            tags[_EXIF_IFD] = details
    return tags

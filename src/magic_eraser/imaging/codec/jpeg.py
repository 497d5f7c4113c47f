"""JPEG (ITU-T T.81): read fast, and written back with the tables it came with."""

from __future__ import annotations

import io
import os
from typing import cast

import cv2
import numpy as np
from PIL import Image, JpegImagePlugin

from magic_eraser.imaging.codec import pil
from magic_eraser.imaging.photo import JpegTables, Layout, Photo, Samples

_DEFAULT_QUALITY = 92
_EXIF_ROOM = 65533
_SUBSAMPLINGS = (0, 1, 2)


def read(data: bytes, image: Image.Image) -> Samples | None:
    """The samples of a grey or colour JPEG, None where OpenCV declines: then Pillow says what is wrong.

    Both run libjpeg-turbo and give equal samples (tested); OpenCV takes a third of the memory.
    """
    flags = {"RGB": cv2.IMREAD_COLOR_RGB, "L": cv2.IMREAD_GRAYSCALE}.get(image.mode)
    if flags is None:
        return None
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if decoded is None or decoded.shape[:2] != (image.height, image.width):
        return None
    return cast("Samples", decoded)


def tables_of(image: Image.Image) -> JpegTables | None:
    """How an opened JPEG was coded."""
    found: dict[int, list[int]] = getattr(image, "quantization", {})
    if not found:
        return None
    sampling = JpegImagePlugin.get_sampling(cast("JpegImagePlugin.JpegImageFile", image))
    # -1: an uncommon one (4:4:0, 4:1:1) that Pillow cannot write; 4:4:4 then loses nothing.
    subsampling = sampling if sampling in _SUBSAMPLINGS else 0
    tables = tuple(tuple(found[key]) for key in sorted(found))
    return JpegTables(tables, subsampling, bool(image.info.get("progressive")))


def write(photo: Photo, quality: int | None) -> bytes:
    """GREY, RGB or CMYK, 8 bits, as JPEG; `quality` 1..100, None: the picture's own tables, or 92."""
    metadata = photo.metadata
    image = pil.bare_image(photo)
    options: dict[str, object] = {}
    if metadata.icc is not None:
        options["icc_profile"] = metadata.icc
    if metadata.exif is not None and len(metadata.exif) + 6 <= _EXIF_ROOM:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.dpi is not None:
        options["dpi"] = tuple(min(max(round(value), 1), 65535) for value in metadata.dpi)
    tables = metadata.jpeg
    if tables is not None and tables.progressive:
        options["progressive"] = True
    if photo.layout is Layout.RGB:
        options["subsampling"] = tables.subsampling if tables else 0
    if quality is None and tables is not None and _baseline(tables):
        own = [list(table) for table in tables.quantisation]
        return _save(image, options | {"qtables": own[:1] if photo.layout is Layout.GREY else own})
    return _save(image, options | {"quality": _DEFAULT_QUALITY if quality is None else quality})


def _baseline(tables: JpegTables) -> bool:
    """Whether Pillow can write the tables: at most 4, all values in 1..255."""
    values = [value for table in tables.quantisation for value in table]
    return 1 <= len(tables.quantisation) <= 4 and all(1 <= value <= 255 for value in values)


def _save(image: Image.Image, options: dict[str, object]) -> bytes:
    """Pillow lets other threads run while it writes to a real file; to a Python object it holds the interpreter for
    each buffer, 3 ms of a megapixel. With three requests at once a tenth of two cores stood idle for that."""
    if not hasattr(os, "memfd_create"):  # neither Linux nor FreeBSD
        out = io.BytesIO()
        image.save(out, "JPEG", **options)
        return out.getvalue()
    with os.fdopen(os.memfd_create("jpeg"), "r+b", buffering=0) as file:
        image.save(file, "JPEG", **options)
        file.seek(0)
        return file.readall()

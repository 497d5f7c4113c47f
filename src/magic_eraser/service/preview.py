"""What a picture is, and how it looks, apart from erasing."""

from __future__ import annotations

import cv2
import numpy as np

from magic_eraser.imaging.codec import Probe, decode, encode, probe
from magic_eraser.imaging.photo import Photo

LONGEST = 4096
"""Pixels a side that every browser's canvas and texture can hold."""
QUALITY = 90


def inspect(data: bytes, *, max_pixels: int) -> Probe:
    """Format and size of an encoded picture, which is read whole.

    Raises:
        InvalidImage, UnsupportedFormat, ImageTooLarge: see `imaging.codec.decode`.
    """
    facts = probe(data, max_pixels=max_pixels)
    decode(data, max_pixels=max_pixels)
    return facts


def render(data: bytes, *, max_pixels: int) -> bytes:
    """An 8-bit RGB JPEG of at most `LONGEST` px a side, transparency over white; raises as `inspect` does."""
    photo = decode(data, max_pixels=max_pixels)
    rgb = photo.rgb()
    scale = LONGEST / max(photo.width, photo.height)
    if photo.deep:
        rgb = (rgb >> 8).astype(np.uint8)
    alpha = photo.alpha()
    if alpha is not None:
        share = (alpha.astype(np.float32) / np.iinfo(alpha.dtype).max)[..., None]
        rgb = np.rint(rgb * share + 255 * (1 - share)).astype(np.uint8)
    if scale < 1:
        size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return encode(Photo.from_array(rgb), format="jpeg", quality=QUALITY).data

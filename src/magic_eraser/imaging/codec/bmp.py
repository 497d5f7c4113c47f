"""BMP with transparency: a BITMAPV4HEADER, since Pillow's older header has no word for alpha."""

from __future__ import annotations

import struct

import cv2

from magic_eraser.imaging.photo import Photo

_FILE, _V4 = 14, 108
_BITFIELDS = 3
_MASKS = (0x00FF0000, 0x0000FF00, 0x000000FF, 0xFF000000)
_SRGB = 0x73524742  # LCS_sRGB


def write_rgba(photo: Photo) -> bytes:
    """An RGBA picture, 8 bits, as 32-bit BMP, rows bottom up."""
    body = cv2.flip(cv2.cvtColor(photo.samples, cv2.COLOR_RGBA2BGRA), 0).tobytes()
    x, y = (round(value / 0.0254) for value in photo.metadata.dpi or (0, 0))
    start = _FILE + _V4
    file = struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start)
    info = struct.pack(
        "<IiiHHIIiiII", _V4, photo.width, photo.height, 1, 32, _BITFIELDS, len(body), x, y, 0, 0
    )
    # After the masks: colour space, then end points and gammas, which sRGB leaves unused.
    return b"".join([file, info, struct.pack("<4II", *_MASKS, _SRGB), bytes(48), body])

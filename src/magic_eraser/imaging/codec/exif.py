"""EXIF (CIPA DC-008, version 2.32): what is kept, what is dropped, and the orientation."""

from __future__ import annotations

from typing import Any, NamedTuple

from PIL import Image

_ORIENTATION = 0x0112
_EXIF_IFD = 0x8769
_GPS_IFD = 0x8825
_INTEROP_IFD = 0xA005
_MAKER_NOTE = 0x927C
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003

# Only descriptive tags of the first directory. An allow-list, because a TIFF's directory also says where its
# strips lie, and XMP (0x02BC), IPTC and Photoshop blocks carry places and previews of the unerased picture.
_KEPT = frozenset(
    {0x010D, 0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298, 0x4746}
    | {0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F}
)


class ExifRead(NamedTuple):
    """orientation 1..8; block: what is kept, without the "Exif\\0\\0" prefix; had_gps: whether places were dropped."""

    orientation: int
    block: bytes | None
    had_gps: bool


def read(image: Image.Image) -> ExifRead:
    """The EXIF of an opened picture, cleaned. A broken block counts as none."""
    try:
        source = image.getexif()
        value = source.get(_ORIENTATION, 1)
        orientation = value if isinstance(value, int) and 1 <= value <= 8 else 1
        had_gps = _GPS_IFD in source
    # Any error: the block is written by phones and cameras, and no fault in it may cost the picture.
    except Exception:
        return ExifRead(1, None, False)
    try:
        return ExifRead(orientation, _cleaned(source), had_gps)
    except Exception:
        return ExifRead(orientation, None, had_gps)


def _cleaned(source: Image.Exif) -> bytes | None:
    kept = Image.Exif()
    for tag in _KEPT & set(source):
        kept[tag] = source[tag]
    details = dict(source.get_ifd(_EXIF_IFD))
    # Maker notes hold serial numbers, faces and previews, and their inner offsets break when they move.
    for tag in (_MAKER_NOTE, _INTEROP_IFD, _PIXEL_X, _PIXEL_Y):
        details.pop(tag, None)
    if details:
        kept.get_ifd(_EXIF_IFD).update(details)
        kept[_EXIF_IFD] = kept.get_ifd(_EXIF_IFD)
    if not len(kept):
        return None
    return kept.tobytes().removeprefix(b"Exif\0\0")


def load(block: bytes) -> Image.Exif:
    """The block as Pillow's mapping."""
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + block)
    return exif


def details(block: bytes) -> dict[int, Any]:
    """The Exif sub-directory (exposure, dates, lens) of a block."""
    return dict(load(block).get_ifd(_EXIF_IFD))

"""EXIF (CIPA DC-008, version 2.32): what is kept, what is dropped, and the orientation."""

from __future__ import annotations

from typing import Any, NamedTuple

from PIL import Image

_ORIENTATION = 0x0112
_EXIF_IFD = 0x8769
_GPS_IFD = 0x8825
_INTEROP_IFD = 0xA005
# X and Y resolution change places when the picture is laid on its side.
_TURNED = {0x011A: 0x011B, 0x011B: 0x011A}

# Only descriptive tags of the first directory. An allow-list, because a TIFF's directory also says where its
# strips lie, and XMP (0x02BC), IPTC and Photoshop blocks carry places and previews of the unerased picture.
_KEPT = frozenset(
    {0x010D, 0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298, 0x4746}
    | {0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F}
)
# The tags of the second directory that the standard defines, without the maker note (0x927C: serial numbers,
# faces, previews, and offsets that break when it moves), the pixel size (0xA002, 0xA003: untrue after turning) and
# device settings (0xA40B). What makers put there besides is not known to be harmless.
_KEPT_DETAILS = frozenset(
    {0x829A, 0x829D, 0x9286, _INTEROP_IFD, 0xA000, 0xA001, 0xA004, 0xA420, 0xA500}
    | set(range(0x8822, 0x8836))
    | set(range(0x9000, 0x9215))
    | set(range(0x9290, 0x9293))
    | set(range(0x9400, 0x9406))
    | set(range(0xA20B, 0xA218))
    | set(range(0xA300, 0xA303))
    | set(range(0xA401, 0xA40D)) - {0xA40B}
    | set(range(0xA430, 0xA463))
)


class ExifRead(NamedTuple):
    """orientation: 1..8; block: what is kept, unprefixed; had_gps: whether a place was dropped."""

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
    # The block is written by phones and editors: no fault in it, of whatever type, may cost the picture.
    except Exception:  # noqa: BLE001
        return ExifRead(1, None, False)
    try:
        return ExifRead(orientation, _cleaned(source, turned=orientation >= 5), had_gps)
    except Exception:  # noqa: BLE001 - as above
        return ExifRead(orientation, None, had_gps)


def _cleaned(source: Image.Exif, *, turned: bool) -> bytes | None:
    kept = Image.Exif()
    for tag in _KEPT & set(source):
        kept[_TURNED.get(tag, tag) if turned else tag] = source[tag]
    inner = {tag: value for tag, value in _details(source).items() if tag in _KEPT_DETAILS}
    if inner:
        kept[_EXIF_IFD] = inner
    if not len(kept):
        return None
    return kept.tobytes().removeprefix(b"Exif\0\0")


def load(block: bytes) -> Image.Exif:
    """The block as Pillow's mapping."""
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + block)
    exif.get_ifd(_EXIF_IFD).update(_details(exif))
    return exif


def details(block: bytes) -> dict[int, Any]:
    """The Exif sub-directory (exposure, dates, lens) of a block."""
    return dict(load(block).get_ifd(_EXIF_IFD))


def _details(exif: Image.Exif) -> dict[int, Any]:
    """The Exif sub-directory, and inside it, as a mapping, the one that says "Adobe RGB" (R03) for cameras."""
    inner = dict(exif.get_ifd(_EXIF_IFD))
    if _INTEROP_IFD in inner:
        inner[_INTEROP_IFD] = dict(exif.get_ifd(_INTEROP_IFD))
        if not inner[_INTEROP_IFD]:
            del inner[_INTEROP_IFD]
    return inner

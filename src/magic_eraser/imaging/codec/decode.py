"""Bytes to a `Photo`, native samples and all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from magic_eraser.imaging.codec import exif, jpeg, notices, pil, png, tiff
from magic_eraser.imaging.codec.faults import damaged, guarded, unsupported
from magic_eraser.imaging.codec.formats import Format, identify
from magic_eraser.imaging.codec.header import MAX_PIXELS, frames_of, open_header, webp_chunks
from magic_eraser.imaging.photo import Layout, Metadata, Notice, Palette, Photo, Samples
from magic_eraser.imaging.samples import upright


class _Read(NamedTuple):
    samples: Samples
    layout: Layout
    palette: Palette | None = None
    notices: tuple[Notice, ...] = ()
    turned: bool = False  # whether the decoder applied the orientation already


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode a picture of one of `FORMATS`, told by its signature, upright, its first frame.

    Args:
        data: the whole file.
        max_pixels: most pixels, compared with the header before anything is decoded.

    Raises:
        InvalidImage: empty, cut off, damaged or no picture.
        UnsupportedFormat: a known format or kind of samples that is not read.
        ImageTooLarge: more than `max_pixels`.
    """
    kind = identify(data)
    with guarded(kind):
        image = open_header(kind, data, max_pixels)
        # EXIF and frames first: loading a TIFF turns it and forgets the tag, loading a GIF moves the file.
        tags = exif.read(image)
        frames = frames_of(image)
        size = image.size
        read = _read(kind, data, image)
        if read.samples.shape[1::-1] != size:
            raise damaged(kind, "its pixels do not fit its header")
        samples = read.samples if read.turned else upright(read.samples, tags.orientation)
        said = [*_first_of(kind, frames), *read.notices]
        if tags.had_gps:
            said.append(notices.GPS_DROPPED)
        metadata = _metadata(kind, data, image, read=read, tags=tags, frames=frames)
        return Photo(np.ascontiguousarray(samples), read.layout, metadata, tuple(said))


def _first_of(kind: Format, frames: int) -> list[Notice]:
    if frames == 1:
        return []
    pages = kind.name in ("tiff", "heif")
    return [notices.pages_dropped(frames) if pages else notices.animation_dropped(frames)]


def _metadata(
    kind: Format, data: bytes, image: Image.Image, *, read: _Read, tags: exif.ExifRead, frames: int
) -> Metadata:
    icc = image.info.get("icc_profile")
    deep = read.samples.dtype == np.uint16
    return Metadata(
        format=kind.name,
        icc=icc if isinstance(icc, bytes) and icc else None,
        exif=tags.block,
        dpi=pil.dpi_of(image.info, tags.orientation),
        palette=read.palette,
        jpeg=jpeg.tables_of(image) if kind.name == "jpeg" else None,
        lossless=kind.name == "webp" and _is_lossless(data),
        associated_alpha=kind.name == "tiff" and deep and tiff.associated_alpha(image),
        compression=image.info.get("compression") if kind.name == "tiff" else None,
        colour_chunks=_colour_chunks(data) if kind.name == "png" else (),
        frames=frames,
    )


def _is_lossless(data: bytes) -> bool:
    """Whether the first frame is VP8L; a lossy one is VP8, even where its alpha is lossless."""
    first = next((kind for kind, _, _ in webp_chunks(data) if kind in (b"VP8 ", b"VP8L")), b"")
    return first == b"VP8L"


def _colour_chunks(data: bytes) -> tuple[tuple[bytes, bytes], ...]:
    found: dict[bytes, bytes] = {}
    for chunk in png.walk(data):
        if chunk.kind == b"IDAT":
            break
        if chunk.kind in png.COLOUR_CHUNKS:
            found.setdefault(chunk.kind, bytes(chunk.payload))
    return tuple(found.items())


def _read(kind: Format, data: bytes, image: Image.Image) -> _Read:
    _check_mode(kind, image)
    match kind.name:
        case "png":
            return _read_png(data, image)
        case "jpeg":
            samples = jpeg.read(data, image)
            if samples is not None:
                return _Read(samples, Layout(image.mode))
        case "tiff" if tiff.is_deep(image):
            deep, layout, extra = tiff.read_deep(data, image)
            return _Read(deep, layout, None, (notices.EXTRA_CHANNEL_DROPPED,) if extra else (), turned=True)
        case "gif":
            return _read_gif(image)
        case _:
            pass
    image.load()
    samples, layout, palette = pil.samples_of(image)
    said = (notices.depth_reduced(kind.title, 10),) if _over_eight_bits(kind, data) else ()
    return _Read(samples, layout, palette, said, turned=kind.name in ("tiff", "heif"))


def _check_mode(kind: Format, image: Image.Image) -> None:
    strange = {
        "F": ("floating point samples", "浮点样本"),
        "I": ("32-bit or signed samples", "32 位或有符号样本"),
        "LAB": ("Lab colours", "Lab 颜色"),
    }
    if image.mode in strange:
        raise unsupported(kind, *strange[image.mode])


def _over_eight_bits(kind: Format, data: bytes) -> bool:
    """AVIF and HEIC with 10 or 12 bits, by their decoder configuration; the decoders hand over 8."""
    if kind.name == "avif":
        at = data.find(b"av1C")
        return 0 < at < len(data) - 6 and bool(data[at + 6] & 0x40)  # high_bitdepth, AV1-ISOBMFF 2.3.3
    if kind.name == "heif":
        at = data.find(b"hvcC")
        return 0 < at < len(data) - 21 and bool(data[at + 21] & 7)  # bit_depth_luma_minus8, ISO 14496-15
    return False


def _read_png(data: bytes, image: Image.Image) -> _Read:
    parts = png.chunks(data)
    head = png.header(data)
    if head.depth == 16:
        deep, deep_layout = png.read_deep(parts)
        return _Read(deep, deep_layout)
    image.load()
    key_scale = {2: 85, 4: 17}.get(head.depth, 1)
    samples, layout, palette = pil.samples_of(image, key_scale=key_scale)
    return _Read(samples, layout, palette)


def _read_gif(image: Image.Image) -> _Read:
    image.load()
    key = image.info.get("transparency")
    if image.mode == "L" and isinstance(key, int):
        # Pillow calls a GIF grey when its palette is a grey ramp; as a palette, its transparent index stays.
        ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        alpha = np.full(256, 255, np.uint8)
        alpha[key & 255] = 0
        return _Read(np.asarray(image), Layout.PALETTE, Palette(ramp, alpha))
    samples, layout, palette = pil.samples_of(image)
    return _Read(samples, layout, palette)

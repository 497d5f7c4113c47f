"""Pillow images to native samples and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from magic_eraser.errors import UnsupportedFormat
from magic_eraser.imaging.codec import exif
from magic_eraser.imaging.codec.notices import GPS_DROPPED
from magic_eraser.imaging.photo import Layout, Metadata, Palette, Photo, Samples
from magic_eraser.imaging.samples import to_eight_bits, upright, with_key

# Modes that Pillow uses for the same picture in other words; the conversion loses nothing that is seen.
_SYNONYMS = {"La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "PA": "RGBA"}
_OURS = frozenset(layout.value for layout in Layout)
_DEEP_GREY = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})


def samples_of(image: Image.Image, *, key_scale: int = 1) -> tuple[Samples, Layout, Palette | None]:
    """The samples of a loaded image, as they are; a transparent colour in its `info` becomes alpha.

    Args:
        key_scale: factor by which Pillow spread the samples of a PNG of 2 or 4 bits, but not its tRNS.

    Raises:
        UnsupportedFormat: a mode that is not one of `Layout`.
    """
    mode = _SYNONYMS.get(image.mode, image.mode)
    if mode != image.mode:
        image = image.convert(mode)
    key = image.info.get("transparency")
    if mode in _DEEP_GREY:
        return np.asarray(image).astype(np.uint16), Layout.GREY, None
    if mode not in _OURS:
        raise UnsupportedFormat(
            f"Pictures of mode {image.mode} ({_MODES.get(image.mode, 'unusual samples')}) are not supported.",
            f"不支持 {image.mode} 模式的图片。",
        )
    samples = np.asarray(image)
    if mode == "1":
        # Pillow hands out bools whose bytes are 0 and 255, which numpy does not expect.
        samples = samples.view(np.uint8) != 0
    if mode == "P":
        return samples, Layout.PALETTE, _palette_of(image, key)
    if mode == "1" and isinstance(key, int):
        samples, mode, key_scale = samples.astype(np.uint8) * np.uint8(255), "L", 1
    if mode == "L" and isinstance(key, int):
        return with_key(samples, (key * key_scale & 255,)), Layout.GREY_ALPHA, None
    if mode == "RGB" and isinstance(key, tuple):
        return with_key(samples, tuple(value & 255 for value in key)), Layout.RGBA, None
    return samples, Layout(mode), None


_MODES = {"F": "floating point", "I": "32-bit integers", "LAB": "Lab colours", "HSV": "HSV colours"}


def _palette_of(image: Image.Image, key: Any) -> Palette:
    rgb = np.array(image.getpalette("RGB") or [0, 0, 0], np.uint8).reshape(-1, 3)[:256]
    alpha = np.full(len(rgb), 255, np.uint8)
    if image.palette is not None and image.palette.mode == "RGBA":
        alpha = np.array(image.getpalette("RGBA") or [], np.uint8).reshape(-1, 4)[: len(rgb), 3]
    if isinstance(key, bytes):
        given = np.frombuffer(key[: len(rgb)], np.uint8)
        alpha[: len(given)] = given
    elif isinstance(key, int) and 0 <= key < 256:
        if key >= len(rgb):
            rgb = np.concatenate([rgb, np.zeros((key + 1 - len(rgb), 3), np.uint8)])
            alpha = np.concatenate([alpha, np.full(key + 1 - len(alpha), 255, np.uint8)])
        alpha[key] = 0
    return Palette(rgb, alpha if (alpha < 255).any() else None)


def dpi_of(info: dict[Any, Any], orientation: int) -> tuple[float, float] | None:
    """The resolution, turned with the picture; None where there is none or it makes no sense."""
    value = info.get("dpi")
    try:
        x, y = (float(part) for part in value or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0.01 < x < 1e6 and 0.01 < y < 1e6):
        return None
    return (y, x) if orientation >= 5 else (x, y)


def photo_from_pil(image: Image.Image) -> Photo:
    """See `Photo.from_pil`."""
    image.load()  # first, because loading a TIFF turns it upright and forgets its tag
    tags = exif.read(image)
    samples, layout, palette = samples_of(image)
    metadata = Metadata(
        icc=image.info.get("icc_profile") or None,
        exif=tags.block,
        dpi=dpi_of(image.info, tags.orientation),
        palette=palette,
    )
    notices = (GPS_DROPPED,) if tags.had_gps else ()
    return Photo(upright(samples, tags.orientation), layout, metadata, notices)


def photo_to_pil(photo: Photo) -> Image.Image:
    """See `Photo.to_pil`."""
    image = bare_image(photo)
    metadata = photo.metadata
    if metadata.icc is not None:
        image.info["icc_profile"] = metadata.icc
    if metadata.exif is not None:
        image.info["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.dpi is not None:
        image.info["dpi"] = metadata.dpi
    if metadata.palette is not None and metadata.palette.alpha is not None:
        image.info["transparency"] = metadata.palette.alpha.tobytes()
    return image


def bare_image(photo: Photo) -> Image.Image:
    """The samples as a Pillow image without `info`; 16-bit grey is "I;16", other deep layouts become 8 bits."""
    samples = photo.samples if photo.layout is Layout.GREY else to_eight_bits(photo.samples)
    if photo.layout is Layout.BILEVEL:
        return Image.fromarray(np.where(samples, np.uint8(255), np.uint8(0))).convert("1")
    mode = "I;16" if samples.dtype == np.uint16 else photo.layout.value
    size = (photo.width, photo.height)
    image = Image.frombytes(mode, size, np.ascontiguousarray(samples).data)
    if photo.metadata.palette is not None:
        image.putpalette(photo.metadata.palette.rgb.tobytes(), "RGB")
    return image

"""Native samples to RGB and back, for each layout (the arithmetic behind `Photo`)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms

from magic_eraser.imaging.layout import Fill, Layout, Metadata, Palette, Samples


def to_rgb(region: Samples, layout: Layout, metadata: Metadata) -> Samples:
    """Colours of native samples: (h, w, 3), uint8 or uint16; a view where no arithmetic is needed."""
    match layout:
        case Layout.RGB | Layout.RGBA:
            return region[..., :3]
        case Layout.GREY:
            return np.broadcast_to(region[..., None], (*region.shape, 3))
        case Layout.GREY_ALPHA:
            return np.broadcast_to(region[..., :1], (*region.shape[:2], 3))
        case Layout.BILEVEL:
            grey = region.astype(np.uint8) * np.uint8(255)
            return np.broadcast_to(grey[..., None], (*grey.shape, 3))
        case Layout.PALETTE:
            assert metadata.palette is not None
            return _entries(metadata.palette)[:, :3][region]
        case Layout.CMYK:
            return cmyk_to_rgb(region, metadata.icc)


def to_alpha(region: Samples, layout: Layout, metadata: Metadata) -> Samples | None:
    """Opacity of native samples: (h, w) of their dtype; None where the picture has none."""
    if layout.has_alpha_channel:
        return region[..., -1]
    palette = metadata.palette
    return None if palette is None or palette.alpha is None else _entries(palette)[region, 3]


def write_fill(region: Samples, fill: Fill, layout: Layout, metadata: Metadata) -> None:
    """Put a fill into a writable region of native samples, under its hole only. Not for PALETTE."""
    hole = fill.hole
    match layout:
        case Layout.RGB:
            # numpy's masked copy takes ten times as long: 0.4 s of a hole of 16 MP
            cv2.copyTo(fill.rgb, hole.view(np.uint8), region)
        case Layout.RGBA:
            np.copyto(region[..., :3], fill.rgb, where=hole[..., None])
        case Layout.GREY:
            region[hole] = _luminance(fill.rgb[hole])
        case Layout.GREY_ALPHA:
            region[..., 0][hole] = _luminance(fill.rgb[hole])
        case Layout.BILEVEL:
            region[hole] = _luminance(fill.rgb[hole]) > 127
        case Layout.CMYK:
            if hole.any():
                region[hole] = rgb_to_cmyk(fill.rgb[hole][None], metadata.icc)[0]
        case Layout.PALETTE:
            raise AssertionError("palette pictures are filled by fill_palette")
    if fill.alpha is not None and layout.has_alpha_channel:
        np.copyto(region[..., -1], fill.alpha, where=hole)


def _luminance(rgb: Samples) -> Samples:
    """(n, 3) to (n,), Rec. 601 weights like Pillow's "L"; exact where the three are equal."""
    weights = np.array([0.299, 0.587, 0.114])
    grey = np.rint(rgb @ weights).astype(rgb.dtype)
    return np.asarray(grey)


# --- palette ------------------------------------------------------------------------------------------------


def _entries(palette: Palette) -> Samples:
    """All 256 entries as RGBA. An index past the table is opaque black (PNG 11.2.2 leaves it to the decoder)."""
    entries = np.zeros((256, 4), np.uint8)
    entries[:, 3] = 255
    entries[: len(palette.rgb), :3] = palette.rgb
    if palette.alpha is not None:
        entries[: len(palette.alpha), 3] = palette.alpha
    return entries


def fill_palette(samples: Samples, palette: Palette, fills: Sequence[Fill]) -> tuple[Samples, Palette, bool]:
    """New indices, a new palette, and whether it holds every new colour.

    Indices outside the holes stay, and so do the colours they point to. New colours take the entries that
    nothing outside the holes uses, then the nearest of what there is.
    """
    out = samples.copy()
    entries = _entries(palette)
    hole, wanted = _wanted_colours(samples, entries[:, 3], fills)
    if not len(wanted):
        return out, palette, True
    kept = np.zeros(256, np.bool_)
    kept[np.unique(samples[~hole])] = True
    kinds, inverse = np.unique(_pack(wanted), return_inverse=True)
    distinct = kinds[:, None].view(np.uint8)
    free = np.flatnonzero(~kept)
    fresh = _new_entries(distinct, inverse, entries[kept], len(free))
    entries[free[: len(fresh)]] = fresh
    usable = np.concatenate([np.flatnonzero(kept), free[: len(fresh)]])
    index, exact = _nearest(distinct, entries[usable])
    out[hole] = usable[index][inverse]
    entries = entries[: max(len(palette.rgb), int(usable.max()) + 1)]
    alpha = entries[:, 3].copy() if (entries[:, 3] < 255).any() else None
    return out, Palette(entries[:, :3].copy(), alpha), exact


def _wanted_colours(samples: Samples, opacity: Samples, fills: Sequence[Fill]) -> tuple[Samples, Samples]:
    """The union of the holes, (H, W), and the RGBA wanted under it, (n, 4), in raster order."""
    hole = np.zeros(samples.shape, np.bool_)
    for fill in fills:
        hole[fill.box.slices] |= fill.hole
    wanted = np.zeros((int(hole.sum()), 4), np.uint8)
    position = np.cumsum(hole.ravel(), dtype=np.int32).reshape(hole.shape)
    for fill in fills:
        at = position[fill.box.slices][fill.hole] - 1
        current = opacity[samples[fill.box.slices]] if fill.alpha is None else fill.alpha
        wanted[at, :3] = fill.rgb[fill.hole]
        wanted[at, 3] = current[fill.hole]
    return hole, wanted


def _pack(rgba: Samples) -> Samples:
    return np.ascontiguousarray(rgba).view(np.uint32)[:, 0]


def _new_entries(distinct: Samples, inverse: Samples, kept: Samples, room: int) -> Samples:
    """Up to `room` RGBA entries for the colours that `kept` does not hold: all of them, or clusters."""
    missing = ~np.isin(_pack(distinct), _pack(kept)) if len(kept) else np.ones(len(distinct), np.bool_)
    if int(missing.sum()) <= room or room == 0:
        return distinct[missing][:room]
    pixels = distinct[inverse][missing[inverse]]
    strip = Image.fromarray(np.ascontiguousarray(pixels[None]), "RGBA")
    # Fast octree is the one method of Pillow's that minds alpha.
    reduced = strip.quantize(room, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    entries = np.frombuffer(reduced.palette.tobytes(), np.uint8).reshape(-1, 4) if reduced.palette else pixels
    return np.array(entries[:room])


def _nearest(distinct: Samples, entries: Samples) -> tuple[Samples, bool]:
    """For each RGBA the index of the nearest entry, alpha multiplied in; and whether all are exact."""

    def premultiplied(rgba: Samples) -> Samples:
        values = rgba.astype(np.float32)
        values[:, :3] *= values[:, 3:] / 255
        return values

    points, targets = premultiplied(distinct), premultiplied(entries)
    index = np.empty(len(points), np.intp)
    for start in range(0, len(points), 1 << 15):  # 32 Ki x 256 float32 = 32 MiB at a time
        part = points[start : start + (1 << 15)]
        squared = (targets * targets).sum(1) - 2 * part @ targets.T
        index[start : start + (1 << 15)] = squared.argmin(1)
    exact = bool((np.abs(points - targets[index]) < 1).all())
    return index, exact


# --- CMYK ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _transform(icc: bytes, to_cmyk: bool) -> Any:
    """A transform between a CMYK profile and sRGB, or None where the profile is not usable."""
    try:
        ours = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        srgb = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        if to_cmyk:
            return ImageCms.buildTransform(srgb, ours, "RGB", "CMYK", intent)
        return ImageCms.buildTransform(ours, srgb, "CMYK", "RGB", intent)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _through(array: Samples, mode: str, transform: Any) -> Samples:
    # `apply` because ImageCms.applyTransform would copy the profile into the result, which nobody reads.
    image = Image.fromarray(np.ascontiguousarray(array), mode)
    return np.array(transform.apply(image))


def cmyk_to_rgb(cmyk: Samples, icc: bytes | None) -> Samples:
    """uint8 (h, w, 4), 255 = full ink, to sRGB (h, w, 3): through the profile, else by the simple formula."""
    transform = _transform(icc, False) if icc else None
    if transform is not None:
        return _through(cmyk, "CMYK", transform)
    return np.array(Image.fromarray(np.ascontiguousarray(cmyk), "CMYK").convert("RGB"))


def rgb_to_cmyk(rgb: Samples, icc: bytes | None) -> Samples:
    """The way back of `cmyk_to_rgb`."""
    transform = _transform(icc, True) if icc else None
    if transform is not None:
        return _through(rgb, "RGB", transform)
    return np.array(Image.fromarray(np.ascontiguousarray(rgb), "RGB").convert("CMYK"))


# --- arrays and depth ---------------------------------------------------------------------------------------


def layout_of_array(array: Samples) -> Layout | None:
    """What an array without further word is: see `Photo.from_array`; None where it is no picture."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or 0 in array.shape:
        return None
    if array.dtype == np.bool_:
        return Layout.BILEVEL if array.ndim == 2 else None
    if array.dtype not in (np.uint8, np.uint16):
        return None
    return {1: Layout.GREY, 3: Layout.RGB, 4: Layout.RGBA}.get(channels)


def to_eight_bits(samples: Samples) -> Samples:
    """uint16 to uint8, rounded: 65535 / 255 = 257. Anything else as it is."""
    if samples.dtype != np.uint16:
        return samples
    return np.asarray((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def over_white(rgb: Samples, alpha: Samples) -> Samples:
    """Flatten uint8 (h, w, 3) with alpha (h, w) over white."""
    weight = alpha[..., None].astype(np.uint16)
    blended = rgb * weight + np.uint16(255) * (255 - weight) + 127
    return np.asarray(blended // 255).astype(np.uint8)


def upright(samples: Samples, orientation: int) -> Samples:
    """Apply an EXIF orientation 1..8 (EXIF 2.32, tag 0x0112); other values mean 1."""
    if not 2 <= orientation <= 8:
        return samples
    # Transposed first from 5 on; then OpenCV's flip code: 1 left-right, 0 top-bottom, -1 both.
    flip = {2: 1, 3: -1, 4: 0, 5: None, 6: 1, 7: -1, 8: 0}[orientation]
    # OpenCV turns 12 MP in tens of ms, numpy's strided copy takes several times that; it has no bool.
    out: Samples = samples.view(np.uint8) if samples.dtype == np.bool_ else samples
    if orientation >= 5:
        out = cv2.transpose(out)
    if flip is not None:
        out = cv2.flip(out, flip)
    return out.view(np.bool_) if samples.dtype == np.bool_ else out


def with_key(samples: Samples, key: tuple[int, ...]) -> Samples:
    """Grey or RGB plus an alpha channel: 0 where the sample is the transparent colour (tRNS), opaque elsewhere."""
    planes = samples[..., None] if samples.ndim == 2 else samples
    opaque = np.iinfo(samples.dtype).max
    same = (planes == np.array(key[: planes.shape[2]], samples.dtype)).all(axis=2)
    return np.dstack([samples, np.where(same, 0, opaque).astype(samples.dtype)])

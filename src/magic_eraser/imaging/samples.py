"""Native samples to RGB and back, for each layout (the arithmetic behind `Photo`)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

import cv2
import numpy as np
from PIL import Image, ImageCms

from magic_eraser.errors import InvalidImage
from magic_eraser.imaging.photo import Fill, Layout, Metadata, Notice, Palette, Photo, Samples

PALETTE_APPROXIMATED = Notice(
    "palette_approximated",
    "The palette had no room for every new colour: the filled area uses the nearest ones.",
    "调色板没有足够的空位，填充区域使用了最接近的颜色。",
)


def to_rgb(region: Samples, layout: Layout, metadata: Metadata) -> Samples:
    """Colours of native samples: (h, w, 3), uint8 or uint16; a read-only view where no arithmetic is needed."""
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
            # An index past the table is black (PNG spec 11.2.2 leaves it to the decoder).
            colours = np.zeros((256, 3), np.uint8)
            colours[: len(metadata.palette.rgb)] = metadata.palette.rgb
            return colours[region]
        case Layout.CMYK:
            return cmyk_to_rgb(region, metadata.icc)


def write_fill(region: Samples, fill: Fill, layout: Layout, metadata: Metadata) -> None:
    """Put a fill into a writable region of native samples, under its hole only. Not for PALETTE."""
    hole = fill.hole
    match layout:
        case Layout.RGB | Layout.RGBA:
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
    return cast("Samples", grey)


# --- palette ------------------------------------------------------------------------------------------------


def fill_palette(photo: Photo, fills: Sequence[Fill]) -> Photo:
    """See `Photo.with_fills`. Indices outside the holes stay, and so do the colours they point to."""
    palette = photo.metadata.palette
    assert palette is not None
    hole, wanted = _wanted_colours(photo, fills)
    if not hole.any():
        return replace(photo, samples=photo.samples.copy())
    kept = np.zeros(256, np.bool_)
    kept[np.unique(photo.samples[~hole])] = True
    colours = np.zeros((256, 4), np.uint8)
    colours[:, 3] = 255
    colours[: len(palette.rgb), :3] = palette.rgb
    if palette.alpha is not None:
        colours[: len(palette.alpha), 3] = palette.alpha
    kinds, inverse = np.unique(_pack(wanted), return_inverse=True)
    distinct = kinds[:, None].view(np.uint8)
    free = np.flatnonzero(~kept)
    fresh = _new_entries(distinct, inverse, colours[kept], len(free))
    colours[free[: len(fresh)]] = fresh
    usable = np.concatenate([np.flatnonzero(kept), free[: len(fresh)]])
    index, exact = _nearest(distinct, colours[usable])
    out = photo.samples.copy()
    out[hole] = usable[index][inverse]
    count = max(len(palette.rgb), int(usable.max()) + 1)
    alpha = colours[:count, 3].copy() if (colours[:count, 3] < 255).any() else None
    changed = replace(photo.metadata, palette=Palette(colours[:count, :3].copy(), alpha))
    notices = photo.notices if exact else (*photo.notices, PALETTE_APPROXIMATED)
    return replace(photo, samples=out, metadata=changed, notices=notices)


def _wanted_colours(photo: Photo, fills: Sequence[Fill]) -> tuple[Samples, Samples]:
    """The union of the holes, (H, W), and the RGBA wanted under it, (n, 4), in raster order."""
    hole = np.zeros(photo.samples.shape, np.bool_)
    for fill in fills:
        hole[fill.box.slices] |= fill.hole
    wanted = np.zeros((int(hole.sum()), 4), np.uint8)
    position = np.cumsum(hole.ravel(), dtype=np.int32).reshape(hole.shape)
    for fill in fills:
        at = position[fill.box.slices][fill.hole] - 1
        current = photo.alpha(fill.box) if fill.alpha is None else fill.alpha
        wanted[at, :3] = fill.rgb[fill.hole]
        wanted[at, 3] = 255 if current is None else current[fill.hole]
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
    """For each RGBA of `distinct` the nearest entry, in colours multiplied by alpha; and whether all are exact."""

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
    """uint8 (h, w, 4), 255 = full ink, to sRGB (h, w, 3): through the profile, or the simple formula without."""
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


def photo_from_array(array: Samples) -> Photo:
    """See `Photo.from_array`."""
    samples = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    layouts = {2: Layout.GREY, 3: Layout.RGB, 4: Layout.RGBA}
    layout = layouts.get(2 if samples.ndim == 2 else samples.shape[2] if samples.ndim == 3 else 0)
    if samples.ndim == 3 and samples.shape[2] == 2:
        layout = None
    if samples.ndim == 2 and samples.dtype == np.bool_:
        layout = Layout.BILEVEL
    if layout is None or 0 in samples.shape:
        raise InvalidImage(
            f"An array of shape {array.shape} is not a picture: (H, W), (H, W, 3) or (H, W, 4) is.",
            f"形状为 {array.shape} 的数组不是图片：应为 (H, W)、(H, W, 3) 或 (H, W, 4)。",
        )
    if layout is not Layout.BILEVEL and samples.dtype not in (np.uint8, np.uint16):
        raise InvalidImage(
            f"An array of {array.dtype} is not a picture: uint8 or uint16 is.",
            f"类型为 {array.dtype} 的数组不是图片：应为 uint8 或 uint16。",
        )
    return Photo(samples, layout)


def to_eight_bits(samples: Samples) -> Samples:
    """uint16 to uint8, rounded: 65535 / 255 = 257. Anything else as it is."""
    if samples.dtype != np.uint16:
        return samples
    return cast("Samples", ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8))


def over_white(rgb: Samples, alpha: Samples) -> Samples:
    """Flatten uint8 (h, w, 3) with alpha (h, w) over white."""
    weight = alpha[..., None].astype(np.uint16)
    blended = rgb * weight + np.uint16(255) * (255 - weight) + 127
    return cast("Samples", (blended // 255).astype(np.uint8))


def upright(samples: Samples, orientation: int) -> Samples:
    """Apply an EXIF orientation 1..8 (EXIF 2.32, tag 0x0112); other values mean 1."""
    turns = {2: (1, None), 3: (-1, None), 4: (0, None), 5: (None, True), 6: (1, True), 7: (-1, True), 8: (0, True)}
    if orientation not in turns:
        return samples
    flip, transpose = turns[orientation]
    # OpenCV turns 12 MP in tens of ms, numpy's strided copy takes several times that; it has no bool.
    out: Samples = samples.view(np.uint8) if samples.dtype == np.bool_ else samples
    if transpose:
        out = cv2.transpose(out)
    if flip is not None:
        out = cv2.flip(out, flip)
    return out.view(np.bool_) if samples.dtype == np.bool_ else out

"""Masks: which samples are the hole, grown and feathered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.errors import (
    EmptyMask,
    ImageTooLarge,
    InvalidImage,
    InvalidMask,
    MaskSizeMismatch,
    UnsupportedFormat,
)
from magic_eraser.imaging.codec import MAX_PIXELS, decode
from magic_eraser.imaging.photo import Box, Hole, Layout, Photo
from magic_eraser.imaging.rim import grow_to_rim

MAX_GROWTH = 200
"""Most pixels of `dilate` and of `feather`."""
Growth = int | Literal["auto"]
"""`dilate`: pixels, 0..`MAX_GROWTH`, or as far as the rim of what is covered goes."""

Weight = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """What to erase.

    Attributes:
        hole: bool (H, W), after growing; nothing outside it may change.
        weight: uint8 (H, W), how much of the new picture shows: 255 wherever the caller painted, ramping to 1 at
            the outer edge of the hole, 0 outside. None stands for 255 everywhere in the hole.
    """

    hole: Hole
    weight: Weight | None = None


def decode_mask(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Hole:
    """The hole of an encoded mask, bool (H, W): any format, layout and depth; see `mask_from_photo`.

    Raises:
        InvalidMask: not a picture, a broken one, one of another format, or too large; the detail says which.
    """
    try:
        photo = decode(data, max_pixels=max_pixels)
    except (InvalidImage, UnsupportedFormat, ImageTooLarge) as error:
        raise InvalidMask(
            f"The mask cannot be read: {error.detail}", f"无法读取蒙版：{error.detail_zh}"
        ) from error
    return mask_from_photo(photo)


def mask_from_photo(photo: Photo) -> Hole:
    """White erases: luminance above 127 (of 255).

    Where the mask has an alpha channel that is fully transparent somewhere, it is a layer someone painted on, of
    whatever colour: then everything with alpha above 0 erases. Alpha without any such pixel says nothing.
    """
    alpha = photo.alpha()
    if alpha is not None and int(alpha.min()) == 0:
        return np.asarray(alpha > 0)
    if photo.layout is Layout.BILEVEL:
        return cast("Hole", photo.samples)
    threshold = 32767 if photo.deep else 127
    return np.asarray(_luminance(photo) > threshold)


def _luminance(photo: Photo) -> NDArray[Any]:
    if photo.layout is Layout.GREY:
        return photo.samples
    if photo.layout is Layout.GREY_ALPHA:
        return photo.samples[..., 0]
    palette = photo.metadata.palette
    if palette is not None:
        table = np.zeros(256, np.uint8)
        table[: len(palette.rgb)] = cv2.cvtColor(palette.rgb[None], cv2.COLOR_RGB2GRAY)[0]
        return np.asarray(table[photo.samples])
    return cv2.cvtColor(np.ascontiguousarray(photo.rgb()), cv2.COLOR_RGB2GRAY)


def prepare_mask(hole: Hole, photo: Photo, *, dilate: Growth = 0, feather: int = 0) -> Mask:
    """Check the hole against the picture and grow it.

    Args:
        hole: bool (H, W).
        photo: the picture; looked at only where `dilate` is "auto".
        dilate: grow by a disc of this radius, 0..200 px; "auto": see `rim.grow_to_rim`, before the feather.
        feather: grow by so many px more, 0..200, over which the weight ramps down.

    Raises:
        MaskSizeMismatch, EmptyMask; InvalidMask where nothing of the picture would be left.
        ValueError: dilate or feather out of range.
    """
    width, height = photo.width, photo.height
    for name, value in (("dilate", 0 if dilate == "auto" else dilate), ("feather", feather)):
        if not 0 <= value <= MAX_GROWTH:
            raise ValueError(f"{name} is 0..{MAX_GROWTH} px, not {value}")
    if hole.ndim != 2 or hole.dtype != np.bool_:
        raise ValueError(f"a hole is bool (H, W), not {hole.dtype} {hole.shape}")
    if hole.shape != (height, width):
        raise MaskSizeMismatch(
            f"The mask has {hole.shape[1]} x {hole.shape[0]} pixels, the image {width} x {height}.",
            f"蒙版为 {hole.shape[1]} x {hole.shape[0]} 像素，图片为 {width} x {height} 像素。",
        )
    if dilate == "auto":
        hole, dilate = grow_to_rim(photo, hole), 0
    box = _bounds(hole)
    if box is None:
        raise EmptyMask(
            f"No pixel of the {width} x {height} mask is above 127.",
            f"{width} x {height} 的蒙版中没有大于 127 的像素。",
        )
    mask = Mask(hole) if dilate == feather == 0 else _grown(hole, box, dilate, feather)
    if mask.hole.all():
        raise InvalidMask(*_nothing_left(bool(hole.all()), dilate, feather))
    return mask


def _bounds(hole: Hole) -> Box | None:
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(hole).view(np.uint8))
    return Box(left, top, left + width, top + height) if width else None


def _grown(hole: Hole, box: Box, dilate: int, feather: int) -> Mask:
    reach = dilate + feather
    height, width = hole.shape
    around = Box(
        max(box.left - reach, 0),
        max(box.top - reach, 0),
        min(box.right + reach, width),
        min(box.bottom + reach, height),
    )
    outside = (~hole[around.slices]).view(np.uint8)
    if not outside.any():
        return Mask(hole, np.where(hole, np.uint8(255), np.uint8(0)) if feather else None)
    # Distance to the nearest painted pixel: a disc of any radius in one pass, where cv2.dilate costs its area.
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = distance <= reach + 1e-3
    grown = np.zeros(hole.shape, np.bool_)
    grown[around.slices] = near
    if not feather:
        return Mask(grown)
    # 255 up to `dilate`, then down; a pixel just beyond the band would be 0.
    ramp = np.clip((reach + 1 - distance) / (feather + 1), 0, 1) * 255
    weight = np.zeros(hole.shape, np.uint8)
    weight[around.slices] = np.where(near, np.maximum(np.rint(ramp), 1), 0)
    return Mask(grown, weight)


def _nothing_left(painted: bool, dilate: int, feather: int) -> tuple[str, str]:
    if painted:
        return (
            "The mask covers the whole picture: nothing is left to copy from. Mark only what should go.",
            "蒙版覆盖了整张图片，没有可供参考的内容。请只标记要去掉的部分。",
        )
    reach = math.fsum((dilate, feather))
    return (
        f"Grown by {reach:.0f} px, the mask covers the whole picture: nothing is left to copy from.",
        f"蒙版扩大 {reach:.0f} 像素后覆盖了整张图片，没有可供参考的内容。",
    )

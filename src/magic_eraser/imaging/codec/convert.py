"""Fit a picture to a format: what the format cannot carry is converted, and said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from magic_eraser.imaging.codec import notices
from magic_eraser.imaging.codec.formats import Format
from magic_eraser.imaging.photo import Layout, Notice, Palette, Photo, Samples
from magic_eraser.imaging.samples import cmyk_to_rgb, over_white, to_eight_bits

_B, _L, _LA, _P = Layout.BILEVEL, Layout.GREY, Layout.GREY_ALPHA, Layout.PALETTE
_RGB, _RGBA, _CMYK = Layout.RGB, Layout.RGBA, Layout.CMYK

# What each format stores as it is.
_CARRIES: dict[str, frozenset[Layout]] = {
    "png": frozenset({_B, _L, _LA, _P, _RGB, _RGBA}),
    "jpeg": frozenset({_L, _RGB, _CMYK}),
    "webp": frozenset({_RGB, _RGBA}),
    "avif": frozenset({_RGB, _RGBA}),
    "bmp": frozenset({_B, _L, _P, _RGB, _RGBA}),
    "tiff": frozenset({_B, _L, _LA, _P, _RGB, _RGBA, _CMYK}),
    "gif": frozenset({_L, _P}),
}
_DEEP = {"png": frozenset({_L, _LA, _RGB, _RGBA}), "tiff": frozenset({_L, _RGB, _RGBA})}
_OPAQUE_PALETTE = frozenset({"bmp", "tiff"})
_NO_PROFILE = frozenset({"bmp", "gif"})
_PROFILE_SPACE = {_B: b"GRAY", _L: b"GRAY", _LA: b"GRAY", _CMYK: b"CMYK"}


def fit(photo: Photo, target: Format) -> tuple[Photo, list[Notice]]:
    """The picture as `target` can carry it, and what was lost on the way. The same object where nothing is."""
    said: list[Notice] = []
    out = photo
    # Grey+alpha with 16 bits: TIFF readers know it as RGBA only.
    if out.deep and target.name == "tiff" and out.layout is _LA:
        out = _relaid(out, np.dstack([out.rgb(), _opacity(out)]), _RGBA)
    if out.deep and out.layout not in _DEEP.get(target.name, frozenset()):
        out = replace(out, samples=to_eight_bits(out.samples))
        said.append(notices.depth_reduced(target.title, 16))
    if out.layout is _CMYK and _CMYK not in _CARRIES[target.name]:
        out = _relaid(out, cmyk_to_rgb(out.samples, out.metadata.icc), _RGB)
        out = replace(out, metadata=replace(out.metadata, icc=None))
        said.append(notices.cmyk_converted(target.title))
    out = _to_gif(out, said) if target.name == "gif" else _to_layout(out, target, said)
    return _without_the_uncarried(photo, out, target, said), said


def _relaid(photo: Photo, samples: Samples, layout: Layout, palette: Palette | None = None) -> Photo:
    metadata = replace(photo.metadata, palette=palette)
    return replace(photo, samples=np.ascontiguousarray(samples), layout=layout, metadata=metadata)


def _opacity(photo: Photo) -> Samples:
    alpha = photo.alpha()
    assert alpha is not None
    return alpha


def _to_layout(photo: Photo, target: Format, said: list[Notice]) -> Photo:
    carries = _CARRIES[target.name]
    if target.name == "jpeg" and photo.has_alpha:
        return _flattened(photo, said)
    if photo.layout is _P and photo.has_alpha and target.name in _OPAQUE_PALETTE:
        carries = carries - {_P}
    if photo.layout in carries:
        return photo
    if photo.has_alpha:
        return _relaid(photo, np.dstack([photo.rgb(), _opacity(photo)]), _RGBA)
    if photo.layout in (_B, _L) and _L in carries:
        return _relaid(photo, photo.rgb()[..., 0], _L)
    return _relaid(photo, photo.rgb(), _RGB)


def _flattened(photo: Photo, said: list[Notice]) -> Photo:
    alpha = _opacity(photo)
    if alpha.min() < 255:
        said.append(notices.alpha_flattened("JPEG"))
    flat = over_white(photo.rgb(), alpha)
    return _relaid(photo, flat[..., 0], _L) if photo.layout is _LA else _relaid(photo, flat, _RGB)


def _without_the_uncarried(before: Photo, after: Photo, target: Format, said: list[Notice]) -> Photo:
    """Leave out profile and EXIF where they have no place; a profile speaks of the channels it is on."""
    metadata = after.metadata
    if metadata.icc is not None and (target.name in _NO_PROFILE or _misplaced(before, after)):
        metadata = replace(metadata, icc=None)
        said.append(notices.profile_dropped(target.title))
    if metadata.exif is not None and target.name in _NO_PROFILE:
        metadata = replace(metadata, exif=None)
        said.append(notices.metadata_dropped(target.title))
    return after if metadata is after.metadata else replace(after, metadata=metadata)


def _misplaced(before: Photo, after: Photo) -> bool:
    """Whether a conversion left the profile on channels it is not about. (Found so in a file, it is kept.)"""
    if before.layout is after.layout or after.metadata.icc is None:
        return False
    return after.metadata.icc[16:20] != _PROFILE_SPACE.get(after.layout, b"RGB ")


# --- GIF ----------------------------------------------------------------------------------------------------


def _to_gif(photo: Photo, said: list[Notice]) -> Photo:
    """A palette with at most one transparent entry; indices stay where the picture already is one."""
    if photo.layout is _P:
        return _one_transparent_entry(photo, said)
    if photo.layout in (_B, _L):
        return _relaid(photo, photo.rgb()[..., 0], _L)
    alpha = photo.alpha()
    if alpha is None:
        # 255, so that one entry stays free for whoever edits the result.
        reduced = Image.fromarray(np.ascontiguousarray(photo.rgb())).quantize(256, dither=Image.Dither.NONE)
        indices, hidden = np.asarray(reduced), None
    else:
        reduced = Image.fromarray(np.ascontiguousarray(photo.rgb())).quantize(255, dither=Image.Dither.NONE)
        indices, hidden = np.array(reduced), alpha < 128
    colours = np.array(reduced.getpalette("RGB"), np.uint8).reshape(-1, 3)
    opacity = None
    if hidden is not None and hidden.any():
        indices[hidden] = len(colours)
        colours = np.concatenate([colours, np.zeros((1, 3), np.uint8)])
        opacity = np.full(len(colours), 255, np.uint8)
        opacity[-1] = 0
    shown = np.ones(indices.shape, np.bool_) if hidden is None else ~hidden
    if (colours[indices][shown] != photo.rgb()[shown]).any():
        said.append(notices.COLOURS_REDUCED)
    if alpha is not None and ((alpha > 0) & (alpha < 255)).any():
        said.append(notices.ALPHA_ROUNDED)
    return _relaid(photo, indices, _P, Palette(colours, opacity))


def _one_transparent_entry(photo: Photo, said: list[Notice]) -> Photo:
    palette = photo.metadata.palette
    assert palette is not None
    if palette.alpha is None:
        return photo
    if ((palette.alpha > 0) & (palette.alpha < 255)).any():
        said.append(notices.ALPHA_ROUNDED)
    hidden = np.flatnonzero(palette.alpha < 128)
    alpha = np.full(len(palette.alpha), 255, np.uint8)
    table = np.arange(256, dtype=np.uint8)
    if len(hidden):
        alpha[hidden[0]] = 0
        table[hidden] = hidden[0]
    samples = table[photo.samples] if len(hidden) > 1 else photo.samples
    return _relaid(photo, samples, _P, Palette(palette.rgb, alpha if len(hidden) else None))

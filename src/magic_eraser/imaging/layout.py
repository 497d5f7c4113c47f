"""The words in which a picture is described: its layout, its boxes, what else its file says, and fills."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
"""uint8, uint16 or bool; (H, W) or (H, W, C)."""
Hole = NDArray[np.bool_]
"""bool (H, W): True where a sample is to be replaced."""


class Layout(StrEnum):
    """What the channels of `Photo.samples` mean; the value is Pillow's mode of the same name."""

    BILEVEL = "1"
    GREY = "L"
    GREY_ALPHA = "LA"
    PALETTE = "P"
    RGB = "RGB"
    RGBA = "RGBA"
    CMYK = "CMYK"

    @property
    def channels(self) -> int:
        """Samples a pixel."""
        return len(self.value) if self is not Layout.BILEVEL else 1

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """What the samples may be."""
        if self is Layout.BILEVEL:
            return (np.dtype(np.bool_),)
        if self in (Layout.PALETTE, Layout.CMYK):
            return (np.dtype(np.uint8),)
        return np.dtype(np.uint8), np.dtype(np.uint16)

    @property
    def has_alpha_channel(self) -> bool:
        """Whether the last sample of a pixel is opacity. (A palette's opacity is in its entries.)"""
        return self in (Layout.GREY_ALPHA, Layout.RGBA)


class Box(NamedTuple):
    """A rectangle in pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows, then columns: `array[box.slices]`."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


class Notice(NamedTuple):
    """What a format could not carry, or what was left out, said to the person who sent the picture."""

    code: str
    message: str
    message_zh: str


class Palette(NamedTuple):
    """Colours of a palette picture.

    rgb: uint8 (N, 3), N <= 256; alpha: uint8 (N,), or None where every entry is opaque.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None


class JpegTables(NamedTuple):
    """How a JPEG was coded, to code it again with the same loss (ITU-T T.81, B.2.4.1).

    quantisation: one 64-value table per table id, natural order; subsampling: 0 (4:4:4), 1 (4:2:2), 2 (4:2:0).
    """

    quantisation: tuple[tuple[int, ...], ...]
    subsampling: int
    progressive: bool


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file says besides its samples, as far as it is written back.

    Attributes:
        format: name of the format it came from (see `codec.FORMATS`), None for arrays.
        icc: the colour profile, byte for byte.
        exif: TIFF-structured EXIF block without the "Exif\\0\\0" prefix; orientation, GPS, thumbnail,
            XMP and maker note are already gone.
        dpi: horizontal and vertical resolution in pixels per inch.
        palette: the colours, where the layout is PALETTE.
        jpeg: tables of a JPEG.
        lossless: whether a WebP was stored without loss (VP8L).
        associated_alpha: 16-bit TIFF whose colours are multiplied by alpha (ExtraSamples = 1).
        compression: TIFF compression in Pillow's words ("raw", "tiff_lzw", ...), None elsewhere.
        colour_chunks: PNG chunks (type, payload) about colour: cICP, cHRM, gAMA, sRGB, mDCV, cLLI.
        frames: frames or pages of the file; only the first one is in the samples.
    """

    format: str | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    palette: Palette | None = None
    jpeg: JpegTables | None = None
    lossless: bool = False
    associated_alpha: bool = False
    compression: str | None = None
    colour_chunks: tuple[tuple[bytes, bytes], ...] = ()
    frames: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Fill:
    """New colours for the hole inside one box.

    Attributes:
        box: where, inside the picture.
        rgb: (h, w, 3) of the same dtype as `Photo.rgb()`; read only where `hole`.
        alpha: (h, w) of the same dtype, or None to leave the picture's alpha as it is.
        hole: bool (h, w).
    """

    box: Box
    rgb: Samples
    alpha: Samples | None
    hole: Hole

"""A photograph in its native samples, so that what is not erased cannot change.

Nothing is converted on the way in: a palette picture stays indices, CMYK stays inks, 16 bit stays 16 bit.
`rgb` shows a box of it to a model, `with_fills` takes the model's answer back into the native samples, and
only the samples under a hole are ever written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

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
        return len(self.value) if self in _WIDE else 1

    @property
    def has_alpha_channel(self) -> bool:
        return self in (Layout.GREY_ALPHA, Layout.RGBA)


_WIDE = frozenset({Layout.GREY_ALPHA, Layout.RGB, Layout.RGBA, Layout.CMYK})


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


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A decoded picture, upright. Never changed in place: `samples` is read-only.

    Attributes:
        samples: (H, W) for BILEVEL (bool), GREY and PALETTE; (H, W, C) for the others; uint8, or uint16 where
            GREY, GREY_ALPHA, RGB or RGBA came with 16 bits.
        layout: what the channels mean.
        metadata: what goes back into the file.
        notices: what the person should know about what was read or replaced.
    """

    samples: Samples
    layout: Layout
    metadata: Metadata = field(default_factory=Metadata)
    notices: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        shape_ok = self.samples.ndim == (3 if self.layout.channels > 1 else 2) and (
            self.samples.ndim == 2 or self.samples.shape[2] == self.layout.channels
        )
        if not shape_ok or 0 in self.samples.shape:
            raise ValueError(f"samples of shape {self.samples.shape} are not {self.layout.name}")
        if self.samples.dtype not in _dtypes(self.layout):
            raise TypeError(f"samples of dtype {self.samples.dtype} are not {self.layout.name}")
        if (self.layout is Layout.PALETTE) != (self.metadata.palette is not None):
            raise ValueError("a palette belongs to the PALETTE layout, and to no other")
        if self.samples.flags.writeable:
            locked = self.samples.view()
            locked.flags.writeable = False
            object.__setattr__(self, "samples", locked)

    @property
    def width(self) -> int:
        return int(self.samples.shape[1])

    @property
    def height(self) -> int:
        return int(self.samples.shape[0])

    @property
    def deep(self) -> bool:
        """Whether samples have 16 bits."""
        return self.samples.dtype == np.uint16

    @property
    def has_alpha(self) -> bool:
        palette = self.metadata.palette
        return self.layout.has_alpha_channel or (palette is not None and palette.alpha is not None)

    @property
    def box(self) -> Box:
        """The whole picture."""
        return Box(0, 0, self.width, self.height)

    def rgb(self, box: Box | None = None) -> Samples:
        """The colours of `box` (all where None): uint8, or uint16 where `deep`, (h, w, 3).

        In the picture's own colour space; CMYK goes through its profile to sRGB. Only the box is converted.
        The result may be a read-only view of the samples: copy it before writing.
        """
        from magic_eraser.imaging import samples as conversions

        return conversions.to_rgb(self.samples[self._inside(box).slices], self.layout, self.metadata)

    def alpha(self, box: Box | None = None) -> Samples | None:
        """The opacity of `box`, (h, w), same dtype as `rgb`; None where the picture has none. May be a view."""
        region = self.samples[self._inside(box).slices]
        if self.layout.has_alpha_channel:
            return region[..., -1]
        palette = self.metadata.palette
        if palette is None or palette.alpha is None:
            return None
        full = np.full(256, 255, np.uint8)
        full[: len(palette.alpha)] = palette.alpha
        return full[region]

    def with_fills(self, fills: Sequence[Fill]) -> Photo:
        """A new picture in which the samples under the fills' holes are replaced, and no others.

        Later fills win where holes overlap. A palette picture takes new colours into entries that nothing
        outside the holes uses, then the nearest ones; `palette_approximated` says when that lost something.

        Raises:
            ValueError, TypeError: a fill does not fit the picture (box, shapes, dtype).
        """
        from magic_eraser.imaging import samples as conversions

        for fill in fills:
            self._check(fill)
        if self.layout is Layout.PALETTE:
            return conversions.fill_palette(self, fills)
        out = self.samples.copy()
        for fill in fills:
            conversions.write_fill(out[fill.box.slices], fill, self.layout, self.metadata)
        return replace(self, samples=out)

    @classmethod
    def from_array(cls, array: Samples) -> Photo:
        """From uint8 or uint16 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); bool (H, W) is BILEVEL. No copy.

        Raises:
            InvalidImage: any other dtype or shape.
        """
        from magic_eraser.imaging import samples as conversions

        return conversions.photo_from_array(array)

    def to_array(self) -> Samples:
        """The samples as `from_array` takes them: a new array (H, W), (H, W, 3) or (H, W, 4), or bool (H, W).

        Palette, CMYK and grey+alpha pictures come as RGB or RGBA.
        """
        if self.layout in (Layout.BILEVEL, Layout.GREY, Layout.RGB, Layout.RGBA):
            return self.samples.copy()
        alpha = self.alpha()
        return self.rgb().copy() if alpha is None else np.dstack([self.rgb(), alpha])

    @classmethod
    def from_pil(cls, image: Image.Image) -> Photo:
        """From a Pillow image, mode, profile, EXIF and resolution kept, EXIF orientation applied.

        Raises:
            UnsupportedFormat: a mode that is not one of `Layout` (float, 32-bit, LAB, ...).
        """
        from magic_eraser.imaging.codec import pil

        return pil.photo_from_pil(image)

    def to_pil(self) -> Image.Image:
        """A new Pillow image of the same mode, with `icc_profile`, `exif` and `dpi` in its `info`.

        Pillow has no 16-bit colour mode: those come as 8 bits (16-bit grey is "I;16").
        """
        from magic_eraser.imaging.codec import pil

        return pil.photo_to_pil(self)

    def _inside(self, box: Box | None) -> Box:
        if box is None:
            return self.box
        if not (0 <= box.left < box.right <= self.width and 0 <= box.top < box.bottom <= self.height):
            raise ValueError(f"{box} is not inside a picture of {self.width} x {self.height}")
        return box

    def _check(self, fill: Fill) -> None:
        box = self._inside(fill.box)
        size = (box.height, box.width)
        if fill.rgb.shape != (*size, 3) or fill.hole.shape != size or fill.hole.dtype != np.bool_:
            raise ValueError(f"a fill of {fill.rgb.shape} with a hole of {fill.hole.shape} does not fit {box}")
        dtype = np.uint16 if self.deep else np.uint8
        if fill.rgb.dtype != dtype:
            raise TypeError(f"a fill of {fill.rgb.dtype} does not fit a picture of {np.dtype(dtype)}")
        if fill.alpha is not None and (fill.alpha.shape != size or fill.alpha.dtype != dtype):
            raise ValueError(f"alpha of {fill.alpha.dtype} {fill.alpha.shape} does not fit {box}")


def _dtypes(layout: Layout) -> tuple[np.dtype[Any], ...]:
    if layout is Layout.BILEVEL:
        return (np.dtype(np.bool_),)
    if layout in (Layout.PALETTE, Layout.CMYK):
        return (np.dtype(np.uint8),)
    return np.dtype(np.uint8), np.dtype(np.uint16)

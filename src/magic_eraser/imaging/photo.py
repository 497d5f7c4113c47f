"""A photograph in its native samples, so that what is not erased cannot change.

Nothing is converted on the way in: a palette picture stays indices, CMYK stays inks, 16 bit stays 16 bit.
`rgb` shows a box of it to a model, `with_fills` takes the model's answer back into the native samples, and
only the samples under a hole are ever written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from magic_eraser.errors import InvalidImage
from magic_eraser.imaging import samples as conversions
from magic_eraser.imaging.layout import (
    Box,
    Fill,
    Hole,
    JpegTables,
    Layout,
    Metadata,
    Notice,
    Palette,
    Samples,
)

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "Box",
    "Fill",
    "Hole",
    "JpegTables",
    "Layout",
    "Metadata",
    "Notice",
    "Palette",
    "Photo",
    "Samples",
]

PALETTE_APPROXIMATED = Notice(
    "palette_approximated",
    "The palette had no room for every new colour: the filled area uses the nearest ones.",
    "调色板没有足够的空位，填充区域使用了最接近的颜色。",
)


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
        if self.samples.dtype not in self.layout.dtypes:
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
        return conversions.to_rgb(self.samples[self._inside(box).slices], self.layout, self.metadata)

    def alpha(self, box: Box | None = None) -> Samples | None:
        """The opacity of `box`, (h, w), same dtype as `rgb`; None where the picture has none. May be a view."""
        return conversions.to_alpha(self.samples[self._inside(box).slices], self.layout, self.metadata)

    def with_fills(self, fills: Sequence[Fill]) -> Photo:
        """A new picture in which the samples under the fills' holes are replaced, and no others.

        Later fills win where holes overlap. A palette picture takes new colours into entries that nothing
        outside the holes uses, then the nearest ones; `palette_approximated` says when that lost something.

        Raises:
            ValueError, TypeError: a fill does not fit the picture (box, shapes, dtype).
        """
        for fill in fills:
            self._check(fill)
        if self.metadata.palette is not None:
            return self._with_palette_fills(self.metadata.palette, fills)
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
        layout = conversions.layout_of_array(array)
        if layout is None:
            raise InvalidImage(
                f"An array of {array.dtype} {array.shape} is not a picture: uint8 or uint16 (H, W), (H, W, 3) or "
                "(H, W, 4) is.",
                f"{array.dtype} {array.shape} 数组不是图片：应为 uint8 或 uint16 的 (H, W)、(H, W, 3) 或 (H, W, 4)。",
            )
        return cls(array[..., 0] if layout is Layout.GREY and array.ndim == 3 else array, layout)

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

    def _with_palette_fills(self, palette: Palette, fills: Sequence[Fill]) -> Photo:
        out, colours, exact = conversions.fill_palette(self.samples, palette, fills)
        metadata = replace(self.metadata, palette=colours)
        notices = self.notices if exact else tuple(dict.fromkeys((*self.notices, PALETTE_APPROXIMATED)))
        return replace(self, samples=out, metadata=metadata, notices=notices)

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
            raise ValueError(
                f"a fill of {fill.rgb.shape} with a hole of {fill.hole.shape} does not fit {box}"
            )
        dtype = np.uint16 if self.deep else np.uint8
        if fill.rgb.dtype != dtype:
            raise TypeError(f"a fill of {fill.rgb.dtype} does not fit a picture of {np.dtype(dtype)}")
        if fill.alpha is not None and (fill.alpha.shape != size or fill.alpha.dtype != dtype):
            raise ValueError(f"alpha of {fill.alpha.dtype} {fill.alpha.shape} does not fit {box}")

"""`telea` and `ns`: the two PDE fills of OpenCV, at once and smooth; right for scratches, dust and thin text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import cv2
import numpy as np

from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.thinness import is_thin
from magic_eraser.models.watch import Watch

# Above it a PDE only smears, so it may smear at a smaller scale: keeps 12 MP with a 2,500 px hole near a second.
LARGEST_HOLE = 400_000

TILE, APRON = 256, 16
"""Pixels. Dust on 12 MP need not cost 12 MP: thin holes see no further than a tile's apron."""

Slices = tuple[slice, slice]


def _tiles(hole: Hole) -> Iterator[tuple[Slices, Slices]]:
    """The tiles that hold a part of the hole, each without and with its apron."""
    height, width = hole.shape
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            inner = slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))
            if hole[inner].any():
                yield (
                    inner,
                    (
                        slice(max(0, top - APRON), min(height, top + TILE + APRON)),
                        slice(max(0, left - APRON), min(width, left + TILE + APRON)),
                    ),
                )


def _card(name: str, title: str, source: str) -> ModelCard:
    return ModelCard(
        id=name,
        title=title,
        licence="Apache-2.0",
        source=source,
        speed=Speed.INSTANT,
        quality=Quality.BASIC,
        context=0.1,
        min_context=16,
        working_hole=LARGEST_HOLE,
        deep=True,
    )


class _OpenCvInpainter:
    card: ModelCard
    method: ClassVar[int]

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        watch.check()
        if not is_thin(hole):
            return self._fill(image, hole, options.radius)
        filled = image.copy()
        for inner, outer in _tiles(hole):
            watch.check()
            part = self._fill(image[outer], hole[outer], options.radius)
            top, left = (i.start - o.start for i, o in zip(inner, outer, strict=True))
            height, width = (i.stop - i.start for i in inner)
            filled[inner] = part[top : top + height, left : left + width]
        return filled

    def _fill(self, image: Pixels, hole: Hole, radius: int) -> Pixels:
        mask = hole.astype(np.uint8)
        if image.dtype == np.uint8:
            return cv2.inpaint(np.ascontiguousarray(image), mask, radius, self.method)
        # 16 bit is offered for one channel only
        channels = [np.ascontiguousarray(image[..., k]) for k in range(image.shape[2])]
        return np.stack([cv2.inpaint(c, mask, radius, self.method) for c in channels], axis=-1)

    def close(self) -> None:
        return None


class TeleaInpainter(_OpenCvInpainter):
    """Fast marching (A. Telea, "An image inpainting technique based on the fast marching method", 2004)."""

    method = cv2.INPAINT_TELEA
    card = _card("telea", "Telea: instant, for scratches, dust and thin lines", "Telea 2004, by OpenCV")


class NavierStokesInpainter(_OpenCvInpainter):
    """Navier-Stokes (Bertalmio, Bertozzi and Sapiro, CVPR 2001)."""

    method = cv2.INPAINT_NS
    card = _card("ns", "Navier-Stokes: instant, smoother than Telea", "Bertalmio et al. 2001, by OpenCV")

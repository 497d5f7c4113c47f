"""`telea` and `ns`: the two PDE fills of OpenCV, at once and smooth; right for scratches, dust and thin text."""

from __future__ import annotations

from typing import ClassVar

import cv2

from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.diffusion import diffuse, diffuse_tiles
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.thinness import is_thin
from magic_eraser.models.watch import Watch

# Above it a PDE only smears, so it may smear at a smaller scale: keeps 12 MP with a 2,500 px hole near a second.
LARGEST_HOLE = 400_000


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
        if is_thin(hole):
            return diffuse_tiles(image, hole, hole, options.radius, self.method, watch)
        return diffuse(image, hole, options.radius, self.method)

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

"""`telea` and `ns`: the two PDE fills of OpenCV, at once and smooth; right for scratches, dust and thin text."""

from __future__ import annotations

from typing import ClassVar

import cv2

from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.diffusion import THIN_RADIUS, diffuse, diffuse_thin
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.thinness import is_thin, slender_parts
from magic_eraser.models.watch import Watch

# Above it a PDE only smears, so it may smear at a smaller scale: at the usual radius of 4 a channel takes 0.1 s.
LARGEST_HOLE = 200_000


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
        """See `Inpainter.inpaint`. By name it is the equation alone, as others run it; for `auto`, with grain."""
        watch.check()
        if not options.thin and not is_thin(hole, watch):
            return diffuse(image, hole, options.radius, self.method, watch)
        filled = image.copy()
        wanted = slender_parts(hole, watch) if options.thin else hole
        radius = THIN_RADIUS[self.method] if options.thin else options.radius
        diffuse_thin(filled, hole, wanted, radius, self.method, watch, grain=options.thin)
        return filled

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

"""Scratches, specks and lettering: a differential equation is as good as patches there, and a hundred times faster.

Bertalmio, Bertozzi, Sapiro 2001, "Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting" (OpenCV's INPAINT_NS).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.diffusion import THIN_RADIUS, diffuse, diffuse_thin
from magic_eraser.models.patch.windows import Bools
from magic_eraser.models.watch import Watch


def fill_thin(image: NDArray[np.uint8], hole: Bools, thin: Bools, watch: Watch) -> None:
    """Fill the thin pieces of the hole in place, with the grain beside them.

    Args:
        image: uint8 or uint16 (H, W, 3), written to. hole: bool (H, W), some False.
        thin: bool (H, W), of `thin_parts`.
    """
    diffuse_thin(image, hole, thin, THIN_RADIUS[cv2.INPAINT_NS], cv2.INPAINT_NS, watch, grain=True)


def diffuse_whole(image: NDArray[np.uint8], hole: Bools, radius: int, watch: Watch) -> NDArray[np.uint8]:
    """The whole hole: what remains where there is no patch to copy.

    Args:
        image: uint8 or uint16 (H, W, 3). hole: bool (H, W), some False.

    Returns:
        A new array like `image`.
    """
    return np.asarray(diffuse(image, hole, radius, cv2.INPAINT_NS, watch), image.dtype)

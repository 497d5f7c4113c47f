"""Scratches, specks and lettering: a differential equation is as good as patches there, and a hundred times faster.

Bertalmio, Bertozzi, Sapiro 2001, "Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting" (OpenCV's INPAINT_NS).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.imaging.regions import known_mean
from magic_eraser.models.diffusion import diffuse, diffuse_tiles
from magic_eraser.models.patch.windows import Bools
from magic_eraser.models.watch import Watch

HALF_WIDTH = 2.5  # patches are sharper from 5 px width on
HALF_WIDTH_MANY = 4.5
MANY_PIECES = 16
THIN_SHARE = 0.97  # crossings are wider: 4 px scratches reach a distance of 5.2
PDE_SIDE = 512  # longer side at which a whole hole is given to the equation: 0.3 s at most


def fill_thin(image: NDArray[np.uint8], hole: Bools, scale: float, radius: int, watch: Watch) -> Bools:
    """Fill the thin pieces of the hole in place; tells which they are.

    Args:
        image: uint8 (H, W, 3), written to. hole: bool (H, W), some False.
        scale: full size over working size. radius: neighbourhood in pixels.
    """
    thin = thin_parts(hole, scale)
    if thin.any():
        np.copyto(image, diffuse_tiles(image, hole, thin, radius, cv2.INPAINT_NS, watch))
    return thin


def thin_parts(hole: Bools, scale: float) -> Bools:
    """Pieces of the hole that are thin nearly everywhere.

    Args:
        hole: bool (H, W), some False.
        scale: full size over working size; where above 2, a thin piece would vanish in the shrunk picture.

    Returns:
        bool (H, W).
    """
    mask = hole.astype(np.uint8)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    many = scale > 2.0 or count - 1 > MANY_PIECES
    deep = cv2.distanceTransform(mask, cv2.DIST_L2, 5) > (HALF_WIDTH_MANY if many else HALF_WIDTH)
    wide = np.bincount(pieces[deep], minlength=count)
    thin = wide <= (1.0 - THIN_SHARE) * stats[:, cv2.CC_STAT_AREA]
    thin[0] = False
    parts: Bools = thin[pieces]
    return parts


def diffuse_whole(image: NDArray[np.uint8], hole: Bools, radius: int, watch: Watch) -> NDArray[np.uint8]:
    """The whole hole, at no more than PDE_SIDE pixels: what remains where there is no patch to copy.

    Args:
        image: uint8 (H, W, 3). hole: bool (H, W), some False.

    Returns:
        A new uint8 (H, W, 3).
    """
    height, width = hole.shape
    step = max(1, -(-max(height, width) // PDE_SIDE))
    watch.check()
    if step == 1:
        return np.asarray(diffuse(image, hole, radius, cv2.INPAINT_NS), np.uint8)
    small, share = known_mean(image, ~hole, (-(-width // step), -(-height // step)))
    watch.check()
    done = diffuse(small, share <= 1e-6, radius, cv2.INPAINT_NS)
    out = image.copy()
    np.copyto(out, cv2.resize(done, (width, height), interpolation=cv2.INTER_LINEAR), where=hole[..., None])
    return out

"""Scratches, specks and lettering: a differential equation is as good as patches there, and a hundred times faster.

Bertalmio, Bertozzi, Sapiro 2001, "Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting" (OpenCV's INPAINT_NS).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.windows import Bools
from magic_eraser.models.watch import Watch

HALF_WIDTH = 2.5  # patches are sharper from 5 px width on
HALF_WIDTH_MANY = 4.5
MANY_PIECES = 16
THIN_SHARE = 0.97  # crossings are wider: 4 px scratches reach a distance of 5.2
TILE, APRON = 256, 16
PDE_SIDE = 512  # longer side at which a whole hole is given to the equation: 0.3 s at most


def fill_thin(image: NDArray[np.uint8], hole: Bools, scale: float, radius: int, watch: Watch) -> Bools:
    """Fill the thin pieces of the hole in place; tells which they are.

    Args:
        image: uint8 (H, W, 3), written to. hole: bool (H, W), some False.
        scale: full size over working size. radius: neighbourhood in pixels.
    """
    thin = thin_parts(hole, scale)
    if thin.any():
        diffuse_tiles(image, hole, thin, radius, watch)
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


def diffuse_tiles(image: NDArray[np.uint8], hole: Bools, wanted: Bools, radius: int, watch: Watch) -> None:
    """Fill the `wanted` part of the hole in place, tile by tile.

    Args:
        image: uint8 (H, W, 3), written to. hole: bool (H, W), all that is unknown.
        wanted: bool (H, W), part of the hole. radius: neighbourhood in pixels.
    """
    height, width = hole.shape
    filled = image.copy()
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            inner = (slice(top, top + TILE), slice(left, left + TILE))
            if not wanted[inner].any():
                continue
            watch.check()
            y, x = max(0, top - APRON), max(0, left - APRON)
            outer = (slice(y, top + TILE + APRON), slice(x, left + TILE + APRON))
            tile = np.ascontiguousarray(image[outer])
            done = cv2.inpaint(tile, hole[outer].astype(np.uint8), radius, cv2.INPAINT_NS)
            rows = slice(top - y, top - y + filled[inner].shape[0])
            columns = slice(left - x, left - x + filled[inner].shape[1])
            np.copyto(filled[inner], done[rows, columns], where=wanted[inner][..., None])
    image[wanted] = filled[wanted]


def diffuse(image: NDArray[np.uint8], hole: Bools, radius: int, watch: Watch) -> NDArray[np.uint8]:
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
        return np.asarray(cv2.inpaint(image, hole.astype(np.uint8), radius, cv2.INPAINT_NS), np.uint8)
    known = (~hole).astype(np.float32)
    size = (-(-width // step), -(-height // step))
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    planes = [cv2.resize(image[..., i] * known, size, interpolation=cv2.INTER_AREA) for i in range(3)]
    small = np.clip(np.stack([p / np.maximum(share, 1e-6) for p in planes], -1) + 0.5, 0, 255).astype(
        np.uint8
    )
    watch.check()
    done = cv2.inpaint(small, (share <= 1e-6).astype(np.uint8), radius, cv2.INPAINT_NS)
    out = image.copy()
    np.copyto(out, cv2.resize(done, (width, height), interpolation=cv2.INTER_LINEAR), where=hole[..., None])
    return out

"""One fill out of two: structure from the one made at half the size, detail from the other.

A large hole outgrows what the network learned at 256 pixels; at half the size it does not (R. Kulshreshtha et al.,
"Feature refinement to improve high resolution image inpainting", 2022, who descend on features for it). Here the two
fills are merged by frequency, which takes no gradient.
"""

from __future__ import annotations

import cv2
import numpy as np

from magic_eraser.models.inpainter import Hole, Pixels

CUT = 8.0
"""Pixels of the finer fill: standard deviation of the Gaussian that parts structure from detail."""
AGREEMENT = 15.0
"""Of 255: where the structures differ by more, the detail of one does not fit the other."""


def merged(image: Pixels, hole: Hole, coarse: Pixels, fine: Pixels) -> Pixels:
    """The finer fill, moved to the coarser one's brightness and colour; where they differ, the coarser one.

    Detail of a fill that has another structure would be a ghost on it, so there the coarser fill stays as it is.

    Args:
        image: uint8 (h, w, 3).
        hole: (h, w).
        coarse, fine: fills of it, uint8 (h, w, 3), the first enlarged from half the size.
    """
    place = hole[..., None]
    # outside the hole both are the picture: the difference ends at the rim, and no seam comes about
    difference = np.where(place, coarse.astype(np.float32) - fine, 0)
    low = cv2.GaussianBlur(difference, (0, 0), CUT, borderType=cv2.BORDER_REFLECT)
    distance = np.abs(low).max(axis=2, keepdims=True) / AGREEMENT
    share = np.exp(-(distance**2))
    answer = share * (fine + low) + (1 - share) * coarse
    pixels: Pixels = np.where(place, np.clip(np.rint(answer), 0, 255), image).astype(np.uint8)
    return pixels

"""What patches are compared by: colour, and how busy the neighbourhood is."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.windows import Bools, Floats

CHANNELS = 5
COLOUR_WEIGHT = 2.0  # L runs over 0..200
TEXTURE_WEIGHT = 3.0  # 0 to 2 leave more streaks (photos 14, 18); 4 is softer


def describe(image: NDArray[np.uint8], hole: Bools, box: int) -> Floats:
    """Colour and texture of every pixel; colours travel through the pyramid, and so does texture.

    Texture is the local mean of the luminance's absolute derivatives over known pixels (Newson et al. 2014,
    "Video Inpainting of Complex Scenes"): without it smooth patches win over grass and gravel.

    Args:
        image: uint8 (H, W, 3), sRGB.
        hole: bool (H, W).
        box: side of the neighbourhood in pixels; made odd, 3..33.

    Returns:
        float32 (H, W, 5): CIE Lab x 2, then 3 x mean |d/dx| and |d/dy|. Zero in the hole.
    """
    lab = COLOUR_WEIGHT * np.asarray(cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB))
    known = ~hole
    side = min(33, max(3, box | 1))
    out = np.empty((*hole.shape, CHANNELS), np.float32)
    out[..., :3] = lab
    light = lab[..., 0]
    for channel, axis in ((3, 1), (4, 0)):
        slope = np.zeros(hole.shape, np.float32)
        weight = np.zeros(hole.shape, np.float32)
        lower = (slice(None), slice(-1)) if axis else (slice(-1), slice(None))
        upper = (slice(None), slice(1, None)) if axis else (slice(1, None), slice(None))
        weight[lower] = known[lower] & known[upper]
        slope[lower] = np.abs(light[upper] - light[lower])
        mean = cv2.blur(slope * weight, (side, side))
        out[..., channel] = TEXTURE_WEIGHT * mean / np.maximum(cv2.blur(weight, (side, side)), 1e-3)
    out[hole] = 0.0
    return out

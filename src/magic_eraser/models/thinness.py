"""Whether a hole is so thin that a PDE fills it as well as anything."""

from __future__ import annotations

import cv2
import numpy as np

from magic_eraser.models.inpainter import Hole

# Up to this inscribed radius a PDE is as good as patches and a hundred times faster (scratches, dust, thin
# text); the distance transform exceeds it where scratches cross, hence the share instead of the maximum.
THIN_RADIUS = 3.0
THIN_SHARE = 0.97


def is_thin(hole: Hole) -> bool:
    """Whether at least 97 % of the hole's pixels lie within 3 px of known ones."""
    left, top, width, height = cv2.boundingRect(hole.view(np.uint8))
    crop = np.pad(hole[top : top + height, left : left + width].view(np.uint8), 1)
    # beyond the picture's edge nothing is known either, but a hole there is reached from inside just as well
    distance = cv2.distanceTransform(crop, cv2.DIST_L2, 3)
    inside = distance[crop > 0]
    return bool((inside <= THIN_RADIUS).mean() >= THIN_SHARE)

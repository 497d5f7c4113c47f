"""A fill found at working size, made again from full-size samples.

Carrying labels instead of pixels (as Barnes et al. 2009 and Criminisi's successors do for large pictures) keeps the
grain of the original: where the four nearest labels agree it is an exact copy, elsewhere a feathered one.
"""

from __future__ import annotations

import cv2
import numpy as np

from magic_eraser.models.inpainter import Pixels
from magic_eraser.models.patch.edge import soften
from magic_eraser.models.patch.quads import Plan, Quads
from magic_eraser.models.patch.seams import Labels, box_of
from magic_eraser.models.patch.windows import Bools, Floats
from magic_eraser.models.watch import Watch

BAND_PIXELS = 250_000  # at a time: 15 ms, and keeps the float copies below 20 MB


def copy_direct(image: Pixels, hole: Bools, labels: Labels, correction: Floats, out: Pixels) -> None:
    """Copy by labels of the picture's own size into `out`, all as `transfer` takes them."""
    at = np.nonzero(hole)
    colours = image[at[0] + labels[0][at], at[1] + labels[1][at]].astype(np.float32)
    top = np.iinfo(image.dtype).max
    colours[:, :3] += correction[at] * np.float32(top / 255)
    out[at] = np.clip(colours + 0.5, 0, top).astype(image.dtype)


def transfer(image: Pixels, hole: Bools, plan: Plan, out: Pixels, watch: Watch) -> None:
    """Fill the full-size hole with full-size copies.

    Args:
        image: uint8 or uint16 (H, W, 3) or (H, W, 4); samples of the hole are not used.
        hole: bool (H, W), some True.
        plan: see there.
        out: like `image`, written to in the hole only; may be `image` itself.
        watch: checked between bands.
    """
    rows, columns = box_of(hole, 0)
    marked = hole.view(np.uint8)
    quads = Quads(plan, image, watch)
    step = max(1, BAND_PIXELS // (columns.stop - columns.start))
    for top in range(rows.start, rows.stop, step):
        watch.check()
        bottom = min(top + step, rows.stop)
        left, _, width, height = cv2.boundingRect(marked[top:bottom, columns])
        if not height:
            continue
        left += columns.start
        band = (slice(top, bottom), slice(left, left + width))
        # numpy's masked copy takes 20 times as long
        cv2.copyTo(quads.filled(marked, band), marked[band], out[band])
    soften(image, hole, out, quads.offsets, watch)


__all__ = ["Plan", "copy_direct", "transfer"]

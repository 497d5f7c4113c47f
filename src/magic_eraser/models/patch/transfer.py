"""A fill found at working size, made again from full-size pixels.

Carrying labels instead of pixels (as Barnes et al. 2009 and Criminisi's successors do for large pictures) keeps the
grain of the original: where the four nearest labels agree it is an exact copy, elsewhere a feathered one.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.seams import Labels, box_of
from magic_eraser.models.patch.windows import Bools, Floats
from magic_eraser.models.watch import Watch

BAND = 128  # rows at a time: keeps memory small and checks frequent


def enlarge(
    image: NDArray[np.uint8],
    hole: Bools,
    labels: Labels,
    small_hole: Bools,
    fill: NDArray[np.uint8],
    correction: Floats,
    watch: Watch,
) -> NDArray[np.uint8]:
    """Fill the full-size hole with full-size copies.

    Args:
        image: uint8 (H, W, 3). hole: bool (H, W).
        labels, small_hole, fill, correction: of the working size (h, w): source offsets, the hole there, the finished
            colours uint8 (h, w, 3), and what was added to the copies, float32 (h, w, 3).

    Returns:
        A new uint8 (H, W, 3); equal to `image` outside the hole.
    """
    out = image.copy()
    rows, columns = box_of(hole, 0)
    known = (~hole).astype(np.uint8)
    fields = _Fields(hole.shape, labels, small_hole, fill, correction)
    for top in range(rows.start, rows.stop, BAND):
        watch.check()
        band = (slice(top, min(top + BAND, rows.stop)), columns)
        if hole[band].any():
            np.copyto(out[band], fields.band(image, known, band), where=hole[band][..., None])
    return out


class _Fields:
    """Labels and colours of the working size, read at full-size places."""

    def __init__(
        self,
        size: tuple[int, ...],
        labels: Labels,
        small_hole: Bools,
        fill: NDArray[np.uint8],
        correction: Floats,
    ) -> None:
        self.scale = (size[0] / small_hole.shape[0], size[1] / small_hole.shape[1])
        self.down, self.across = (np.rint(labels[i] * self.scale[i]).astype(np.float32) for i in (0, 1))
        self.labelled = small_hole
        self.fill = fill
        self.correction = _spread(correction, small_hole)

    def band(
        self, image: NDArray[np.uint8], known: NDArray[np.uint8], band: tuple[slice, slice]
    ) -> NDArray[np.uint8]:
        """Filled colours uint8 (h, w, 3) of one band of the full-size picture."""
        y = np.arange(band[0].start, band[0].stop, dtype=np.float32)
        x = np.arange(band[1].start, band[1].stop, dtype=np.float32)
        v, u = (y + 0.5) / self.scale[0] - 0.5, (x + 0.5) / self.scale[1] - 0.5
        total = np.zeros((len(y), len(x), 3), np.float32)
        weights = np.zeros((len(y), len(x)), np.float32)
        for row, share_y in _neighbours(v, self.labelled.shape[0]):
            for column, share_x in _neighbours(u, self.labelled.shape[1]):
                at = np.ix_(row, column)
                rows, columns = self.down[at] + y[:, None], self.across[at] + x
                good = cv2.remap(known, columns, rows, cv2.INTER_NEAREST, borderValue=0) * self.labelled[at]
                weight = good * np.outer(share_y, share_x)
                total += cv2.remap(image, columns, rows, cv2.INTER_NEAREST) * weight[..., None]
                weights += weight
        columns, rows = np.meshgrid(u, v)
        colour = _between(self.fill, columns, rows)
        copied = total / np.maximum(weights, 1e-3)[..., None] + _between(self.correction, columns, rows)
        best = np.where((weights > 1e-3)[..., None], copied, colour)
        result: NDArray[np.uint8] = np.clip(best + 0.5, 0, 255).astype(np.uint8)
        return result


def _between(plane: NDArray[Any], columns: Floats, rows: Floats) -> Floats:
    read = cv2.remap(plane, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read, np.float32)


def _neighbours(at: Floats, size: int) -> list[tuple[NDArray[np.intp], Floats]]:
    low = np.floor(at)
    share = at - low
    first = low.astype(np.intp)
    return [
        (np.clip(first, 0, size - 1), (1.0 - share).astype(np.float32)),
        (np.clip(first + 1, 0, size - 1), share.astype(np.float32)),
    ]


def _spread(correction: Floats, hole: Bools) -> Floats:
    """Continue the correction one pixel beyond the hole, so that reading between pixels does not fade it."""
    weight = cv2.blur(hole.astype(np.float32), (3, 3))
    mean = cv2.blur(correction, (3, 3)) / np.maximum(weight, 1e-6)[..., None]
    return np.where(hole[..., None], correction, mean).astype(np.float32)

"""Offsets from the pixels of a box to those whose detail they take, from one size of the picture to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.detail.levels import Band, Floats, Size
from magic_eraser.models.watch import Watch

Maps = NDArray[np.int16]
"""(h, w, 2): column and row of the pixel that each takes."""

WINDOW = 9  # px, side of what is compared when offsets are moved
WORTH = 0.85  # of the difference: an offset moves when less than that is left
APART = 255  # levels by which what may not be taken counts as different
MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))


@dataclass(frozen=True, slots=True)
class Field:
    """Offsets of one box at one size.

    Attributes:
        offsets: int32 (2, h, w), rows and columns to go.
        box: what they cover.
        size: of the whole picture.
        unit: the size whose pixels the offsets count.
    """

    offsets: NDArray[np.int32]
    box: Band
    size: Size
    unit: Size

    def counted_in(self, unit: Size) -> Field:
        """The same in pixels of another size."""
        if unit == self.unit:
            return self
        scale = np.array([new / old for new, old in zip(unit, self.unit, strict=True)], np.float32)
        offsets = np.rint(self.offsets * scale[:, None, None]).astype(np.int32)
        return Field(offsets, self.box, self.size, unit)

    def at(self, size: Size, box: Band) -> Field:
        """The same at another size, over another box, whose edge repeats where it reaches further."""
        offsets = self.counted_in(size).offsets
        places = []
        for axis, part in enumerate(box):
            middle = (np.arange(part.start, part.stop) + 0.5) * (self.size[axis] / size[axis])
            place = middle.astype(np.intp) - self.box[axis].start
            places.append(np.clip(place, 0, offsets.shape[1 + axis] - 1))
        return Field(offsets.take(places[1], axis=2).take(places[0], axis=1), box, size, size)

    def maps(self) -> Maps:
        """Where each pixel of the box is taken from."""
        rows, columns = (np.arange(part.start, part.stop, dtype=np.int32) for part in self.box)
        maps = np.empty((*self.offsets.shape[1:], 2), np.int16)
        maps[..., 0] = self.offsets[1] + columns
        maps[..., 1] = self.offsets[0] + rows[:, None]
        return maps

    def refined(
        self, seen: NDArray[np.uint8], valid: NDArray[np.uint8], watch: Watch
    ) -> tuple[Field, Floats]:
        """Each offset moved by a pixel at most, where that fits better.

        Args:
            seen: uint8 (H, W), luminance of the whole picture.
            valid: uint8 (H, W), 0 where nothing may be taken.
            watch: checked between moves.

        Returns:
            The field, and the mean absolute difference round each pixel, levels: float32 (h, w).
        """
        base, here = self.maps(), seen[self.box]

        def apart(dy: int, dx: int) -> Floats:
            watch.check()
            maps = base + np.array([dx, dy], np.int16)
            away = cv2.absdiff(take(seen, maps), here)
            away[take(valid, maps) == 0] = APART
            return np.asarray(cv2.boxFilter(away, cv2.CV_32F, (WINDOW, WINDOW)), np.float32)

        least = apart(0, 0)
        limit = least * WORTH
        offsets = self.offsets.copy()
        for dy, dx in MOVES:
            found = apart(dy, dx)
            better = found < np.minimum(limit, least)
            for axis, move in enumerate((dy, dx)):
                np.copyto(offsets[axis], self.offsets[axis] + move, where=better)
            np.copyto(least, found, where=better)
        return Field(offsets, self.box, self.size, self.unit), least


def take(array: NDArray[Any], maps: Maps) -> NDArray[Any]:
    """Values of the mapped pixels; 0 outside the picture."""
    border = cv2.BORDER_CONSTANT
    return np.asarray(
        cv2.remap(array, maps, np.empty(0), cv2.INTER_NEAREST, borderMode=border, borderValue=0)
    )

"""Full-size pixels between the labels of working size round them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.inpainter import Pixels
from magic_eraser.models.patch.seams import box_of
from magic_eraser.models.patch.windows import Bools, Floats
from magic_eraser.models.watch import Watch

LONGEST_SIDE = 32_000  # `cv2.remap` counts in 16 bits
LIST_WIDTH = 1024  # a list of places is given to it as rows of so many
FEATHER = 8.0  # pixels: pieces go over into each other within half a label where labels are larger than that
SAME = 1  # pixel by which offsets may differ and be taken for one
BENT = 0.75  # of a label, by which they may differ within a piece that is bent
CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass(frozen=True, slots=True)
class Plan:
    """What to copy, found at working size.

    Attributes:
        hole: bool (h, w).
        offsets: float32 (2, h, w), rows and columns from a full-size pixel to the one it copies, in full-size pixels;
            of the hole's pixels.
        scale: full-size pixels per pixel, rows and columns.
        correction: float32 (h, w, 3), levels of 255 to add to the copies.
    """

    hole: Bools
    offsets: Floats
    scale: tuple[float, float]
    correction: Floats


class Quads:
    """The four labels round each place, told apart by whether they say the same.

    A quad spans from one label's middle to the next one's; (r, c) lies between labels r - 1, r and c - 1, c.
    """

    def __init__(self, plan: Plan, image: Pixels, watch: Watch) -> None:
        double = 2 if max(plan.scale) > FEATHER else 1
        box = box_of(plan.hole, 1)
        self._image = image
        self._size = (image.shape[0], image.shape[1])
        self._coarse = plan.scale
        self._scale = (plan.scale[0] / double, plan.scale[1] / double)
        self._double = double
        self._known = ~plan.hole
        self._origin = (box[0].start, box[1].start)
        hole = plan.hole[box].repeat(double, 0).repeat(double, 1)
        self._labelled = np.pad(hole, 1)
        offsets = np.rint(np.moveaxis(plan.offsets[(slice(None), *box)], 0, -1)).astype(np.int32)
        self._offsets = np.zeros((*self._labelled.shape, 2), np.int32)
        self._offsets[1:-1, 1:-1] = offsets.repeat(double, 0).repeat(double, 1)
        self._shape = (hole.shape[0] + 1, hole.shape[1] + 1)
        self._one = self._corner(self._offsets, 0, 0).copy()
        known = self._corner(self._labelled, 0, 0).copy()
        for dy, dx in CORNERS[1:]:
            fresh = self._corner(self._labelled, dy, dx) & ~known
            np.copyto(self._one, self._corner(self._offsets, dy, dx), where=fresh[..., None])
            known |= fresh
        watch.check()
        self._simple = known & self._safe()
        self._bent = self._simple.copy()
        for dy, dx in CORNERS:
            watch.check()
            away = np.abs(self._corner(self._offsets, dy, dx) - self._one).max(-1)
            away[~self._corner(self._labelled, dy, dx)] = 0
            self._simple &= away <= SAME
            self._bent &= away <= BENT * max(self._scale)
        unit = np.iinfo(image.dtype).max / 255
        spread = _spread(plan.correction[box], plan.hole[box])
        self._correction = np.zeros((*spread.shape[:2], image.shape[2]), np.float32)
        self._correction[..., :3] = spread * np.float32(unit)
        self._depth = cv2.CV_8U if image.dtype == np.uint8 else cv2.CV_16U

    def _corner(self, padded: NDArray[Any], dy: int, dx: int) -> NDArray[Any]:
        return padded[dy : dy + self._shape[0], dx : dx + self._shape[1]]

    def _safe(self) -> Bools:
        """Whether all that a quad copies by its one label is known for certain: bool (h + 1, w + 1)."""
        around = cv2.erode(
            self._known.astype(np.uint8),
            np.ones((3, 3), np.uint8),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        places = []
        for axis in (0, 1):
            middle = np.arange(self._shape[axis]) / self._double + self._origin[axis]
            middle = middle[:, None] if axis == 0 else middle[None, :]
            places.append(np.floor(middle + self._one[..., axis] / self._coarse[axis]).astype(np.intp))
        y, x = places
        inside = (y >= 0) & (y < around.shape[0]) & (x >= 0) & (x < around.shape[1])
        found: Bools = inside & (around[np.where(inside, y, 0), np.where(inside, x, 0)] > 0)
        return found

    def offsets(self, place: NDArray[np.int32]) -> NDArray[np.int32]:
        """What pixels at rows and columns (n, 2) copy: offsets (n, 2)."""
        return self._one[self._quad(place[:, 0], 0)[0], self._quad(place[:, 1], 1)[0]]

    def filled(self, marked: NDArray[np.uint8], band: tuple[slice, slice]) -> Pixels:
        """The band's samples, right in the hole only, like the picture."""
        y, x = (np.arange(part.start, part.stop, dtype=np.int32) for part in band)
        (row, share_y), (column, share_x) = self._quad(y, 0), self._quad(x, 1)
        # each row of quads is widened once and then repeated
        first, last = int(row[0]), int(row[-1]) + 1
        wide = np.take(self._one[first:last], column, axis=1)
        wide[..., 1] += x
        source = np.take(wide, row - first, axis=0)
        source[..., 0] += y[:, None]
        out = _copies(self._image, source)
        simple = np.take(np.take(self._simple[first:last], column, axis=1), row - first, axis=0)
        at = np.flatnonzero((marked[band] > 0) & ~simple)
        if at.size:
            v, u = np.divmod(at, len(x))
            out.reshape(-1, out.shape[2])[at] = self._mixed(
                marked, np.stack([y[v], x[u]], 1), (row[v], column[u]), (share_y[v], share_x[u])
            )
        return np.asarray(cv2.add(out, self._corrections(band), dtype=self._depth))

    def _quad(self, at: NDArray[np.int32], axis: int) -> tuple[NDArray[np.intp], Floats]:
        """The quad of each row or column, and how far through it that lies, 0..1."""
        place = (at + 0.5) / self._scale[axis] + 0.5 - self._origin[axis] * self._double
        place = np.clip(place, 0, self._shape[axis] - 1)
        quad = place.astype(np.intp)
        return quad, (place - quad).astype(np.float32)

    def _mixed(
        self,
        marked: NDArray[np.uint8],
        place: NDArray[np.int32],
        quad: tuple[NDArray[np.intp], NDArray[np.intp]],
        share: tuple[Floats, Floats],
    ) -> Pixels:
        """Samples (n, C) of pixels at rows and columns (n, 2) whose labels differ, or may copy what is unknown."""
        weights = np.empty((len(CORNERS), len(place)), np.float32)
        steps = []
        for weight, (dy, dx) in zip(weights, CORNERS, strict=True):
            corner = (quad[0] + dy) * self._labelled.shape[1] + quad[1] + dx
            weight[:] = (share[0] if dy else 1 - share[0]) * (share[1] if dx else 1 - share[1])
            weight[~self._labelled.ravel().take(corner)] = 0
            steps.append(self._offsets.reshape(-1, 2).take(corner, axis=0))
        out = np.empty((len(place), self._image.shape[2]), self._image.dtype)
        bent = self._bent[quad]
        at = np.flatnonzero(bent)
        if at.size:  # one copy, from between what the labels say
            mean = sum(w[at, None] * s[at] for w, s in zip(weights, steps, strict=True))
            mean /= np.maximum(weights[:, at].sum(0), 1e-6)[:, None]
            out[at] = _copies(self._image, (place[at] + np.rint(mean).astype(np.int32))[None])[0]
        at = np.flatnonzero(~bent)
        if at.size:
            out[at] = self._blended(marked, place[at], weights[:, at], [s[at] for s in steps])
        return out

    def _blended(
        self,
        marked: NDArray[np.uint8],
        place: NDArray[np.int32],
        weights: Floats,
        steps: list[NDArray[np.int32]],
    ) -> Pixels:
        """Known copies by each label, mixed: (n, C). Args: weights (4, n); steps, four of (n, 2)."""
        total = np.zeros((len(place), self._image.shape[2]), np.float32)
        for weight, step in zip(weights, steps, strict=True):
            source = (place + step)[None]
            weight[_copies(marked, source, outside=1)[0] > 0] = 0
            copied = _copies(self._image, source)[0].astype(np.float32)
            copied *= weight[:, None]
            total += copied
        sums = weights.sum(0)
        total /= np.maximum(sums, 1e-6)[:, None]
        lost = np.flatnonzero(sums <= 1e-6)
        if lost.size:
            total[lost] = self._nearest((place[lost, 0], place[lost, 1]))
        return np.asarray(np.rint(total), self._image.dtype)

    def _nearest(self, pixel: tuple[NDArray[np.int32], ...]) -> Pixels:
        """Samples of those pixels none of whose copies is known: of what is known for certain, the nearest."""
        places, own = [], []
        for i, p in enumerate(pixel):
            last = self._origin[i] + (self._labelled.shape[i] - 2) // self._double - 1
            own.append(np.clip(p / self._coarse[i], self._origin[i], last).astype(np.intp))
        corner = [(a - first) * self._double + 1 for a, first in zip(own, self._origin, strict=True)]
        offset = self._offsets[corner[0], corner[1]]
        cells = []
        for i in (0, 1):
            middle = own[i] + 0.5 + offset[:, i] / self._coarse[i]
            cells.append(np.clip(np.floor(middle), 0, self._known.shape[i] - 1).astype(np.intp))
        cells = self._known_cells(cells[0], cells[1])
        for i, cell in enumerate(cells):
            scale = self._coarse[i]
            first, last = np.ceil(cell * scale), np.floor((cell + 1) * scale) - 1
            at = np.clip(pixel[i] + offset[:, i], first, np.maximum(first, last))
            places.append(np.clip(at, 0, self._size[i] - 1).astype(np.intp))
        return np.asarray(self._image[places[0], places[1]])

    def _known_cells(self, y: NDArray[np.intp], x: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """The pixels of working size nearest to those that are known for certain."""
        hole = (~self._known).view(np.uint8)
        _, number = cv2.distanceTransformWithLabels(hole, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
        at = np.flatnonzero(self._known)  # numbered from 1 on, row by row
        return list(np.divmod(at[np.asarray(number)[y, x] - 1], hole.shape[1]))

    def _corrections(self, band: tuple[slice, slice]) -> Floats:
        """float32 (rows, columns, C), between the working size's pixels linear."""
        step = [1 / s for s in self._coarse]
        start = [(part.start + 0.5) * step[i] - 0.5 - self._origin[i] for i, part in enumerate(band)]
        matrix = np.array([[step[1], 0, start[1]], [0, step[0], start[0]]])
        size = (band[1].stop - band[1].start, band[0].stop - band[0].start)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        read = cv2.warpAffine(self._correction, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(read, np.float32)


def _copies(image: NDArray[Any], source: NDArray[np.int32], outside: int | None = None) -> NDArray[Any]:
    """Values at rows and columns (h, w, 2) of an array (H, W) or (H, W, C); the nearest where those lie outside, or
    `outside`."""
    if max(image.shape[:2]) > LONGEST_SIDE:
        y, x = source[..., 0], source[..., 1]
        v, u = np.clip(y, 0, image.shape[0] - 1), np.clip(x, 0, image.shape[1] - 1)
        found = image[v, u]
        if outside is not None:
            found[(v != y) | (u != x)] = outside
        return np.asarray(found)
    shape = source.shape[:2]
    if shape[0] == 1 and shape[1] > LIST_WIDTH:
        source = np.pad(source[0], ((0, -shape[1] % LIST_WIDTH), (0, 0))).reshape(-1, LIST_WIDTH, 2)
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    places = np.empty(source.shape, np.int16)
    places[..., 0], places[..., 1] = source[..., 1], source[..., 0]
    found = cv2.remap(
        image, places, np.empty(0), cv2.INTER_NEAREST, borderMode=border, borderValue=outside or 0
    )
    if places.shape[:2] == shape:
        return np.asarray(found)
    return np.asarray(found).reshape(1, -1, *image.shape[2:])[:, : shape[1]]


def _spread(correction: Floats, hole: Bools) -> Floats:
    """Continue the correction one pixel beyond the hole, so that reading between pixels does not fade it."""
    weight = cv2.blur(hole.astype(np.float32), (3, 3))
    mean = cv2.blur(correction, (3, 3)) / np.maximum(weight, 1e-6)[..., None]
    return np.where(hole[..., None], correction, mean).astype(np.float32)

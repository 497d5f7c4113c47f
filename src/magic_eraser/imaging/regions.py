"""Where to look, and at what scale: holes become a few crops with context, never the whole picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.imaging.photo import Box

MOST_REGIONS = 16
"""However many specks a mask holds, a model is called at most so often."""
MANY = 64
"""Groups beyond which nearness is judged by a coarse grid before it is judged pair by pair."""
CELL = 8
"""Pixels a side of the grid on which holes are grouped: 12 MP become 190,000 cells."""
LONG = 2
"""Times its width that a crop is long, from which on it is not made a square."""


@dataclass(frozen=True, slots=True)
class Region:
    """One crop to be filled.

    Attributes:
        box: the crop in the picture.
        hole: bool (h, w), the pixels this region fills.
        unknown: bool (h, w), every hole pixel within the box, those of other regions among them.
        scale: full-size pixels per pixel that the model is to see, >= 1.
    """

    box: Box
    hole: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    scale: float

    @property
    def working_shape(self) -> tuple[int, int]:
        """(height, width) of the crop as the model sees it, pixels."""
        return _shrunk(self.hole.shape, self.scale)


def find_regions(
    hole: NDArray[np.bool_],
    *,
    context: float,
    min_context: int,
    working_size: int | None = None,
    working_hole: int | None = None,
    most: int = MOST_REGIONS,
    sides: Sequence[int] = (),
) -> list[Region]:
    """Group the holes of a picture and give each group a crop.

    Args:
        hole: (H, W), at least one True.
        context: margin around a hole as a multiple of its longer side.
        min_context: least margin, pixels.
        working_size: longest side of a crop that the model sees; larger ones get a `scale` above 1.
        working_hole: most hole pixels that the model sees.
        most: upper bound on the number of regions; the nearest groups are joined until it holds.
        sides: ascending, of crops as the model sees them. Where there are several regions they take more context, until
            their sides are among these, so that few sizes are left and many crops fit one call; only what is less than
            two cells of the grid too large is cut down. As many crops cost few calls, holes that are near each other
            share one only where it need not be shrunk for that, or by `most`.

    Returns:
        Regions in reading order, by their crops before `sides`. Their `hole`s are disjoint and together are `hole`.
    """
    components, cells = cv2.connectedComponents(_occupied(hole), connectivity=8)
    boxes = _context_boxes(cells, components, context, min_context, (hole.shape[0], hole.shape[1]))
    legible = working_size if sides else None
    if legible is None:
        boxes, owner = _group(boxes, cells.shape)
    else:
        owner = np.arange(len(boxes))
    if len(boxes) > MANY:
        boxes, owner = _bin(boxes, owner, hole.shape)
    boxes, owner = _join(boxes, owner, most, legible)
    order = np.lexsort((boxes[:, 0], boxes[:, 1]))
    regions = []
    for index in order.tolist():
        box = Box(*boxes[index].tolist())
        own = hole[box.slices]
        if len(boxes) > 1:
            mine = np.concatenate([[False], owner == index])  # label 0 is no hole
            own = own & _blow_up(mine[cells[_cell_slices(box)]], box)
            if sides:
                snapped = _snapped(box, own, hole.shape, min_context, sides, working_size)
                own = hole[snapped.slices] & _blow_up(mine[cells[_cell_slices(snapped)]], snapped)
                box = snapped
        scale = _scale(box, int(np.count_nonzero(own)), working_size, working_hole)
        regions.append(Region(box, own, hole[box.slices], scale))
    return regions


def _snapped(
    box: Box,
    own: NDArray[np.bool_],
    shape: tuple[int, ...],
    min_context: int,
    sides: Sequence[int],
    working_size: int | None,
) -> Box:
    """The crop with sides that are among `sides` as the model sees them; round its hole `own` (h, w), in the picture.

    A square, unless it is long or the picture is too small.
    """
    left, top, width, height = cv2.boundingRect(own.view(np.uint8))
    longer = max(box.width, box.height)
    long = longer > LONG * min(box.width, box.height)
    scale = 1.0 if working_size is None else max(1.0, longer / working_size)
    spans = []
    for start, length, present, most in (
        (left + box.left, width, box.width, shape[1]),
        (top + box.top, height, box.height, shape[0]),
    ):
        wanted = present if long else longer
        needed = max(min(length + 2 * min_context, wanted), wanted - 2 * (CELL - 1))
        seen = next((side for side in sides if side * scale >= needed), wanted / scale)
        side = min(max(round(seen * scale), length), most)
        first = min(max(0, start + length // 2 - side // 2), most - side)
        spans.append((first, first + side))
    (x0, x1), (y0, y1) = spans
    return Box(x0, y0, x1, y1)


def _occupied(hole: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Grid of cells that hold a hole pixel: uint8 (ceil(H / CELL), ceil(W / CELL))."""
    height, width = hole.shape
    rows, columns = -(-height // CELL), -(-width // CELL)
    left, top, w, h = cv2.boundingRect(hole.view(np.uint8))
    y0, x0 = top // CELL, left // CELL
    y1, x1 = -(-(top + h) // CELL), -(-(left + w) // CELL)
    part = hole[y0 * CELL : y1 * CELL, x0 * CELL : x1 * CELL].view(np.uint8)
    padded = np.zeros(((y1 - y0) * CELL, (x1 - x0) * CELL), np.uint8)
    padded[: part.shape[0], : part.shape[1]] = part
    by_row = padded.reshape(y1 - y0, CELL, -1).max(axis=1)
    cells = np.zeros((rows, columns), np.uint8)
    cells[y0:y1, x0:x1] = by_row.reshape(y1 - y0, x1 - x0, CELL).max(axis=2)
    return cells


def _context_boxes(
    cells: NDArray[Any], components: int, context: float, min_context: int, shape: tuple[int, int]
) -> NDArray[np.int64]:
    """(n, 4) left, top, right, bottom in pixels: each connected hole with its margin, clipped to the picture."""
    rows, columns = np.nonzero(cells)
    label = cells[rows, columns] - 1
    first = np.full((components - 1, 2), np.iinfo(np.int64).max)
    last = np.zeros((components - 1, 2), np.int64)
    place = np.stack([columns, rows], axis=1).astype(np.int64)
    np.minimum.at(first, label, place)
    np.maximum.at(last, label, place)
    first, last = first * CELL, (last + 1) * CELL
    margin = np.maximum(min_context, np.ceil(context * (last - first).max(axis=1)).astype(np.int64))[:, None]
    most = np.array([shape[1], shape[0]])
    return np.concatenate([np.maximum(first - margin, 0), np.minimum(last + margin, most)], axis=1)


def _group(boxes: NDArray[np.int64], grid: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Boxes that touch become one: painted on the grid by a summed difference, then labelled.

    Returns (m, 4) boxes and (n,) the index of the box that each given one went into.
    """
    rows, columns = grid
    paint = np.zeros((rows + 1, columns + 1), np.int32)
    x0, y0 = boxes[:, 0] // CELL, boxes[:, 1] // CELL
    x1, y1 = -(-boxes[:, 2] // CELL), -(-boxes[:, 3] // CELL)
    for ys, xs, sign in ((y0, x0, 1), (y0, x1, -1), (y1, x0, -1), (y1, x1, 1)):
        np.add.at(paint, (ys, xs), sign)
    covered = (paint.cumsum(axis=0).cumsum(axis=1)[:rows, :columns] > 0).astype(np.uint8)
    _, labels = cv2.connectedComponents(covered, connectivity=4)
    _, owner = np.unique(labels[y0, x0], return_inverse=True)
    return _unions(boxes, owner), owner


def _unions(boxes: NDArray[np.int64], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """(m, 4): the bounding boxes of those that share an owner 0..m-1."""
    joined = np.empty((owner.max() + 1, 4), np.int64)
    joined[:, :2], joined[:, 2:] = np.iinfo(np.int64).max, 0
    np.minimum.at(joined[:, :2], owner, boxes[:, :2])
    np.maximum.at(joined[:, 2:], owner, boxes[:, 2:])
    return joined


def _bin(
    boxes: NDArray[np.int64], owner: NDArray[np.int64], shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join the boxes whose centres share a square of a coarse grid: at most `MANY` are left.

    Comparing every pair of 400 boxes until 16 are left took 0.8 s.
    """
    side = math.isqrt(MANY)
    middle = (boxes[:, :2] + boxes[:, 2:]) // 2
    square = middle[:, 0] * side // shape[1] + side * (middle[:, 1] * side // shape[0])
    _, of_box = np.unique(square, return_inverse=True)
    return _unions(boxes, of_box), of_box[owner]


def _join(
    boxes: NDArray[np.int64], owner: NDArray[np.int64], most: int, legible: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join a pair whose union is no larger than the two, nor longer than `legible` where neither is; while there are
    more than `most`, the pair that grows least."""
    while len(boxes) > 1:
        left_top = np.minimum(boxes[:, None, :2], boxes[None, :, :2])
        right_bottom = np.maximum(boxes[:, None, 2:], boxes[None, :, 2:])
        area = _cost(boxes[:, 2:] - boxes[:, :2], legible)
        growth = _cost(right_bottom - left_top, legible) - area[:, None] - area[None, :]
        never = np.iinfo(np.int64).max
        if legible is not None and len(boxes) <= most:
            longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
            allowed = np.maximum(np.maximum(longer[:, None], longer), legible)
            growth[(right_bottom - left_top).max(axis=2) > allowed] = never
        np.fill_diagonal(growth, never)
        a, b = sorted(int(v) for v in np.unravel_index(int(growth.argmin()), growth.shape))
        if growth[a, b] > 0 and len(boxes) <= most:
            break
        boxes = boxes.copy()
        boxes[a] = np.concatenate([left_top[a, b], right_bottom[a, b]])
        boxes = np.delete(boxes, b, axis=0)
        owner = np.where(owner == b, a, owner)
        owner = owner - (owner > b)
    return boxes, owner


def _cost(sides: NDArray[np.int64], legible: int | None) -> NDArray[np.int64]:
    """Pixels of crops (..., 2); of the squares round them where they are to become squares."""
    return np.asarray(sides.prod(axis=-1) if legible is None else sides.max(axis=-1) ** 2)


def _cell_slices(box: Box) -> tuple[slice, slice]:
    return (
        slice(box.top // CELL, -(-box.bottom // CELL)),
        slice(box.left // CELL, -(-box.right // CELL)),
    )


def _blow_up(cells: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    """Cells of a box to its pixels: bool (box height, box width)."""
    pixels = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)
    y, x = box.top % CELL, box.left % CELL
    return pixels[y : y + box.height, x : x + box.width]


def _scale(box: Box, hole_pixels: int, working_size: int | None, working_hole: int | None) -> float:
    scale = 1.0
    if working_size is not None:
        scale = max(scale, max(box.width, box.height) / working_size)
    if working_hole is not None:
        scale = max(scale, math.sqrt(hole_pixels / working_hole))
    return scale


def shrink(
    image: NDArray[Any], unknown: NDArray[np.bool_], scale: float
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A crop at the model's scale, averaged over known pixels only so that nothing of the hole leaks out.

    Args:
        image: (h, w, 3) uint8 or uint16.
        unknown: (h, w).
        scale: > 1, full-size pixels per returned pixel.

    Returns:
        (h', w', 3) of the same dtype and bool (h', w'); a pixel is unknown there where less than half of what it
        covers is known (where a hole is too thin for that, the least known ones are).
    """
    height, width = _shrunk(unknown.shape, scale)
    size = (width, height)
    small, share = known_mean(image, ~unknown, size)
    return small, share < 0.5 if (share < 0.5).any() else share <= share.min()


def _shrunk(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    return max(1, round(shape[0] / scale)), max(1, round(shape[1] / scale))


def known_mean(
    image: NDArray[Any], known: NDArray[np.bool_], size: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Shrink by area, averaging known pixels only.

    Args:
        image: (h, w, 3) uint8 or uint16.
        known: (h, w).
        size: (width, height) wanted, no larger.

    Returns:
        (h', w', 3) of the same dtype, 0 where nothing is known, and float32 (h', w'), the share 0..1 that is known.
    """
    weight = known.astype(np.float32)
    share = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)
    small = np.empty((size[1], size[0], image.shape[2]), image.dtype)
    top = np.iinfo(image.dtype).max
    # one channel at a time: a float copy of the whole crop is 12 bytes a pixel
    for k in range(image.shape[2]):
        mean = cv2.resize(image[..., k] * weight, size, interpolation=cv2.INTER_AREA)
        small[..., k] = np.clip(np.rint(mean / np.maximum(share, 1e-6)), 0, top)
    return small, share

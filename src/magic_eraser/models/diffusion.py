"""OpenCV's PDE fills on pictures of any size and depth; shared by `telea`, `ns` and the thin parts of `patch`."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.imaging.regions import known_mean
from magic_eraser.models.grain import finish_thin
from magic_eraser.models.inpainter import Hole, Pixels
from magic_eraser.models.watch import Watch

TILE, APRON = 192, 16
"""Pixels. Dust on 12 MP need not cost 12 MP: a thin hole sees no further than a tile's apron."""
THIN_RADIUS = {cv2.INPAINT_NS: 1, cv2.INPAINT_TELEA: 2}
"""Neighbourhood for thin holes that are softened and given grain, by method. At 4 both are softer and take twice the
time; Navier-Stokes gains 0.05-0.5 dB from 2 to 1, Telea loses 1.5 dB in scratches of one pixel."""
FARTHEST_LOOK = 24  # pixels: a mirror image 14 px away (`thinness.WIDEST`), and what it is blurred with
MOST_RADIUS = 16  # in a thin hole a larger neighbourhood only costs
MOST_WORK = 3_500_000
"""Hole pixels times radius squared in one call on one channel: 0.1 s."""


def diffuse(image: Pixels, hole: Hole, radius: int, method: int, watch: Watch) -> Pixels:
    """The whole hole, a channel at a time, at a smaller size where one call would take longer than 0.1 s.

    Args:
        image: uint8 or uint16 (H, W, 3). hole: bool (H, W), all that is unknown, some False.
        radius: neighbourhood in pixels. method: `cv2.INPAINT_TELEA` or `cv2.INPAINT_NS`.
        watch: checked before each channel.

    Returns:
        A new array like `image`, equal to it outside the hole.
    """
    work = np.count_nonzero(hole) * radius**2
    # both shrink, the hole with the square of the step and the radius, squared, too
    step = math.ceil((work / MOST_WORK) ** 0.25) if work > MOST_WORK else 1
    if step == 1:
        return _diffuse(image, hole, radius, method, watch)
    height, width = hole.shape
    watch.check()
    small, share = known_mean(image, ~hole, (-(-width // step), -(-height // step)))
    done = _diffuse(small, share <= 1e-6, max(1, round(radius / step)), method, watch)
    watch.check()
    filled = image.copy()
    enlarged = cv2.resize(done, (width, height), interpolation=cv2.INTER_LINEAR)
    np.copyto(filled, enlarged, where=hole[..., None])
    return filled


def _diffuse(image: Pixels, hole: Hole, radius: int, method: int, watch: Watch) -> Pixels:
    mask = hole.astype(np.uint8)
    filled = np.empty_like(image, order="C")
    # one channel: a third of the time between two checks, the same values, and 16 bit is offered for nothing else
    for k in range(image.shape[2]):
        watch.check()
        filled[..., k] = cv2.inpaint(np.ascontiguousarray(image[..., k]), mask, radius, method)
    return filled


def diffuse_thin(
    image: NDArray[Any], hole: Hole, wanted: Hole, radius: int, method: int, watch: Watch, *, grain: bool
) -> None:
    """Fill a thin part of the hole in place, tile by tile.

    Args:
        image: uint8 or uint16 (H, W, 3), written to in `wanted` only.
        hole: bool (H, W), all that is unknown. wanted: bool (H, W), the part of it to fill.
        radius, method: as `diffuse` takes them; the radius is 16 px at most.
        watch: checked before each tile.
        grain: in 16 bit, and with the grain of its surroundings: see `finish_thin`.
    """
    radius = min(radius, MOST_RADIUS)
    for top in range(0, hole.shape[0], TILE):
        band = wanted[top : top + TILE]
        if not band.any():
            continue
        for left in range(0, hole.shape[1], TILE):
            x, y, width, height = cv2.boundingRect(
                np.ascontiguousarray(band[:, left : left + TILE]).view(np.uint8)
            )
            if width:
                watch.check()
                rows, columns = (top + y, top + y + height), (left + x, left + x + width)
                _fill_tile(image, hole, wanted, rows, columns, radius, method, grain=grain)


def _fill_tile(
    image: NDArray[Any],
    hole: Hole,
    wanted: Hole,
    rows: tuple[int, int],
    columns: tuple[int, int],
    radius: int,
    method: int,
    *,
    grain: bool,
) -> None:
    apron = max(APRON, radius)
    y, x = max(0, rows[0] - apron), max(0, columns[0] - apron)
    outer = (slice(y, rows[1] + apron), slice(x, columns[1] + apron))
    inner = (slice(rows[0] - y, rows[1] - y), slice(columns[0] - x, columns[1] - x))
    unknown = np.ascontiguousarray(hole[outer])
    mine = np.zeros_like(unknown)
    mine[inner] = wanted[outer][inner]
    # an object beside a speck need not be filled for the speck's sake; what is further off than this never reaches it
    reach = 3 * radius + FARTHEST_LOOK
    near = cv2.dilate(mine.view(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    mask = near & unknown.view(np.uint8)
    part = np.array(image[outer], order="C")
    part[unknown] = 0
    if not grain:
        image[outer][mine] = _inpaint(part, mask, radius, method)[mine]
        return
    filled = _inpaint(_as_deep(part), mask, radius, method)
    finish_thin(filled, unknown, mine)
    colours = filled[mine]
    if image.dtype == np.uint8:
        colours = ((colours.astype(np.uint32) + 128) // 257).astype(np.uint8)
    image[outer][mine] = colours


def _inpaint(part: Pixels, mask: NDArray[np.uint8], radius: int, method: int) -> Pixels:
    if part.dtype == np.uint8:
        return np.asarray(cv2.inpaint(part, mask, radius, method))
    # 16 bit is offered for one channel only
    planes = [cv2.inpaint(np.ascontiguousarray(part[..., k]), mask, radius, method) for k in range(3)]
    return np.stack(planes, axis=-1)


def _as_deep(part: Pixels) -> Pixels:
    """In 16 bit, where it is in 8. OpenCV's Telea adds up to 1.4 to every value, whatever its scale: 3 to 5 levels
    wrong on a ramp in 8 bit, at most 2 in 16 (Navier-Stokes 3 and 2)."""
    return part.astype(np.uint16) * np.uint16(257) if part.dtype == np.uint8 else part

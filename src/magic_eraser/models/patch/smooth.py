"""Holes in sky, walls and paper: a membrane with the surroundings' grain is exact where patches leave steps."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.noise import Noise, Residual, measure
from magic_eraser.models.patch.seams import box_of
from magic_eraser.models.patch.surface import Surface, fit, surface
from magic_eraser.models.patch.windows import Bools, Floats
from magic_eraser.models.thinness import label_pieces
from magic_eraser.models.watch import Watch

RING = 12  # pixels round the hole that are looked at
RIM = 3  # pixels round the hole in which nothing may stick out
MARGIN = RING + 4
LEAST_RING = 30  # pixels
FIT_SAMPLES = 6000

# All in levels of 255.
FLAT_ENOUGH = 3.0  # 95th percentile of what a quadratic leaves of the ring, averaged over its grain
BUMP = 5.0  # the same at the rim, 99th percentile: a branch or a shore that touches the hole
STICKS_OUT = 6.0  # a rim pixel this far off, and 5 deviations of the grain, belongs to a wire
STRAYS = 4  # such pixels that may be dust; a wire of one pixel that enters and leaves has six
OUTLIER = 8.0  # medians: a bird, which is no grain
GRAIN_LIMIT = 6.0  # above that it is texture, and patches know better
GRAIN_SEEN = 0.5  # below that it is the rounding of a ramp: dots on it would break its even steps

MOST_PIECES = 256  # the largest ones: 1 ms each
BAND = 256  # rows painted between two checks


def fill_smooth(
    image: NDArray[np.uint8], hole: Bools, out: NDArray[np.uint8], rng: np.random.Generator, watch: Watch
) -> Bools:
    """Fill the pieces of the hole whose surroundings are a smooth gradient.

    Args:
        image: uint8 or uint16 (H, W, 3). hole: bool (H, W), some False.
        out: like `image`, written to where the result says so; may be `image` itself.

    Returns:
        bool (H, W): what was filled, whole pieces.
    """
    done = np.zeros(hole.shape, np.bool_)
    if not hole.any():
        return done
    inner = box_of(hole, MARGIN)
    image, hole, out, found = image[inner], hole[inner], out[inner], done[inner]
    marked = np.ascontiguousarray(hole).view(np.uint8)
    pieces, stats = label_pieces(marked, watch)
    largest = np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:MOST_PIECES] + 1
    noises: list[Noise] = []
    for piece in largest.tolist():
        watch.check()
        left, top, width, height = (int(v) for v in stats[piece, :4])
        box = (
            slice(max(0, top - MARGIN), top + height + MARGIN),
            slice(max(0, left - MARGIN), left + width + MARGIN),
        )
        mine = pieces[box] == piece
        if _fill_piece(image[box], hole[box], mine, out[box], noises, rng, watch):
            found[box] |= mine
    return done


def _fill_piece(
    image: NDArray[np.uint8],
    hole: Bools,
    mine: Bools,
    out: NDArray[np.uint8],
    noises: list[Noise],
    rng: np.random.Generator,
    watch: Watch,
) -> bool:
    """Paint `mine` into `out`, unless its surroundings are not smooth."""
    unit = np.iinfo(image.dtype).max / 255
    ring = np.flatnonzero(_round(mine, RING) & ~hole)
    if len(ring) < LEAST_RING:
        return False
    seen = ring[:: -(-len(ring) // FIT_SAMPLES)]
    y, x = np.divmod(seen, hole.shape[1])
    colours = image[y, x].astype(np.float32)
    factors = fit(colours, y, x, hole.shape)
    found = Surface(factors, hole.shape, np.zeros((1, 1, 3), np.float32), np.ones((1, 1), np.float32))
    # a look at the ring alone, before the whole box is averaged: most textures end here
    off = np.abs(colours - found.quadratic(y, x)).max(1)
    if np.median(off) > (FLAT_ENOUGH + GRAIN_LIMIT) * unit:
        return False
    watch.check()
    found = surface(image, hole, factors, watch)
    rim = np.flatnonzero(_round(mine, RIM) & ~hole)
    residual = _residual(image, found.wider())
    left = residual(y, x)
    calm = (np.abs(left) <= np.maximum(OUTLIER * np.median(np.abs(left), axis=0), unit)).all(1)
    deviation = np.asarray(left[calm].std(0), np.float32)
    if not _is_smooth(image, found, deviation, seen, rim, unit):
        return False
    noise = None
    if deviation.max() > GRAIN_SEEN * unit:
        noise = next((n for n in noises if n.like(deviation)), None)
        if noise is None:
            noise = measure(residual, ~hole, seen[calm], rng)
            noises.append(noise)
    _paint(out, mine, found.through(watch), noise, rng, watch)
    return True


def _residual(image: NDArray[np.uint8], found: Surface) -> Residual:
    def residual(y: NDArray[np.intp], x: NDArray[np.intp]) -> Floats:
        return np.asarray(image[y, x] - found.quadratic(y, x) - found.rest_at(y, x), np.float32)

    return residual


def _is_smooth(
    image: NDArray[np.uint8],
    found: Surface,
    deviation: Floats,
    ring: NDArray[np.intp],
    rim: NDArray[np.intp],
    unit: float,
) -> bool:
    """Whether ring and rim, flat positions, are a smooth gradient under grain of that deviation (3,)."""
    if deviation.max() > GRAIN_LIMIT * unit:
        return False
    width = found.shape[1]
    if np.percentile(np.abs(found.rest_at(*np.divmod(ring, width))).max(1), 95) > FLAT_ENOUGH * unit:
        return False
    y, x = np.divmod(rim, width)
    if np.percentile(np.abs(found.rest_at(y, x)).max(1), 99) > BUMP * unit:
        return False
    off = np.abs(_residual(image, found)(y, x)) > np.maximum(STICKS_OUT * unit, 5 * deviation)
    return int(np.count_nonzero(off.any(1))) <= STRAYS


def _round(mine: Bools, reach: int) -> Bools:
    side = 2 * reach + 1
    grown = cv2.dilate(np.ascontiguousarray(mine).view(np.uint8), np.ones((side, side), np.uint8))
    return np.asarray(grown).view(np.bool_)


def _paint(
    image: NDArray[np.uint8],
    mine: Bools,
    through: Surface,
    noise: Noise | None,
    rng: np.random.Generator,
    watch: Watch,
) -> None:
    top = np.iinfo(image.dtype).max
    shift = (int(rng.integers(1 << 16)), int(rng.integers(1 << 16)))
    height, width = mine.shape
    for first in range(0, height, BAND):
        watch.check()
        here = mine[first : first + BAND]
        if not here.any():
            continue
        level = through.rows(first, len(here))
        if noise is not None:
            level += noise.rows(first, len(here), width, shift)
        painted = np.clip(np.rint(level), 0, top).astype(image.dtype)
        np.copyto(image[first : first + BAND], painted, where=here[..., None])

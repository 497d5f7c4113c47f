"""Holes in sky, walls and paper: a membrane with the surroundings' grain is exact where patches leave steps."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.solve import harmonic
from magic_eraser.models.patch.windows import Bools, Floats
from magic_eraser.models.watch import Watch

RING = 12  # pixels round the hole that are looked at
BLUR = 2.0
FLAT_ENOUGH = 3.0  # levels: 95th percentile of what a quadratic leaves of the blurred ring
GRAIN_LIMIT = 5.0  # levels of grain; above that it is texture, and patches know better
GRAIN_SEEN = 0.3
MOST_PIECES = 32
MEMBRANE_SIDE = 384


def fill_smooth(image: NDArray[np.uint8], hole: Bools, rng: np.random.Generator, watch: Watch) -> Bools:
    """Fill the pieces of the hole whose surroundings are a smooth gradient, in place.

    Args:
        image: uint8 (H, W, 3), written to where the result says so. hole: bool (H, W), some False.

    Returns:
        bool (H, W): what was filled.
    """
    done = np.zeros_like(hole)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8), connectivity=8)
    if count - 1 > MOST_PIECES:
        return done
    for piece in range(1, count):
        watch.check()
        left, top, width, height = (int(v) for v in stats[piece, :4])
        box = (
            slice(max(0, top - RING - 4), top + height + RING + 4),
            slice(max(0, left - RING - 4), left + width + RING + 4),
        )
        mine = pieces[box] == piece
        filled = _membrane(image[box], hole[box], mine, rng, watch)
        if filled is not None:
            image[box][mine] = filled[mine]
            done[box] |= mine
    return done


def _membrane(
    image: NDArray[np.uint8], hole: Bools, mine: Bools, rng: np.random.Generator, watch: Watch
) -> NDArray[np.uint8] | None:
    """Colours for `mine`, or None where its surroundings are not smooth."""
    kernel = np.ones((2 * RING + 1, 2 * RING + 1), np.uint8)
    ring = (cv2.dilate(mine.astype(np.uint8), kernel) > 0) & ~hole
    if np.count_nonzero(ring) < 30:
        return None
    across, down = np.meshgrid(
        np.linspace(-1, 1, hole.shape[1], dtype=np.float32),
        np.linspace(-1, 1, hole.shape[0], dtype=np.float32),
    )
    terms = _quadratic(down[ring], across[ring])
    if _far_from_smooth(image[ring], terms):
        return None
    known = (~hole).astype(np.float32)
    weight = cv2.GaussianBlur(known, (0, 0), BLUR)
    blurred = cv2.GaussianBlur(image * known[..., None], (0, 0), BLUR) / np.maximum(weight, 1e-6)[..., None]
    factors, *_ = np.linalg.lstsq(terms, blurred[ring], rcond=None)
    rest = blurred[ring] - terms @ factors
    grain = image[ring] - blurred[ring]
    if np.percentile(np.abs(rest).max(1), 95) > FLAT_ENOUGH or grain.std() > GRAIN_LIMIT:
        return None
    surface = _quadratic(down, across) @ factors
    level = surface + _between(np.asarray(blurred - surface, np.float32), hole, watch)
    if grain.std() > GRAIN_SEEN:
        level[mine] += grain[rng.integers(0, len(grain), np.count_nonzero(mine))]
    filled: NDArray[np.uint8] = np.clip(level + 0.5, 0, 255).astype(np.uint8)
    return filled


def _far_from_smooth(ring: NDArray[np.uint8], terms: Floats) -> bool:
    """A look at some pixels of the ring, (n, 3) and (n, 6), before the whole box is blurred."""
    some = slice(None, None, max(1, len(ring) // 4000))
    colours = ring[some].astype(np.float32)
    factors, *_ = np.linalg.lstsq(terms[some], colours, rcond=None)
    return bool((colours - terms[some] @ factors).std() > FLAT_ENOUGH + GRAIN_LIMIT)


def _quadratic(y: Floats, x: Floats) -> Floats:
    """Terms (..., 6) of a quadratic in places that run over -1..1."""
    return np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], -1)


def _between(rest: Floats, hole: Bools, watch: Watch) -> Floats:
    """Membrane (H, W, 3) through the hole of what the quadratic leaves, a few levels at most, so found small."""
    height, width = hole.shape
    step = max(1, -(-max(height, width) // MEMBRANE_SIDE))
    if step == 1:
        return harmonic(rest, hole, watch)
    size = (-(-width // step), -(-height // step))
    known = (~hole).astype(np.float32)
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    planes = np.asarray(cv2.resize(rest * known[..., None], size, interpolation=cv2.INTER_AREA), np.float32)
    planes = (planes / np.maximum(share, 1e-6)[..., None]).astype(np.float32)
    small = harmonic(planes, share < 1e-3, watch)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

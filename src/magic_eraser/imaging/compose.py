"""Back to full size: a fill made at a smaller scale is enlarged, met at its seam, and given the picture's grain."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

RING = 24
"""Width, in full-size pixels, of the ring of known pixels round a hole: the fill is met there and its grain copied."""
BAND = 256
"""Rows worked on at a time, so that float copies of a large crop never exist whole."""
TILE = 1024
"""Side of the square of noise that is laid side by side; its repeats are not seen."""


def enlarge(
    fill: NDArray[Any],
    image: NDArray[Any],
    hole: NDArray[np.bool_],
    unknown: NDArray[np.bool_],
    seed: int = 0,
) -> NDArray[Any]:
    """Bring a fill made at working size to the crop's full size.

    The enlarged fill misses the picture at the hole's edge (by what shrinking lost) and has no grain. The miss is
    spread inwards as a membrane; the grain is what the ring round the hole has above the working size's detail.

    Args:
        fill: (h', w', 3) uint8 or uint16, the model's whole answer, h' <= h.
        image: (h, w, 3), the crop at full size.
        hole: (h, w), pixels to take from the fill.
        unknown: (h, w), pixels of `image` that must not be looked at; contains `hole`.
        seed: of the grain.

    Returns:
        (h, w, 3) like `image`; only its `hole` pixels are meant.
    """
    height, width = hole.shape
    result: NDArray[Any] = cv2.resize(fill, (width, height), interpolation=cv2.INTER_CUBIC)
    at = np.nonzero(_ring(hole, unknown))
    miss = image[at].astype(np.float32) - result[at]
    scale = max(height / fill.shape[0], width / fill.shape[1])
    spread = _membrane(miss, at, hole.shape, fill.shape[:2])
    tile = _grain_tile(scale, seed)
    strength = _strength(miss)
    top = np.iinfo(image.dtype).max
    for first in range(0, height, BAND):
        rows = np.arange(first, min(first + BAND, height))
        if not hole[rows].any():
            continue
        band = result[rows].astype(np.float32)
        band += _between_rows(spread, rows, height)
        band += np.take(tile[rows % TILE], np.arange(width) % TILE, axis=1)[..., None] * strength
        result[rows] = np.clip(np.rint(band), 0, top)
    return result


def _ring(hole: NDArray[np.bool_], unknown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Known pixels within `RING` of the hole: bool (h, w)."""
    size = 2 * RING + 1
    grown = cv2.dilate(hole.view(np.uint8), cv2.getStructuringElement(cv2.MORPH_RECT, (size, size)))
    return (grown > 0) & ~unknown


def _membrane(
    miss: NDArray[np.float32],
    at: tuple[NDArray[np.intp], ...],
    shape: tuple[int, ...],
    small: tuple[int, ...],
) -> NDArray[np.float32]:
    """What the ring misses, spread to where it is not known and fading within a few working-size pixels.

    Normalised convolution (Knutsson and Westin 1993) at growing widths, the narrow ones where they reach.

    Args:
        miss: (n, 3), at the n pixels `at` of a crop of `shape`.
        small: (h', w') of the working size, in which it is computed.

    Returns:
        (h', w, 3): widened to the crop's columns, not yet to its rows.
    """
    height, width = small
    cell = (at[0] * height // shape[0]) * width + at[1] * width // shape[1]
    weight = np.bincount(cell, minlength=height * width).astype(np.float32).reshape(small)
    sums = [np.bincount(cell, miss[:, k], height * width).reshape(small) for k in range(miss.shape[1])]
    total = np.stack(sums, axis=-1).astype(np.float32)
    spread = np.zeros_like(total)
    reached = np.zeros((height, width, 1), np.float32)
    full = max(float(weight.max()), 1.0)
    for sigma in (1.0, 2.0, 4.0):
        near = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
        value = cv2.GaussianBlur(total, (0, 0), sigma) / np.maximum(near, 1e-3)
        take = np.clip(near * (4 / full), 0, 1) * (1 - reached)
        spread += value * take
        reached += take
    return np.asarray(cv2.resize(spread, (shape[1], height), interpolation=cv2.INTER_LINEAR), np.float32)


def _between_rows(small: NDArray[np.float32], rows: NDArray[np.intp], height: int) -> NDArray[np.float32]:
    """Rows of `small` (h', w, 3) enlarged to `height` rows, linear between pixel centres: (len(rows), w, 3)."""
    place = np.clip((rows + 0.5) * (len(small) / height) - 0.5, 0, len(small) - 1)
    low = place.astype(np.intp)
    share = (place - low).astype(np.float32)[:, None, None]
    high = np.minimum(low + 1, len(small) - 1)
    return np.asarray(small[low] * (1 - share) + small[high] * share, np.float32)


def _strength(miss: NDArray[np.float32]) -> NDArray[np.float32]:
    """Standard deviation of the ring's grain by channel: (3,).

    By the median absolute deviation, so that edges in the ring do not count as grain.
    """
    if len(miss) < 64:
        return np.zeros(miss.shape[1], np.float32)
    away = np.abs(miss - np.median(miss, axis=0))
    return np.asarray(1.4826 * np.median(away, axis=0), np.float32)


def _grain_tile(scale: float, seed: int) -> NDArray[np.float32]:
    """Noise of deviation 1 with nothing in it that the working size has already: (TILE, TILE)."""
    noise = np.random.default_rng(seed).standard_normal((TILE, TILE), np.float32)
    if scale > 2:  # below it one working-size pixel is hardly wider than the grain itself
        noise -= cv2.GaussianBlur(noise, (0, 0), scale / 2, borderType=cv2.BORDER_REFLECT)
    return np.asarray(noise / noise.std(), np.float32)


def blend(original: NDArray[Any], fill: NDArray[Any], weight: NDArray[np.uint8]) -> NDArray[Any]:
    """Mix a fill into the original by a feathered weight.

    Args:
        original, fill: (h, w, 3) or (h, w), uint8 or uint16, alike.
        weight: (h, w), 0 keeps the original, 255 takes the fill.

    Returns:
        Like `fill`; exactly the original at 0 and the fill at 255.
    """
    share = weight.astype(np.float32) / 255
    if original.ndim == 3:
        share = share[..., None]
    mixed = original + (fill.astype(np.float32) - original) * share
    rounded: NDArray[Any] = np.rint(mixed).astype(fill.dtype)
    return rounded

"""Back to full size: a fill made at a smaller scale is enlarged, met at its seam, and given the picture's grain."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

GRAIN_BAND = 24
"""Width, in full-size pixels, of the ring round a hole whose grain is copied."""


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
    scale = max(height / fill.shape[0], width / fill.shape[1])
    top = np.iinfo(image.dtype).max
    result = np.empty_like(image)
    ring = _ring(hole, unknown)
    for k in range(image.shape[2]):
        plane = image[..., k].astype(np.float32)
        large: NDArray[Any] = cv2.resize(
            fill[..., k].astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        detail = plane - large
        large += _membrane(np.where(ring, cv2.blur(detail, (3, 3)), 0), ring, scale)
        large += _grain(detail, ring, scale, seed)
        result[..., k] = np.clip(np.rint(large), 0, top)
    return result


def _ring(hole: NDArray[np.bool_], unknown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Known pixels within `GRAIN_BAND` of the hole: bool (h, w)."""
    size = 2 * GRAIN_BAND + 1
    grown = cv2.dilate(hole.view(np.uint8), cv2.getStructuringElement(cv2.MORPH_RECT, (size, size)))
    return (grown > 0) & ~unknown


def _membrane(miss: NDArray[np.float32], ring: NDArray[np.bool_], scale: float) -> NDArray[np.float32]:
    """What the ring misses, spread to where it is not known and fading within a few working-size pixels.

    Normalised convolution at growing widths, the narrow ones where they reach.
    """
    weight = ring.astype(np.float32)
    spread = np.zeros_like(miss)
    reached = np.zeros_like(miss)
    for sigma in (scale, 2 * scale, 4 * scale):
        near = cv2.GaussianBlur(weight, (0, 0), sigma)
        value = cv2.GaussianBlur(miss, (0, 0), sigma) / np.maximum(near, 1e-3)
        take = np.clip(near * 4, 0, 1) * (1 - reached)
        spread += value * take
        reached += take
    return spread


def _grain(
    detail: NDArray[np.float32], ring: NDArray[np.bool_], scale: float, seed: int
) -> NDArray[np.float32]:
    """Noise with the strength and the fineness of the ring's own: (h, w).

    The strength is robust (median absolute deviation), so that edges in the ring do not count as grain.
    """
    sample = detail[ring]
    if sample.size < 64:
        return np.zeros_like(detail)
    strength = 1.4826 * float(np.median(np.abs(sample - np.median(sample))))
    noise = np.random.default_rng(seed).standard_normal(detail.shape, np.float32)
    if scale > 2:  # below it one working-size pixel is hardly wider than the grain itself
        noise -= cv2.GaussianBlur(noise, (0, 0), scale / 2)
    return noise * np.float32(strength / max(float(noise.std()), 1e-6))


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

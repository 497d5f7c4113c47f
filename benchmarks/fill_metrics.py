"""Figures for a fill: sharpness, seam contrast and sliced Wasserstein distance. Ask for all three together.

Alone each is fooled: sharpness by hard seams, seam contrast by blur, the distance by a blur of the right colours; PSNR
prefers blur everywhere and serves only to compare versions of one engine.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3), RGB."""
Mask = NDArray[np.bool_]
"""(H, W), True where filled."""

SIDE = 7  # of a patch, pixels
PATCHES = 4_000
DIRECTIONS = 64
LEAST = 1e-3  # of a denominator, grey levels: flat surroundings have no gradient at all


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one fill.

    Attributes:
        sharpness: mean gradient inside, over that of the truth there, or of the surroundings; 1 is right.
        seam: mean step across the hole's edge over the steps beside it; with a truth, over the truth's own seam.
        swd: distance to the truth in grey levels, 0 is best; None without truth or room for a patch.
        psnr: dB inside the hole; None without truth.
    """

    sharpness: float | None
    seam: float | None
    swd: float | None = None
    psnr: float | None = None


def measure(fill: Image, hole: Mask, truth: Image | None = None) -> Figures:
    """All figures of a fill; `truth` is the picture before the hole was made, where there is such a thing."""
    edge = seam(fill, hole)
    if truth is None:
        return Figures(sharpness(fill, hole), edge)
    own = seam(truth, hole)
    ratio = None if edge is None or own is None else edge / max(own, LEAST)
    return Figures(sharpness(fill, hole, truth), ratio, swd(fill, truth, hole), psnr(fill, truth, hole))


def sharpness(fill: Image, hole: Mask, truth: Image | None = None) -> float | None:
    """Mean gradient 2 px inside the hole over the truth's there, or over that of a ring round the hole.

    The ring's width goes with the root of the hole's area. None where the hole is too thin to have an inside.
    """
    shape = hole.view(np.uint8)
    inside = cv2.erode(shape, _square(5)) > 0
    if not inside.any():
        return None
    strength = _gradient(fill)
    if truth is not None:
        return _over(_gradient(truth)[inside], strength[inside])
    width = max(8, int(0.3 * np.count_nonzero(hole) ** 0.5))
    ring = (cv2.dilate(shape, _square(2 * width + 1)) > 0) & (cv2.dilate(shape, _square(5)) == 0)
    return _over(strength[ring], strength[inside]) if ring.any() else None


def seam(picture: Image, hole: Mask) -> float | None:
    """Mean luminance step between a hole pixel and its known neighbour over the mean step within 4 px of the edge."""
    shape = hole.view(np.uint8)
    near = (cv2.dilate(shape, _square(9)) > 0) & (cv2.erode(shape, _square(9)) == 0)
    grey = _luminance(picture)
    across, beside = [], []
    for steps, inside, band in (
        (grey[1:] - grey[:-1], hole[1:] ^ hole[:-1], near[:-1]),
        (grey[:, 1:] - grey[:, :-1], hole[:, 1:] ^ hole[:, :-1], near[:, :-1]),
    ):
        across.append(np.abs(steps[inside]))
        beside.append(np.abs(steps[band & ~inside]))
    crossing, rest = np.concatenate(across), np.concatenate(beside)
    return _over(rest, crossing) if len(crossing) and len(rest) else None


def swd(fill: Image, truth: Image, hole: Mask) -> float | None:
    """Sliced Wasserstein distance between the 7x7 patches of two pictures centred in the hole (Rabin et al. 2011).

    Both are projected on the same random directions, each projection sorted, and the sorted values compared; mean of
    full and half scale. None where the hole holds fewer than 50 patch centres at either scale.
    """
    found = []
    for half in (False, True):
        if half:
            size = (hole.shape[1] // 2, hole.shape[0] // 2)
            fill, truth = (_shrunk(picture, size, cv2.INTER_AREA) for picture in (fill, truth))
            hole = _shrunk(hole.view(np.uint8), size, cv2.INTER_NEAREST) > 0
        ours, theirs = _patches(fill, hole), _patches(truth, hole)
        if ours is None or theirs is None:
            continue
        directions = np.random.default_rng(2).normal(size=(ours.shape[1], DIRECTIONS))
        directions /= np.sqrt((directions**2).sum(axis=0))
        apart = np.sort(ours @ directions, axis=0) - np.sort(theirs @ directions, axis=0)
        found.append(float(np.abs(apart).mean()))
    return float(np.mean(found)) if found else None


def psnr(fill: Image, truth: Image, hole: Mask) -> float:
    """Peak signal to noise ratio inside the hole, dB."""
    error = fill[hole].astype(np.float32) - truth[hole].astype(np.float32)
    return float(10 * np.log10(255**2 / max(float((error**2).mean()), LEAST)))


def _square(side: int) -> NDArray[np.uint8]:
    return np.ones((side, side), np.uint8)


def _over(reference: NDArray[np.float32], value: NDArray[np.float32]) -> float:
    return float(value.mean()) / max(float(reference.mean()), LEAST)


def _luminance(picture: Image) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)


def _gradient(picture: Image) -> NDArray[np.float32]:
    """Length of the central difference (over two pixels, not halved) of luminance: float32 (H, W)."""
    grey = _luminance(picture)
    dx, dy = (cv2.Sobel(grey, cv2.CV_32F, *axes, ksize=1) for axes in ((1, 0), (0, 1)))
    return np.asarray(cv2.magnitude(dx, dy), np.float32)


def _shrunk(array: NDArray[np.uint8], size: tuple[int, int], how: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(array, size, interpolation=how), np.uint8)


def _patches(picture: Image, hole: Mask) -> NDArray[np.float32] | None:
    """(PATCHES, 147) drawn with replacement among those centred in the hole and wholly in the picture."""
    if min(hole.shape) < SIDE:
        return None
    rim = SIDE // 2
    rows, columns = np.nonzero(hole[rim:-rim, rim:-rim])  # also the patch's first row and column
    if len(rows) < 50:
        return None
    drawn = np.random.default_rng(1).integers(0, len(rows), PATCHES)
    windows = np.lib.stride_tricks.sliding_window_view(picture, (SIDE, SIDE), axis=(0, 1))
    taken = windows[rows[drawn], columns[drawn]]  # (n, 3, 7, 7)
    return taken.transpose(0, 2, 3, 1).reshape(PATCHES, -1).astype(np.float32)

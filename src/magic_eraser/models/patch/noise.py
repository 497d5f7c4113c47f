"""Noise like that of a picture: same strength, same colours, same size of its grains.

Real grain is not white: demosaicing, denoising and JPEG make neighbours alike, and white noise in its place looks
like sand. Gaussian noise of a measured autocorrelation: Galerne, Gousseau, Morel 2011, "Random Phase Textures".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.windows import Bools, Floats

REACH = 5  # px to which neighbours are compared
SAMPLES = 2500
TILE = 256  # px, laid side by side
ROUNDING = (
    1 / 12
)  # variance, in levels, that rounding adds to what is measured and will add again to what is made

Residual = Callable[[NDArray[np.intp], NDArray[np.intp]], Floats]
"""(rows, columns) of any shape S to float32 (*S, 3): the picture less its smooth part, in levels of its dtype."""


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Grain that can be laid over a hole.

    Attributes:
        deviation: float32 (3,), of the channels it was measured on.
        tile: float32 (TILE, TILE, 3), zero mean; its edges fit together.
    """

    deviation: Floats
    tile: Floats

    def like(self, deviation: Floats) -> bool:
        """Whether grain of that strength is this grain: within a tenth in every channel."""
        return bool(np.allclose(deviation, self.deviation, rtol=0.1, atol=0.05))

    def rows(self, first: int, count: int, width: int, shift: tuple[int, int]) -> Floats:
        """Float32 (count, width, 3) of an endless field, from row `first` of it, moved by `shift`."""
        y = (np.arange(first, first + count) + shift[0]) % TILE
        x = (np.arange(width) + shift[1]) % TILE
        out: Floats = self.tile[y[:, None], x]
        return out


def measure(residual: Residual, known: Bools, places: NDArray[np.intp], rng: np.random.Generator) -> Noise:
    """Make noise with the covariance of the residual at some places.

    Args:
        residual: see there. known: bool (H, W). places: flat positions (n,) of known pixels, n > 0.
    """
    height, width = known.shape
    some = places[rng.integers(0, len(places), SAMPLES)] if len(places) > SAMPLES else places
    y, x = np.divmod(some, width)
    here = residual(y, x)
    covariance = (here.T @ here / len(here)).astype(np.float64)
    _, axes = np.linalg.eigh(covariance)
    across = here @ axes
    lags = [(dy, dx) for dy in range(REACH + 1) for dx in range(-REACH, REACH + 1) if (dy, dx) > (0, 0)]
    table = np.zeros((TILE, TILE, 3))
    table[0, 0] = np.maximum((across**2).mean(0) - ROUNDING, 0)
    for dy, dx in lags:
        yy, xx = y + dy, x + dx
        inside = (yy < height) & (xx >= 0) & (xx < width)
        inside[inside] = known[yy[inside], xx[inside]]
        if np.count_nonzero(inside) < 30:
            continue
        there = residual(yy[inside], xx[inside]) @ axes
        taper = (
            (1 + np.cos(np.pi * np.hypot(dy, dx) / (REACH * 1.5))) / 2
            if np.hypot(dy, dx) < REACH * 1.5
            else 0
        )
        table[dy % TILE, dx % TILE] = table[-dy % TILE, -dx % TILE] = (across[inside] * there).mean(0) * taper
    power = np.maximum(np.fft.fft2(table, axes=(0, 1)).real, 0)
    power *= table[0, 0] / np.maximum(power.mean((0, 1)), 1e-12)  # what was cut off below zero is taken back
    white = np.fft.fft2(rng.standard_normal((TILE, TILE, 3)), axes=(0, 1))
    made = np.fft.ifft2(white * np.sqrt(power), axes=(0, 1)).real
    return Noise(here.std(0).astype(np.float32), (made @ axes.T).astype(np.float32))

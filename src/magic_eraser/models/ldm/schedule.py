"""The noise that latent diffusion was trained with, and the moments at which a sampler asks the net."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOMENTS = 1000
"""Of training: 0 is nearly a picture, 999 is noise."""
FEWEST = 5
EMBEDDING = 256
LONGEST_PERIOD = 10_000.0


def signal_share() -> NDArray[np.float64]:
    """What is left of a picture's variance at each moment, float64 (1000,), falling from 0.9985.

    The "alpha bar" of DDPM (Ho et al., NeurIPS 2020), for the variances of latent diffusion: squares of numbers
    evenly spaced from sqrt(0.0015) to sqrt(0.0205).
    """
    added = np.linspace(0.0015**0.5, 0.0205**0.5, MOMENTS) ** 2
    share: NDArray[np.float64] = np.cumprod(1 - added)
    return share


def moments(steps: int) -> tuple[int, ...]:
    """As many moments as steps, falling, evenly spaced (to within 1).

    They are those of the published program wherever it spaces them exactly: 1, 1 + 1000 / steps, and so on, for
    divisors of 1000. For other numbers it takes more steps than were asked for, or fails; here the spacing is
    rounded down one by one. Two exceptions:

    - Below 5 steps the published program begins so low that the net is told of a picture that is not there (one
      step: at moment 1). Here they begin at 999.
    - 1000 steps are all moments, 999..0.

    Args:
        steps: 1..1000.
    """
    if not 1 <= steps <= MOMENTS:
        raise ValueError(f"steps is {steps}; it is 1..{MOMENTS}")
    if steps < FEWEST:
        return tuple(MOMENTS - 1 - k * MOMENTS // steps for k in range(steps))
    first = 0 if steps == MOMENTS else 1
    return tuple(first + k * MOMENTS // steps for k in reversed(range(steps)))


def embedding(moment: int) -> NDArray[np.float32]:
    """A moment as the net is told of it, float32 (256,): cosines, then sines, of periods from 2 pi to 20000 pi."""
    half = EMBEDDING // 2
    angles = moment * np.exp(-np.log(LONGEST_PERIOD) * np.arange(half) / half)
    return np.concatenate([np.cos(angles), np.sin(angles)]).astype(np.float32)

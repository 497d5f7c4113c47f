"""From noise to a picture: the equation that undoes the noise, solved in few steps.

Both ways are without chance: the same noise gives the same picture. They work on whatever calculates like an array,
so also on tensors of torch, and know nothing of nets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from magic_eraser.models.inpainter import Sampler
from magic_eraser.models.ldm.schedule import moments, signal_share

Latent = Any
"""A float array of numpy or tensor of torch, of any shape."""
Noise = Callable[[Latent, int], Latent]
"""What a net takes for the noise in `x`, of variance 1, at a moment 0..999."""

MULTISTEP = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Weights of Adams and Bashforth for the latest estimates, newest first, by how many there are."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """After a step.

    Attributes:
        x: the latent, with the noise of the next moment; after the last step, with that of moment 0.
        clean: the latent without noise, as far as it can be told yet.
    """

    x: Latent
    clean: Latent


def sample(sampler: Sampler, noise_in: Noise, start: Latent, steps: int) -> Iterator[Stage]:
    """One stage per step, exactly as many as asked for.

    Args:
        sampler: DDIM asks the net once per step, PLMS once more in all (but for a single step).
        noise_in: the net.
        start: noise of variance 1.
        steps: 1..1000; see `schedule.moments`.
    """
    solve = _ddim if sampler is Sampler.DDIM else _plms
    return solve(noise_in, start, moments(steps))


def _ddim(noise_in: Noise, x: Latent, times: tuple[int, ...]) -> Iterator[Stage]:
    """Song et al., ICLR 2021, with eta 0: the first order."""
    share = signal_share()
    for now, then in pairwise((*times, 0)):
        stage = _moved(x, noise_in(x, now), share[now], share[then])
        x = stage.x
        yield stage


def _plms(noise_in: Noise, x: Latent, times: tuple[int, ...]) -> Iterator[Stage]:
    """Liu et al., ICLR 2022: a linear multistep of fourth order over the noise. It begins with a step of Heun's, then
    takes as high an order as there are estimates."""
    share = signal_share()
    latest: tuple[Latent, ...] = ()
    for now, then in pairwise((*times, 0)):
        noise = noise_in(x, now)
        latest = (noise, *latest[:3])
        if len(times) > 1 and len(latest) == 1:
            guess = _moved(x, noise, share[now], share[then]).x
            noise = (noise + noise_in(guess, then)) / 2
        else:
            weighted = zip(MULTISTEP[len(latest) - 1], latest, strict=True)
            noise = sum(weight * estimate for weight, estimate in weighted)
        stage = _moved(x, noise, share[now], share[then])
        x = stage.x
        yield stage


def _moved(x: Latent, noise: Latent, now: float, then: float) -> Stage:
    """From one share of the signal to another along an estimate of the noise."""
    clean = (x - float((1 - now) ** 0.5) * noise) / float(now**0.5)
    return Stage(float(then**0.5) * clean + float((1 - then) ** 0.5) * noise, clean)

"""Latent diffusion's three parts as TorchScript, small ones of the published signatures, whose fills can be foretold.

The codec averages 4 x 4 pixels and mixes the colours, and undoes both. The denoiser knows the exact noise for
pictures whose latent, place by place, is normal around the mean of what is known, with a spread of 0.2; so the
exact end of any sampling is known, too (see `ending`).
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

SPREAD = 0.2
MIX = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.7, -0.1], [0.1, -0.2, 0.8]])
NAMES = ("cond_stage_model_encode.pt", "cond_stage_model_decode.pt", "diffusion.pt")


def alpha_bars() -> Tensor:
    """float64 (1000,), step by step as DDPM defines it."""
    start, end = math.sqrt(0.0015), math.sqrt(0.0205)
    product, bars = 1.0, []
    for t in range(1000):
        product *= 1 - (start + (end - start) * t / 999) ** 2
        bars.append(product)
    return torch.tensor(bars, dtype=torch.float64)


class Encode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mix", MIX[:, :, None, None].clone())

    def forward(self, picture: Tensor) -> Tensor:
        return functional.conv2d(functional.avg_pool2d(picture, 4), self.mix)


class Decode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mix", torch.linalg.inv(MIX)[:, :, None, None].clone())

    def forward(self, latent: Tensor) -> Tensor:
        return functional.interpolate(functional.conv2d(latent, self.mix), scale_factor=4.0)


class Denoise(nn.Module):
    """Exact for the distribution above. The moment is read from the slowest sine of its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bars", alpha_bars().float())
        self.slowest = math.exp(-math.log(10_000) * 127 / 128)

    def forward(self, x: Tensor, told: Tensor, given: Tensor) -> Tensor:
        moment = torch.round(torch.asin(told[:, 255]) / self.slowest).long()
        bar = self.bars[moment][:, None, None, None]
        mean = known_mean(given)
        return (1 - bar).sqrt() * (x - bar.sqrt() * mean) / (bar * SPREAD**2 + 1 - bar)


class Convolve(nn.Module):
    """A denoiser of seeded convolutions that heeds all three inputs."""

    def __init__(self, seed: int = 0, width: int = 32) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(seed)
        self.first, self.last = nn.Conv2d(7, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)
        self.time = nn.Linear(256, width)
        for parameter in self.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.data = torch.randn(parameter.shape, generator=source) / fan_in**0.5

    def forward(self, x: Tensor, told: Tensor, given: Tensor) -> Tensor:
        inner = self.first(torch.cat([x, given], 1)) + self.time(told)[:, :, None, None]
        return 0.9 * x + 0.1 * self.last(functional.silu(inner))


def known_mean(given: Tensor) -> Tensor:
    """(1, 3, 1, 1) of the latent where the mask (the fourth channel) is -1."""
    known = (given[:, 3:] < 0).to(given.dtype)
    return (given[:, :3] * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)


def ending(start: Tensor, mean: Tensor, first: int) -> Tensor:
    """Where the equation without chance leads from noise at the moment `first`, at moment 0, exactly: each value
    keeps its distance from the mean, measured in standard deviations of its moment."""
    bars = alpha_bars()
    deviation = (bars * SPREAD**2 + 1 - bars).sqrt()
    distance = (start.double() - bars[first].sqrt() * mean) / deviation[first]
    return bars[0].sqrt() * mean + deviation[0] * distance


def save(folder: Path, denoiser: nn.Module | None = None) -> tuple[Path, Path, Path]:
    """The three files, traced as the published ones are."""
    picture, latent = torch.rand(1, 3, 64, 96), torch.rand(1, 3, 16, 24)
    parts = (
        (Encode(), (picture,)),
        (Decode(), (latent,)),
        (denoiser or Denoise(), (latent, torch.zeros(1, 256), torch.full((1, 4, 16, 24), -1.0))),
    )
    paths = tuple(folder / name for name in NAMES)
    for path, (part, example) in zip(paths, parts, strict=True):
        save_part(path, part, example)
    return paths[0], paths[1], paths[2]


def save_part(path: Path, part: nn.Module, example: tuple[Tensor, ...]) -> Path:
    """One module as TorchScript, by what torch no longer recommends."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)
        torch.jit.trace(part.eval(), example, check_trace=False).save(path)
    return path

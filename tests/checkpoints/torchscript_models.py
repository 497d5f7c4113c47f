"""Small TorchScript programs with the signature that IOPaint calls, and some with another."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional


class MeanFill(nn.Module):
    """Fills the hole with the mean of what is known; sides are multiples of 8, as LaMa wants them."""

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        assert image.shape[2] % 8 == 0
        assert image.shape[3] % 8 == 0
        known = 1 - mask
        mean = (image * known).sum((2, 3), keepdim=True) / known.sum()
        return image * known + mean * mask


class IntegersOnly(MeanFill):
    """Fails with a mask of floats."""

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        known = ~mask & 1
        mean = (image * known).sum((2, 3), keepdim=True) / known.sum()
        return image * known + mean * mask


class FloatsOnly(nn.Module):
    """Fails with a mask of integers; blurs the mask a little, so the edge is soft."""

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        soft = functional.conv2d(mask, torch.ones(1, 1, 1, 1))
        known = 1 - soft
        mean = (image * known).sum((2, 3), keepdim=True) / known.sum()
        return image * known + mean * soft


class OnlyAt512(MeanFill):
    """Like a program that was traced with numbers of its size in it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grid", torch.zeros(1, 1, 512, 512))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        known = 1 - mask
        mean = ((image + self.grid) * known).sum((2, 3), keepdim=True) / known.sum()
        return image * known + mean * mask


class OneInput(nn.Module):
    def forward(self, both: Tensor) -> Tensor:
        return both[:, :3]


class AnswersMask(nn.Module):
    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return mask * image[:, :1]


class AnswersTwo(nn.Module):
    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return image, mask


class NoNumbers(nn.Module):
    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return image / torch.zeros_like(image)


def save(module: nn.Module, path: Path) -> Path:
    """As `torch.jit.script(module).save(path)`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        torch.jit.script(module.eval()).save(path)
    return path

"""Where a torch network runs, and in which arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from magic_eraser.errors import ModelUnavailable
from magic_eraser.models.reason import reason
from magic_eraser.models.setup import Precision, Setup


@dataclass(frozen=True, slots=True)
class Place:
    """A device of torch, and the type that a network's weights and activations have there."""

    device: torch.device
    dtype: torch.dtype


def find_place(setup: Setup) -> Place:
    """Where a network is to run. Sets the threads of torch, which are one number for the whole process.

    Raises:
        ModelUnavailable: the device that was asked for is not there or does not work.
    """
    torch.set_num_threads(setup.threads)
    device = _device(setup.device)
    if setup.precision is Precision.AUTO:
        # Never float16, whose largest number (65504) LaMa's Fourier sums exceed.
        return Place(device, torch.bfloat16 if has_bfloat16(device) else torch.float32)
    return Place(device, torch.bfloat16 if setup.precision is Precision.BFLOAT16 else torch.float32)


def has_bfloat16(device: torch.device) -> bool:
    """Whether it multiplies bfloat16 by instructions of its own; where it does not, float32 is faster."""
    if device.type == "cuda":  # NVIDIA's have them from compute capability 8.0 on
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001 (no public name)


def _device(name: str) -> torch.device:
    if name == "cpu":
        return torch.device("cpu")
    if name == "auto":
        try:
            return _tried("cuda")
        except RuntimeError:
            return torch.device("cpu")
    try:
        return _tried(name)
    except RuntimeError as error:
        raise ModelUnavailable(
            f'The device "{name}" cannot be used: {reason(error)}. Set ERASER_MODELS__DEVICE=auto to run without it.',
            f"设备“{name}”无法使用：{reason(error)}。请设置 ERASER_MODELS__DEVICE=auto。",
        ) from None


def _tried(name: str) -> torch.device:
    """A GPU on which a sum comes out right. A driver may be there, and too old."""
    if not torch.cuda.is_available():
        raise RuntimeError("torch finds no GPU")
    device = torch.device(name)
    torch.ones(1, device=device).sum().item()
    return device

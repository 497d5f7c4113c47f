"""MAT for 512 x 512 (Li et al., CVPR 2022): the names and shapes of the published state dict, with seeded weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

DIM = 180
STYLE = 512
Named = Iterator[tuple[str, tuple[int, ...]]]


def wide(side: int) -> int:
    """Channels of the second stage at a side."""
    return min(32768 // side, 512)


def linear(name: str, into: int, out: int) -> Named:
    yield f"{name}.weight", (out, into)
    yield f"{name}.bias", (out,)


def convolution(name: str, into: int, out: int, kernel: int = 3) -> Named:
    yield f"{name}.weight", (out, into, kernel, kernel)
    yield f"{name}.bias", (out,)
    yield f"{name}.resample_filter", (4, 4)


def modulated(name: str, into: int, out: int, style: int, kernel: int = 3) -> Named:
    yield f"{name}.bias", (out,)
    yield f"{name}.conv.weight", (1, out, into, kernel, kernel)
    yield f"{name}.conv.resample_filter", (4, 4)
    yield from linear(f"{name}.conv.affine", style, into)


def decoder(name: str, into: int, out: int, style: int) -> Named:
    yield from modulated(f"{name}.conv0", into, out, style)
    yield from modulated(f"{name}.conv1", out, out, style)
    yield f"{name}.toRGB.resample_filter", (4, 4)
    yield from modulated(f"{name}.toRGB", out, 3, style, kernel=1)


def transformer(name: str, depth: int, side: int, window: int) -> Named:
    for k in range(depth):
        block = f"{name}.blocks.{k}"
        if k % 2 and window < side:
            yield f"{block}.attn_mask", ((side // window) ** 2, window**2, window**2)
        for part in ("q", "k", "v", "proj"):
            yield from linear(f"{block}.attn.{part}", DIM, DIM)
        yield from linear(f"{block}.fuse", 2 * DIM, DIM)
        yield from linear(f"{block}.mlp.fc1", DIM, 2 * DIM)
        yield from linear(f"{block}.mlp.fc2", 2 * DIM, DIM)
    yield from convolution(f"{name}.conv.conv", DIM, DIM)


def first_stage(name: str) -> Named:
    yield from convolution(f"{name}.conv_first.conv", 4, DIM)
    for k in range(3):
        yield from convolution(f"{name}.enc_conv.{k}.conv", DIM, DIM)
    for k, (depth, side, window) in enumerate(
        ((2, 64, 8), (3, 32, 16), (4, 16, 16), (3, 32, 16), (2, 64, 8))
    ):
        if k:
            yield from convolution(f"{name}.tran.{k}.downsample.conv.conv", DIM, DIM)
        yield from transformer(f"{name}.tran.{k}", depth, side, window)
    for k in range(4):
        yield from convolution(f"{name}.down_conv.{k}", DIM, DIM)
    yield from linear(f"{name}.to_style", DIM, 2 * DIM)
    yield from linear(f"{name}.ws_style", STYLE, DIM)
    yield from linear(f"{name}.to_square", DIM, 256)
    for k in range(3):
        yield from decoder(f"{name}.dec_conv.{k}", DIM, DIM, 3 * DIM)


def second_stage(name: str) -> Named:
    for side in (512, 256, 128, 64, 32, 16):
        block, before = f"{name}.enc.EncConv_Block_{side}x{side}", 7 if side == 512 else wide(2 * side)
        yield from convolution(f"{block}.conv0", before, wide(side), kernel=1 if side == 512 else 3)
        yield from convolution(f"{block}.conv1", wide(side), wide(side))
    yield from linear(f"{name}.to_square", STYLE, 256)
    for k in range(3):
        yield from convolution(f"{name}.to_style.conv.{k}", 512, 512)
    yield from linear(f"{name}.to_style.fc", 512, 1024)
    style = STYLE + 1024
    first = f"{name}.dec.Dec_16x16"
    yield from convolution(f"{first}.conv0", 512, 512)
    yield from modulated(f"{first}.conv1", 512, 512, style)
    yield f"{first}.toRGB.resample_filter", (4, 4)
    yield from modulated(f"{first}.toRGB", 512, 3, style, kernel=1)
    for side in (32, 64, 128, 256, 512):
        yield from decoder(f"{name}.dec.Dec_{side}x{side}", wide(side // 2), wide(side), style)


def shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor: 465."""
    named = dict(first_stage("synthesis.first_stage"))
    named.update(second_stage("synthesis"))
    named["mapping.w_avg"] = (STYLE,)
    for k in range(8):
        named.update(linear(f"mapping.fc{k}", STYLE, STYLE))
    return named


def tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict. The net scales its weights itself, so they are of variance 1 (of the mapping: 100**2); those
    that make colours are so small that the answer lies mostly within -1..1."""
    generator = torch.Generator().manual_seed(seed)
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    made = {}
    for name, shape in shapes().items():
        if name.endswith("resample_filter"):
            made[name] = torch.outer(line, line)
        elif name.endswith(("attn_mask", "w_avg")):
            made[name] = torch.zeros(
                shape
            )  # the net makes the one anew at each call, and uses the other in training
        elif name.endswith(".affine.bias"):
            made[name] = torch.ones(shape)
        elif name.endswith("bias"):
            made[name] = 0.1 * torch.randn(shape, generator=generator)
        else:
            scale = 100.0 if name.startswith("mapping.") else 0.03 if ".toRGB.conv.w" in name else 1.0
            made[name] = scale * torch.randn(shape, generator=generator)
    return made


def save(path: Path, seed: int = 0) -> Path:
    """The state dict as a file, 250 MB."""
    torch.save(tensors(seed), path)
    return path

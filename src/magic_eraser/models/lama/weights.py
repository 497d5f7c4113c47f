"""LaMa's published tensors made ready to run: norms folded into convolutions, terms of one sum joined."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from magic_eraser.models.card import ModelCard
from magic_eraser.models.checkpoint import Tensors, match, read_tensors, strip_prefix

FIRST = "model.1.ffc.convl2l.weight"
"""By it the network is found in a file that nests it, and its width is read."""
EPSILON = 1e-5
"""Of the batch norms (PyTorch's default, which the authors kept)."""
NORM = ("weight", "bias", "running_mean", "running_var")
FRONT = 5
"""Number of the first residual block in the published sequence."""


@dataclass(frozen=True, slots=True)
class Affine:
    """A convolution and what is added to it: weight (out, in, h, w), or (in, out, h, w) of a transposed one."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class Spectral:
    """The spectral branch: 1x1 convolutions as matrices (in, out), applied to the last axis.

    Attributes:
        enter, enter_bias: (global, half), (half,).
        spectrum, spectrum_bias: (2 * half, 2 * half), (2 * half,); real and imaginary parts take turns.
        leave: (half, global).
    """

    enter: Tensor
    enter_bias: Tensor
    spectrum: Tensor
    spectrum_bias: Tensor
    leave: Tensor


@dataclass(frozen=True, slots=True)
class Fourier:
    """A fast Fourier convolution: to local channels from all; to global ones from local ones, and by the spectrum."""

    to_local: Affine
    to_global: Affine
    spectral: Spectral


@dataclass(frozen=True, slots=True)
class LamaWeights:
    """Everything in float32.

    Attributes:
        down: the four convolutions before the blocks; the last gives local and global channels side by side.
        blocks: two Fourier convolutions each.
        up: the transposed convolutions.
        last: the 7x7 convolution to colours.
        local: number of local channels.
    """

    down: tuple[Affine, ...]
    blocks: tuple[tuple[Fourier, Fourier], ...]
    up: tuple[Affine, ...]
    last: Affine
    local: int


def read_weights(path: Path, card: ModelCard) -> LamaWeights:
    """Those of a file of LaMa's family: of any width, any share of local channels and any number of blocks.

    Args:
        path: TorchScript archive, state dict or safetensors; names may begin with anything before `model.1.`.
        card: of the model, for the sentences of errors.

    Raises:
        ModelUnavailable: the file cannot be read, or is of another network.
    """
    tensors = strip_prefix(read_tensors(path, card), FIRST)
    # where these two are missing, `match` says so; until then as published
    first = tensors.get(FIRST, torch.empty(64))
    local = tensors.get("model.4.ffc.convl2l.weight", torch.empty(128))
    blocks = 0
    while f"model.{FRONT + blocks}.conv1.ffc.convl2l.weight" in tensors:
        blocks += 1
    shapes = wanted_shapes(width=len(first), local=len(local), blocks=max(1, blocks))
    return _fold({name: value.float() for name, value in match(tensors, shapes, path, card).items()}, blocks)


def wanted_shapes(width: int, local: int, blocks: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the network's tensors.

    Args:
        width: channels after the first convolution; 64 as published.
        local: of the 8 * width channels of the blocks, those that are local; 128 as published.
        blocks: 18 as published.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.{part}": (channels,) for part in NORM})

    wide, half = 8 * width - local, (8 * width - local) // 2
    for number, (inside, outside, size) in enumerate([(4, 1, 7), (width, 2, 3), (2 * width, 4, 3)], start=1):
        shapes[f"model.{number}.ffc.convl2l.weight"] = (outside * width, inside, size, size)
        norm(f"model.{number}.bn_l", outside * width)
    for part, channels in (("l", local), ("g", wide)):
        shapes[f"model.4.ffc.convl2{part}.weight"] = (channels, 4 * width, 3, 3)
        norm(f"model.4.bn_{part}", channels)
    for block in range(FRONT, FRONT + blocks):
        for name in (f"model.{block}.conv1", f"model.{block}.conv2"):
            shapes[f"{name}.ffc.convl2l.weight"] = (local, local, 3, 3)
            shapes[f"{name}.ffc.convl2g.weight"] = (wide, local, 3, 3)
            shapes[f"{name}.ffc.convg2l.weight"] = (local, wide, 3, 3)
            shapes[f"{name}.ffc.convg2g.conv1.0.weight"] = (half, wide, 1, 1)
            norm(f"{name}.ffc.convg2g.conv1.1", half)
            shapes[f"{name}.ffc.convg2g.fu.conv_layer.weight"] = (2 * half, 2 * half, 1, 1)
            norm(f"{name}.ffc.convg2g.fu.bn", 2 * half)
            shapes[f"{name}.ffc.convg2g.conv2.weight"] = (wide, half, 1, 1)
            norm(f"{name}.bn_l", local)
            norm(f"{name}.bn_g", wide)
    back = FRONT + blocks + 1  # one layer joins the two kinds of channels
    for level in range(3):
        inside = 8 * width >> level
        shapes[f"model.{back + 3 * level}.weight"] = (inside, inside // 2, 3, 3)
        shapes[f"model.{back + 3 * level}.bias"] = (inside // 2,)
        norm(f"model.{back + 3 * level + 1}", inside // 2)
    shapes[f"model.{back + 10}.weight"], shapes[f"model.{back + 10}.bias"] = (3, width, 7, 7), (3,)
    return shapes


def _fold(tensors: Tensors, blocks: int) -> LamaWeights:
    layers = [_folded(tensors, f"model.{number}.ffc.convl2l", f"model.{number}.bn_l") for number in (1, 2, 3)]
    near = _folded(tensors, "model.4.ffc.convl2l", "model.4.bn_l")
    far = _folded(tensors, "model.4.ffc.convl2g", "model.4.bn_g")
    split = Affine(torch.cat([near.weight, far.weight]), torch.cat([near.bias, far.bias]))
    back = FRONT + blocks + 1
    return LamaWeights(
        down=(*layers, split),
        blocks=tuple(
            (_fourier(tensors, f"model.{number}.conv1"), _fourier(tensors, f"model.{number}.conv2"))
            for number in range(FRONT, FRONT + blocks)
        ),
        up=tuple(_folded_up(tensors, back + 3 * level) for level in range(3)),
        last=Affine(tensors[f"model.{back + 10}.weight"], tensors[f"model.{back + 10}.bias"]),
        local=near.bias.shape[0],
    )


def _norm(tensors: Tensors, name: str) -> tuple[Tensor, Tensor]:
    """A norm as a factor and a summand for each channel."""
    weight, bias, mean, variance = (tensors[f"{name}.{part}"] for part in NORM)
    factor = weight / torch.sqrt(variance + EPSILON)
    return factor, bias - mean * factor


def _folded(tensors: Tensors, conv: str, norm: str) -> Affine:
    factor, summand = _norm(tensors, norm)
    return Affine(tensors[f"{conv}.weight"] * factor[:, None, None, None], summand)


def _folded_up(tensors: Tensors, number: int) -> Affine:
    factor, summand = _norm(tensors, f"model.{number + 1}")
    weight, bias = tensors[f"model.{number}.weight"], tensors[f"model.{number}.bias"]
    return Affine(weight * factor[None, :, None, None], bias * factor + summand)


def _fourier(tensors: Tensors, name: str) -> Fourier:
    local, local_bias = _norm(tensors, f"{name}.bn_l")
    wide, wide_bias = _norm(tensors, f"{name}.bn_g")
    both = torch.cat([tensors[f"{name}.ffc.convl2l.weight"], tensors[f"{name}.ffc.convg2l.weight"]], dim=1)
    spectral = f"{name}.ffc.convg2g"
    enter = _folded(tensors, f"{spectral}.conv1.0", f"{spectral}.conv1.1")
    spectrum = _folded(tensors, f"{spectral}.fu.conv_layer", f"{spectral}.fu.bn")
    return Fourier(
        to_local=Affine(both * local[:, None, None, None], local_bias),
        to_global=Affine(tensors[f"{name}.ffc.convl2g.weight"] * wide[:, None, None, None], wide_bias),
        spectral=Spectral(
            enter=enter.weight.flatten(1).t(),
            enter_bias=enter.bias,
            spectrum=spectrum.weight.flatten(1).t(),
            spectrum_bias=spectrum.bias,
            leave=(tensors[f"{spectral}.conv2.weight"].flatten(1) * wide[:, None]).t(),
        ),
    )

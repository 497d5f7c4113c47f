"""`migan`: a small network for everyday removal, at a tenth of LaMa's work (Sargsyan et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from magic_eraser.errors import ModelUnavailable
from magic_eraser.models.card import ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.framing import padded, to_pixels
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch

if TYPE_CHECKING:
    from magic_eraser.models.migan.net import Generator

SIDE = 512
"""Pixels, of both sides: the noise in the published file has this size, so the net knows no other."""


CARD = ModelCard(
    id="migan",
    title="MI-GAN: a small network for everyday removal",
    licence="MIT",
    source="MI-GAN: A Simple Baseline for Image Inpainting on Mobile Devices (Sargsyan et al., ICCV 2023)",
    speed=Speed.FAST,
    quality=Quality.GOOD,
    # Least margin as in the authors' own pipeline; 0.75 leaves a large hole 40 % of the side of its crop.
    context=0.75,
    min_context=128,
    working_size=SIDE,
    multiple_of=SIDE,
    batch=8,
    detail=True,
    weights=(
        WeightFile(
            "migan_traced.pt",
            "https://github.com/Sanster/models/releases/download/migan/migan_traced.pt",
            size=28_000_000,
            md5="76eb3b1a71c400ee3290524f7a11b89c",
        ),
    ),
    needs=("torch",),
    extra="torch",
    memory_mb=560,  # measured: 265 when ready; filling eight 445 (bfloat16), 560 (float32)
    isolated=True,
)


class MiganInpainter:
    """The net on a device; see `load`."""

    def __init__(self, card: ModelCard, net: Generator) -> None:
        self.card = card
        self._net = net

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        return self.inpaint_batch([image], [hole], options, watch)[0]

    def inpaint_batch(
        self, images: Sequence[Pixels], holes: Sequence[Hole], options: InpaintOptions, watch: Watch
    ) -> list[Pixels]:
        """See `BatchInpainter`. No side of a crop is above 512 pixels."""
        import torch

        framed = np.stack([_framed(image, hole) for image, hole in zip(images, holes, strict=True)])
        inputs = torch.from_numpy(framed)
        # On a CPU a batch takes as long as its crops one by one, and needs the memory of all of them.
        at_once = 1 if self._net.device.type == "cpu" else len(inputs)
        answers: list[Pixels] = []
        for first in range(0, len(inputs), at_once):
            part = watch.part(first / len(inputs), min(1.0, (first + at_once) / len(inputs)))
            pictures = (
                self._net(inputs[first : first + at_once], part.progress).permute(0, 2, 3, 1).cpu().numpy()
            )
            watch.check()
            answers += [
                to_pixels(picture * 0.5 + 0.5, like=image)
                for picture, image in zip(pictures, images[first : first + at_once], strict=True)
            ]
        return answers

    def close(self) -> None:
        del self._net


def _framed(image: Pixels, hole: Hole) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """float32 (4, 512, 512): 0.5 where known and -0.5 in the hole; the picture in -1..1, 0 in the hole."""
    known = ~padded(hole, (SIDE, SIDE))
    colours = padded(image, (SIDE, SIDE)).astype(np.float32) / 127.5 - 1
    return np.concatenate([known[None] - np.float32(0.5), colours.transpose(2, 0, 1) * known])


def load(setup: Setup, *, card: ModelCard = CARD) -> MiganInpainter:
    """Read the weights and put the net on its device.

    Args:
        setup: `weights` is one file: TorchScript as published, a state dict, or safetensors. No code in it is run.
        card: of the model, where it is a person's own.

    Raises:
        ModelUnavailable: the file cannot be read or holds another network, or the device cannot be used.
    """
    from magic_eraser.models.checkpoint import match, read_tensors, strip_prefix
    from magic_eraser.models.migan.net import Generator, is_binomial, shapes
    from magic_eraser.models.torch_device import find_place

    path = setup.weights[0]
    place = find_place(setup)
    found = strip_prefix(read_tensors(path, card), "encoder.b512.fromrgb.weight")
    tensors = match(found, shapes(), path, card)
    for name, tensor in tensors.items():
        if name.endswith("filter.weight") and not is_binomial(name, tensor):
            raise ModelUnavailable(
                f"The weights file {path} does not fit {card.id}: {name} is not the filter [1, 3, 3, 1] of MI-GAN.",
                f"权重文件 {path} 与模型 {card.id} 不符：{name} 不是 MI-GAN 的 [1, 3, 3, 1] 滤波器。",
            )
    return MiganInpainter(card, Generator(tensors, place.device, place.dtype))


__all__ = ["CARD", "MiganInpainter", "load"]

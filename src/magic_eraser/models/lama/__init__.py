"""`lama`: large objects and repeated structure, by a network that sees the whole crop at every layer.

R. Suvorov et al., "Resolution-robust large mask inpainting with Fourier convolutions", WACV 2022.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from magic_eraser.models.card import UNSAID, ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.setup import Setup

if TYPE_CHECKING:
    from magic_eraser.models.lama.inpainter import LamaInpainter

WORKING_SIZE, BEST_SIZE = 512, 1024
"""Longest sides of a crop, in pixels. The network was trained at 256; structure holds up to about twice that."""

LAMA_CARD = ModelCard(
    id="lama",
    title="LaMa: large objects, repeated structure",
    licence="Apache-2.0",
    source="Resolution-robust Large Mask Inpainting with Fourier Convolutions (Suvorov et al., WACV 2022)",
    speed=Speed.MODERATE,
    quality=Quality.HIGH,
    # A hole then takes 40 % of its crop's side, 16 % of its area: within what the network was trained on. One of
    # 300 pixels gets a crop of 750, which is shrunk by 1.5 to 512; with 1.0 it would be by 1.8.
    context=0.75,
    working_size=WORKING_SIZE,
    best_size=BEST_SIZE,
    multiple_of=8,
    batch=8,
    detail=True,
    weights=(
        WeightFile(
            "big-lama.pt",
            "https://github.com/Sanster/models/releases/download/add_big_lama/big-lama.pt",
            size=206_000_000,
            md5="e3aa4aaa15225a33ec84f9f4bc47e500",
        ),
    ),
    needs=("torch",),
    extra="torch",
    memory_mb=900,  # measured: 410 (bfloat16), 560 (float32) when ready; filling, 680..885 by size and precision
    isolated=True,
)
ANIME_CARD = replace(
    LAMA_CARD,
    id="anime-lama",
    title="LaMa for drawings: anime and manga",
    licence=UNSAID,
    source="LaMa (Suvorov et al., WACV 2022), trained further on drawings (AnimeMangaInpainting)",
    weights=(
        WeightFile(
            "anime-manga-big-lama.pt",
            "https://github.com/Sanster/models/releases/download/AnimeMangaInpainting/anime-manga-big-lama.pt",
            size=206_000_000,
            md5="29f284f36a0a510bcacf39ecf4c4d54f",
        ),
    ),
)


def load(setup: Setup, *, card: ModelCard = LAMA_CARD) -> LamaInpainter:
    """Read the weights and put the network on its device.

    Args:
        setup: `weights` is one file: TorchScript as published, a state dict, or safetensors; of any width and number
            of blocks. No code in it is run.
        card: of the model, where it is not `lama`.

    Raises:
        ModelUnavailable: the file cannot be read or holds another network, or the device cannot be used.
    """
    from magic_eraser.models.lama.inpainter import LamaInpainter
    from magic_eraser.models.lama.network import Network
    from magic_eraser.models.lama.weights import read_weights
    from magic_eraser.models.torch_device import find_place

    place = find_place(setup)
    network = Network(read_weights(setup.weights[0], card), place)
    return LamaInpainter(card, network, low_memory=setup.low_memory)


__all__ = ["ANIME_CARD", "LAMA_CARD", "load"]

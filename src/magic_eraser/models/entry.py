"""A model on offer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from magic_eraser.models.card import ModelCard
from magic_eraser.models.inpainter import Inpainter
from magic_eraser.models.setup import Setup


@dataclass(frozen=True, slots=True)
class Entry:
    """Its facts, and how to make it ready. Where the card says `isolated`, `load` can be pickled."""

    card: ModelCard
    load: Callable[[Setup], Inpainter]

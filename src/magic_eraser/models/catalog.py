"""The one list of models. To add one: write its file, add its class here (see CONTRIBUTING.md)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from magic_eraser.errors import UnknownModel
from magic_eraser.models.entry import Entry
from magic_eraser.models.opencv import NavierStokesInpainter, TeleaInpainter
from magic_eraser.models.patch import PatchInpainter

AUTO = "auto"
T = TypeVar("T")


CATALOG: Mapping[str, Entry] = MappingProxyType(
    {
        entry.card.id: entry
        for entry in (
            Entry(PatchInpainter.card, lambda setup: PatchInpainter(setup.threads)),
            Entry(TeleaInpainter.card, lambda _setup: TeleaInpainter()),
            Entry(NavierStokesInpainter.card, lambda _setup: NavierStokesInpainter()),
        )
    }
)


def find(model_id: str, catalog: Mapping[str, T]) -> T:
    """What a catalogue (of entries, or of cards) has under that name.

    Raises:
        UnknownModel: naming what there is.
    """
    try:
        return catalog[model_id]
    except KeyError:
        names = ", ".join((AUTO, *catalog))
        raise UnknownModel(
            f'There is no model "{model_id[:60]}"; there are {names}.',
            f"没有名为“{model_id[:60]}”的模型；可用：{names}。",
        ) from None

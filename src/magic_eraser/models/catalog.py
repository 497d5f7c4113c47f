"""The one list of models. To add one: write its file, add its class here (see CONTRIBUTING.md)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from magic_eraser.errors import UnknownModel
from magic_eraser.models import added, families, lama, ldm, mat, migan, onnx
from magic_eraser.models.entry import Entry
from magic_eraser.models.opencv import NavierStokesInpainter, TeleaInpainter
from magic_eraser.models.patch import PatchInpainter
from magic_eraser.models.weights import WeightStore

AUTO = "auto"
T = TypeVar("T")


CATALOG: Mapping[str, Entry] = MappingProxyType(
    {
        entry.card.id: entry
        for entry in (
            Entry(lama.LAMA_CARD, lama.load),
            Entry(PatchInpainter.card, lambda setup: PatchInpainter(setup.threads)),
            Entry(TeleaInpainter.card, lambda _setup: TeleaInpainter()),
            Entry(NavierStokesInpainter.card, lambda _setup: NavierStokesInpainter()),
            Entry(lama.ANIME_CARD, partial(lama.load, card=lama.ANIME_CARD)),
            Entry(onnx.LAMA_CARD, partial(onnx.load, card=onnx.LAMA_CARD)),
            Entry(migan.CARD, migan.load),
            Entry(onnx.MIGAN_CARD, partial(onnx.load, card=onnx.MIGAN_CARD)),
            Entry(mat.CARD, mat.load),
            Entry(ldm.CARD, ldm.load),
        )
    }
)


def offered(store: WeightStore) -> Mapping[str, Entry]:
    """Every model that can be asked for on this machine: the house's, and those that a person added."""
    own = (families.entry(model) for model in added.read(store.folder) if model.id not in CATALOG)
    return {**CATALOG, **{entry.card.id: entry for entry in own}}


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

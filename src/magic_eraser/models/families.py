"""A person's own models as entries of the catalogue: a family knows how to run what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Protocol

from magic_eraser.models import diffusers_pipeline, lama, migan, onnx, remote, torchscript
from magic_eraser.models.added import AddedModel, Family
from magic_eraser.models.card import UNSAID, ModelCard
from magic_eraser.models.entry import Entry
from magic_eraser.models.inpainter import Inpainter
from magic_eraser.models.setup import Setup


def entry(model: AddedModel) -> Entry:
    """How an added model is run."""
    return _ENTRIES[model.family](model)


class _Load(Protocol):
    def __call__(self, setup: Setup, *, card: ModelCard) -> Inpainter: ...


def _of_file(pattern: ModelCard, load: _Load, model: AddedModel) -> Entry:
    """A family whose models are one file each, used where it lies, and run as `pattern` is."""
    card = pattern.of_person(model.id, _title(model), model.licence or UNSAID, model.source)
    return Entry(card, partial(load, card=card))


def _remote(model: AddedModel) -> Entry:
    card = remote.card(model.id, _title(model), model.licence or UNSAID, model.source)
    return Entry(card, partial(remote.load, card=card, url=model.source, key_from=model.key_from))


def _diffusers(model: AddedModel) -> Entry:
    card = diffusers_pipeline.card(model.id, _title(model), model.licence or UNSAID, model.source)
    return Entry(card, partial(diffusers_pipeline.load, card=card))


def _title(model: AddedModel) -> str:
    return model.title or f"Your own ({model.family})"


_ENTRIES: Mapping[Family, Callable[[AddedModel], Entry]] = MappingProxyType(
    {
        Family.LAMA: partial(_of_file, lama.LAMA_CARD, lama.load),
        Family.MIGAN: partial(_of_file, migan.CARD, migan.load),
        Family.ONNX: partial(_of_file, onnx.PATTERN, onnx.load),
        Family.TORCHSCRIPT: partial(_of_file, torchscript.PATTERN, torchscript.load),
        Family.REMOTE: _remote,
        Family.DIFFUSERS: _diffusers,
    }
)

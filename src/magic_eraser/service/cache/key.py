"""By what a result is found again: everything that it was made of, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from magic_eraser.models.card import ModelCard, WeightFile
from magic_eraser.service.request import EraseRequest

PIPELINE = f"{version('magic-eraser')}.1"
"""Its last number is raised with every change that changes a pixel or the form of what is kept, between releases."""

Where = Callable[[ModelCard], Mapping[WeightFile, Path | None]]
"""As `WeightStore.where`."""


def key_of(
    tenant_id: str, request: EraseRequest, *, image: bytes, mask: bytes, models: str, filter_id: str
) -> str:
    """Hex SHA-256. Results of one tenant are not found by another: timing would tell what the other sent.

    Args:
        tenant_id: whose result it is.
        request: its options and its output count, all of them by name, so that a new one counts by itself.
        image, mask: SHA-256 of the files as they were sent.
        models: by `fingerprint`, of the model asked for, or of all that "auto" may choose from.
        filter_id: of the content filter that let the picture pass.
    """
    parts = [PIPELINE, tenant_id, image.hex(), mask.hex(), models, filter_id]
    output = None if request.output is None else asdict(request.output)
    return _digest([parts, asdict(request.options), output])


def fingerprint(cards: Iterable[ModelCard], where: Where | None = None) -> str:
    """Hex SHA-256 of what models are: their ids and their weights, in any order.

    A published file counts by its checksum and by the size of what lies there, so that several servers share results
    and a person's own file in its place is another model. One without a checksum counts by size and time of change.

    Args:
        where: finds the files; called once for each card with weights. Cards alone count where None.
    """
    return _digest(
        sorted(
            [card.id, card.source, _weights(card, where)] for card in cards
        )  # ids differ: nothing else is compared
    )


def _weights(card: ModelCard, where: Where | None) -> list[Any]:
    found = where(card) if where is not None and card.weights else {}
    return [
        [
            file.name,
            file.url,
            file.size,
            file.md5,
            file.sha256,
            _on_disk(found.get(file), published=bool(file.md5 or file.sha256)),
        ]
        for file in card.weights
    ]


def _on_disk(path: Path | None, *, published: bool) -> list[int]:
    """Size and, where nothing else tells one file from another, nanoseconds of the last change; of a folder, of all
    that is in it. Empty for one that is not there."""
    if path is None:
        return []
    try:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        stats = [file.stat() for file in files]
    except OSError:  # it goes in this moment
        return []
    return [number for stat in stats for number in (stat.st_size, 0 if published else stat.st_mtime_ns)]


def _digest(value: Any) -> str:
    """JSON keeps the parts apart, whatever is in them."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

"""By what a result is found again: everything that it was made of, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict

from magic_eraser import __version__
from magic_eraser.models.card import ModelCard
from magic_eraser.service.request import EraseRequest

PIPELINE = 1
"""Raised with every change between two versions that changes a pixel or the form of what is kept."""


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
    parts = [PIPELINE, __version__, tenant_id, image.hex(), mask.hex(), models, filter_id]
    output = None if request.output is None else asdict(request.output)
    canonical = json.dumps([parts, asdict(request.options), output], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def fingerprint(cards: Iterable[ModelCard]) -> str:
    """Hex SHA-256 of what models are: their ids and the weights on their cards, in any order."""
    facts = sorted(
        (card.id, card.source, [(file.name, file.url, file.size, file.md5, file.sha256) for file in card.weights])
        for card in cards
    )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

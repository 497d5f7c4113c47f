"""Which mask belongs to which photograph: by their names, the same for a folder, a ZIP and whoever sends either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

SUFFIXES = ("", "_mask", "-mask", ".mask")
"""What a mask's name may add to its photograph's."""


def mask_of(stem: str, masks: Mapping[str, T]) -> T | None:
    """The mask of a photograph.

    Args:
        stem: the photograph's name without its extension.
        masks: by their names without extensions.
    """
    return next((masks[stem + suffix] for suffix in SUFFIXES if stem + suffix in masks), None)

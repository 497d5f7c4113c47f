"""What `model="auto"` stands for: the best model that is present for this hole."""

from __future__ import annotations

from collections.abc import Collection

from magic_eraser.models.inpainter import Hole
from magic_eraser.models.thinness import is_thin


def choose(hole: Hole, present: Collection[str]) -> str:
    """The id of the model that `auto` uses, out of those `present` and allowed: thin holes by PDE, the rest
    by the first of `PREFERENCE` that is there."""
    if "telea" in present and is_thin(hole):
        return "telea"
    return next(model for model in PREFERENCE if model in present)


PREFERENCE = ("patch", "telea", "ns")

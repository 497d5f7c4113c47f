"""What `model="auto"` stands for: a PDE for the thin parts of a hole, the best model that is present for the rest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from magic_eraser.models.inpainter import Hole
from magic_eraser.models.thinness import thin_parts
from magic_eraser.models.watch import Watch

PREFERENCE = ("patch", "telea", "ns")
"""Best first."""
FOR_THIN = ("telea", "ns")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One model's share of a hole.

    Attributes:
        model: its id.
        hole: bool (H, W), what it fills.
        thin: whether all of it is thin, so filled at full size and with grain (`InpaintOptions.thin`).
    """

    model: str
    hole: Hole
    thin: bool = False


def plan(hole: Hole, present: Collection[str], watch: Watch) -> tuple[Step, ...]:
    """How `auto` fills a hole with the models that are `present` and allowed.

    Args:
        hole: bool (H, W), some True.
        present: ids of models, at least one of `PREFERENCE`.
        watch: checked on the way.

    Returns:
        One step, or two: first the thin pieces, which then are known, then the rest. The steps' holes are disjoint
        and together are `hole`. The last step's model is the one that the answer names.
    """
    best = next(model for model in PREFERENCE if model in present)
    pde = next((model for model in FOR_THIN if model in present), None)
    if pde is None:
        return (Step(best, hole),)
    thin = thin_parts(hole, watch)
    rest = hole & ~thin
    if not rest.any():
        return (Step(pde, hole, thin=True),)
    if not thin.any():
        return (Step(best, hole),)
    return Step(pde, thin, thin=True), Step(best, rest)

"""What `model="auto"` stands for: a PDE for the thin parts of a hole, the best model that is present for the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from magic_eraser.models.card import Speed
from magic_eraser.models.inpainter import Hole
from magic_eraser.models.thinness import thin_parts
from magic_eraser.models.watch import Watch

PREFERENCE = ("lama", "lama-onnx", "patch", "migan", "migan-onnx", "telea", "ns")
"""Best first. Models of several times LaMa's price or time (`mat`, `ldm`) are for those who name them."""
FOR_SCARCE = ("lama", "lama-onnx", "migan", "migan-onnx", "patch", "telea", "ns")
"""The same where little is known round the hole, so that there is little to copy."""
FOR_THIN = ("telea", "ns")
NO_NETWORK = ("patch", "telea", "ns")
"""Need no time to come, and are what is left where there is little: always affordable."""
AFFORDABLE = 0.6
"""Share of the time left that a network may be expected to take: what it took before is no promise, and pasting and
encoding come after it."""
SCARCE = 0.35
"""Share of a hole's surroundings that is hole itself, from which on copies run out: 0.1 for an object amid a
picture, 0.5 and more where people tear half of it away."""
ASSUMED = {Speed.INSTANT: 0.1, Speed.FAST: 1.0, Speed.MODERATE: 4.0, Speed.SLOW: 20.0}
"""Seconds for 512 x 512 pixels that a class of speed stands for, as long as nobody has measured: the upper end of what
one core takes (LaMa 2.0 with bfloat16, 4.3 with float32)."""
ASSUMED_LOAD = 3.0
"""Seconds until a network is in memory, as long as nobody has measured."""

Cost = Callable[[str, Hole], float]
"""Seconds that a model is expected to take for a hole, its load included where it is not in memory."""


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


def plan(hole: Hole, present: Collection[str], watch: Watch, cost: Cost) -> tuple[Step, ...]:
    """How `auto` fills a hole with the models that are `present` and allowed.

    Args:
        hole: bool (H, W), some True.
        present: ids of models, at least one of `PREFERENCE`.
        watch: checked on the way; where it has a deadline, a network that is expected to take more than `AFFORDABLE` of
            the time left is not chosen, unless there is nothing else.
        cost: asked about networks only, and only where there is a deadline.

    Returns:
        One step, or two: first the thin pieces, which then are known, then the rest. The steps' holes are disjoint
        and together are `hole`. The last step's model is the one that the answer names.
    """
    pde = next((model for model in FOR_THIN if model in present), None)
    if pde is None:
        return (Step(_best(hole, present, watch, cost), hole),)
    thin = thin_parts(hole, watch)
    rest = hole & ~thin
    if not rest.any():
        return (Step(pde, hole, thin=True),)
    if not thin.any():
        return (Step(_best(hole, present, watch, cost), hole),)
    return Step(pde, thin, thin=True), Step(_best(rest, present, watch, cost), rest)


def affordable(seconds: float, watch: Watch) -> bool:
    """Whether work of so many seconds leaves enough of the time for what comes after it."""
    left = watch.remaining()
    return left is None or seconds <= AFFORDABLE * left


def assumed_seconds(speed: Speed, pixels: int, *, in_memory: bool) -> float:
    """What a network will take for `pixels` of its working size, by its class alone."""
    return ASSUMED[speed] * pixels / 512**2 + (0.0 if in_memory else ASSUMED_LOAD)


def instead_of(model: str, present: Collection[str]) -> Iterator[str]:
    """What may fill in the place of a model that cannot, best first: those after it in `PREFERENCE`; for one that is
    not in it, `patch` and those after that."""
    after = PREFERENCE.index(model) + 1 if model in PREFERENCE else PREFERENCE.index("patch")
    return (other for other in PREFERENCE[after:] if other in present and other != model)


def _best(hole: Hole, present: Collection[str], watch: Watch, cost: Cost) -> str:
    order = [model for model in (FOR_SCARCE if _scarcity(hole) > SCARCE else PREFERENCE) if model in present]
    timed = watch.remaining() is not None

    def in_time(model: str) -> bool:
        return not timed or model in NO_NETWORK or affordable(cost(model, hole), watch)

    return next((model for model in order if in_time(model)), order[-1])


def _scarcity(hole: Hole) -> float:
    """How much of the hole's box, with a margin of half its longer side, is hole: 0..1."""
    left, top, width, height = cv2.boundingRect(hole.view(np.uint8))
    margin = max(width, height) // 2
    around = hole[max(0, top - margin) : top + height + margin, max(0, left - margin) : left + width + margin]
    return np.count_nonzero(around) / around.size

"""The facts of a model, apart from the code that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Speed(StrEnum):
    """How long a 512 x 512 picture takes on one core: below 0.1 s, below 1 s, seconds, many seconds."""

    INSTANT = "instant"
    FAST = "fast"
    MODERATE = "moderate"
    SLOW = "slow"


class Quality(StrEnum):
    """What to expect by eye: for thin damage only, for everyday removal, near the best there is."""

    BASIC = "basic"
    GOOD = "good"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the product says about a model, and what `imaging.regions` must know to feed it.

    Attributes:
        id: the name that requests use.
        title: one line for people.
        licence: SPDX identifier of code and weights.
        source: the paper or project it comes from.
        speed, quality: classes, see there.
        cost: its weight on the price of a call.
        context: margin around a hole, as a multiple of the hole's longer side.
        min_context: least margin, pixels of the full-size picture.
        working_size: longest side of a crop, in pixels, that it fills at.
        working_hole: largest hole, in pixels of area, that it fills at. Crops beyond either are shrunk first and
            the fill is brought back to full size by `imaging.compose`. Both None: it does its own scaling.
        deep: it fills 16-bit samples itself; otherwise it is given 8-bit ones.
        alpha: it fills opacity itself, given as a fourth channel where it is not the same everywhere; otherwise it
            is given the three colours.
    """

    id: str
    title: str
    licence: str
    source: str
    speed: Speed
    quality: Quality
    cost: int = 1
    context: float = 1.0
    min_context: int = 64
    working_size: int | None = None
    working_hole: int | None = None
    deep: bool = False
    alpha: bool = False

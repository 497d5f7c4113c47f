"""The facts of a model, apart from the code that runs it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

UNSAID = "not stated"
"""Stands for a licence that nobody named."""


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
class WeightFile:
    """A file that a model needs.

    Attributes:
        name: its name in the weights folder.
        url: where it is published; empty for a file that a person added.
        size: bytes, roughly; 0 where unknown. For people, not checked.
        md5, sha256: lower-case hex digest of the published file, whichever is known.
    """

    name: str
    url: str = ""
    size: int = 0
    md5: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the product says about a model, and what `imaging.regions` must know to feed it.

    Attributes:
        id: the name that requests use.
        title: one line for people.
        licence: SPDX identifier of code and weights; `UNSAID` where it is not known.
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
        best_size: `working_size` where the effort is "best"; the same where None.
        multiple_of: its sides, in pixels, are multiples of it; it pads what it is given.
        batch: most crops that it takes at once.
        detail: crops that were shrunk for it are given the detail of the picture itself afterwards.
        weights: the files it needs, in the order its loader expects them.
        needs: importable packages that it needs beyond the core's; `extra` is how to install them.
        extra: the extra of the distribution, such as "torch".
        must_accept: its licence forbids some uses (such as commercial ones), so an operator accepts it by the name
            in `licence` first.
        memory_mb: most that it takes while it fills, MiB, with its process where it is `isolated` (240 of Python and
            torch), for making room before it is loaded.
        isolated: it runs in a child process by default, so that its memory comes back when it is let go.
        steps: of its sampler, by default; None for a model that takes none.
        prompt: it heeds `InpaintOptions.prompt`.
        added: it is not ours but a person's own.
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
    best_size: int | None = None
    multiple_of: int = 1
    batch: int = 1
    detail: bool = False
    weights: tuple[WeightFile, ...] = ()
    needs: tuple[str, ...] = ()
    extra: str = ""
    must_accept: bool = False
    memory_mb: int = 0
    isolated: bool = False
    steps: int | None = None
    prompt: bool = False
    added: bool = False

    def of_person(self, id: str, title: str, licence: str, file: str) -> ModelCard:
        """The card of a person's own model, which is run as this one is.

        Args:
            id, title, licence: as the person said.
            file: name in the weights folder, or a whole path.
        """
        own = (WeightFile(file),)
        return replace(self, id=id, title=title, licence=licence, source="", weights=own, cost=1, added=True)

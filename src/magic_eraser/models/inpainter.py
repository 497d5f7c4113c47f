"""What every model can do: pixels and a hole in, pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.card import ModelCard
from magic_eraser.models.watch import Watch

Pixels = NDArray[Any]
"""uint8 or uint16 array (H, W, 3): RGB in the picture's own colour space, gamma-encoded; (H, W, 4) with opacity."""
Hole = NDArray[np.bool_]
"""bool array (H, W): True where the picture is unknown and to be filled."""


class Effort(StrEnum):
    """How much work a fill is worth: half the time, the usual, or several times the usual for the last bit."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class Sampler(StrEnum):
    """How a diffusion model walks from noise to picture (Song et al. 2021; Liu et al. 2022)."""

    DDIM = "ddim"
    PLMS = "plms"


@dataclass(frozen=True, slots=True)
class InpaintOptions:
    """What a caller may ask of a model; each uses what applies to it.

    Attributes:
        seed: 0..2**32-1; the same seed gives the same bytes, another one a variant.
        radius: neighbourhood in pixels of the PDE models.
        effort: of models that can take more or less of it.
        rough_when_late: answer what is there when the deadline comes near, rather than fail.
        thin: of the PDE models: only the thin pieces of the hole are wanted, with the grain beside them and a
            radius that suits them.
        steps: of a diffusion model's sampler, 1..1000; its card's own number where None.
        sampler: of models that have both.
        prompt, negative_prompt: what is, and is not, to come into the hole; of models that heed them.
    """

    seed: int = 0
    radius: int = 4
    effort: Effort = Effort.BALANCED
    rough_when_late: bool = False
    thin: bool = False
    steps: int | None = None
    sampler: Sampler = Sampler.PLMS
    prompt: str = ""
    negative_prompt: str = ""


class Inpainter(Protocol):
    """A model ready to run. `inpaint` may be called from several threads at once."""

    card: ModelCard

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        """Fill the hole.

        Args:
            image: (H, W, 3), or (H, W, 4) where `card.alpha`; uint8, or uint16 where `card.deep`. What it holds
                inside `hole` must not be used. It is not written to.
            hole: (H, W), at least one True.
            options: see there.
            watch: to be checked at least every 0.1 s of work.

        Returns:
            A new array like `image`. Values outside the hole are unspecified: the caller pastes the hole only.

        Raises:
            Cancelled, DeadlineExceeded: as `watch` says.
        """
        ...

    def close(self) -> None:
        """Let go of memory and devices; the object is not used afterwards."""
        ...


class BatchInpainter(Inpainter, Protocol):
    """A model whose card has a `batch` above 1."""

    def inpaint_batch(
        self, images: Sequence[Pixels], holes: Sequence[Hole], options: InpaintOptions, watch: Watch
    ) -> list[Pixels]:
        """Fill several crops at once, 1..`card.batch`, their sizes may differ; see `inpaint`."""
        ...


def inpaint_all(
    model: Inpainter, images: Sequence[Pixels], holes: Sequence[Hole], options: InpaintOptions, watch: Watch
) -> list[Pixels]:
    """Fill every crop: all at once by a model that can, else one after the other."""
    if model.card.batch > 1:
        return cast("BatchInpainter", model).inpaint_batch(images, holes, options, watch)
    count = len(images)
    return [
        model.inpaint(image, hole, options, watch.part(k / count, (k + 1) / count))
        for k, (image, hole) in enumerate(zip(images, holes, strict=True))
    ]

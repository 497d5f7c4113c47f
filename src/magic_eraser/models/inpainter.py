"""What every model can do: pixels and a hole in, pixels out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.card import ModelCard
from magic_eraser.models.watch import Watch

Pixels = NDArray[Any]
"""uint8 or uint16 array (H, W, 3): RGB in the picture's own colour space, gamma-encoded."""
Hole = NDArray[np.bool_]
"""bool array (H, W): True where the picture is unknown and to be filled."""


@dataclass(frozen=True, slots=True)
class InpaintOptions:
    """What a caller may ask of a model; each uses what applies to it.

    Attributes:
        seed: 0..2**32-1; the same seed gives the same bytes, another one a variant.
        radius: neighbourhood in pixels of the PDE models.
    """

    seed: int = 0
    radius: int = 4


class Inpainter(Protocol):
    """A model ready to run. `inpaint` may be called from several threads at once."""

    card: ModelCard

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        """Fill the hole.

        Args:
            image: (H, W, 3), uint8, or uint16 where `card.deep`; what it holds inside `hole` must not be used.
                It is not written to.
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

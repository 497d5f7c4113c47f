"""The port between the service and whatever holds models: crops in, crops out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from magic_eraser.hosting.states import ModelState
from magic_eraser.models.availability import WhyNot
from magic_eraser.models.card import ModelCard
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.watch import Watch


class ModelPool(Protocol):
    """Models by name. Behind it may be this process, a child, or another machine."""

    def cards(self) -> Mapping[str, ModelCard]:
        """Every model that can be asked for here."""
        ...

    def state(self, model_id: str) -> ModelState: ...

    def why_not(self, model_id: str) -> WhyNot | None:
        """Why it cannot be used here at all (no weights, no package, a licence nobody accepted); None where it can."""
        ...

    def retry_after(self, model_id: str) -> float:
        """Seconds that a model whose load failed is left alone for; 0 where it may be asked at once."""
        ...

    def expected_seconds(self, model_id: str, pixels: int) -> float | None:
        """What a fill would take by what fills took before, with the load where the model is not in memory.

        Args:
            pixels: of its crops, see `framing.working_pixels`.

        Returns:
            None where it has not filled, or been loaded, yet.
        """
        ...

    async def inpaint(
        self,
        model_id: str,
        images: Sequence[Pixels],
        holes: Sequence[Hole],
        options: InpaintOptions,
        watch: Watch,
    ) -> list[Pixels]:
        """Fill crops, 1..`card.batch` of them; see `Inpainter.inpaint`.

        Raises:
            UnknownModel: it is not among `cards()`.
            ModelUnavailable: it cannot be made ready.
            Cancelled, DeadlineExceeded: as `watch` says.
        """
        ...

    async def preload(self, model_ids: Iterable[str]) -> None:
        """Make these ready before anybody asks. One that cannot be is written to the log."""
        ...

    async def unload(self, model_id: str) -> None:
        """Let go of one model once nobody uses it; returns when it is gone."""
        ...

    async def rest(self) -> None:
        """Let go of every model that may be let go when idle, without waiting for its time."""
        ...

    async def close(self) -> None:
        """Let go of every model."""
        ...


def states(pool: ModelPool) -> Iterator[tuple[str, ModelState]]:
    """(id, state) of every model of a pool."""
    for name in pool.cards():
        yield name, pool.state(name)

"""The port between the service and whatever holds models: crops in, crops out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from magic_eraser.hosting.workers import Workers
from magic_eraser.models.availability import WhyNot
from magic_eraser.models.card import ModelCard
from magic_eraser.models.catalog import CATALOG, Entry, find
from magic_eraser.models.inpainter import Hole, Inpainter, InpaintOptions, Pixels, inpaint_all
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch


class ModelState(StrEnum):
    """Where a model is between the catalogue and memory."""

    ABSENT = "absent"
    LOADING = "loading"
    READY = "ready"
    UNLOADING = "unloading"
    FAILED = "failed"


class ModelPool(Protocol):
    """Models by name. Behind it may be this process, a child, or another machine."""

    def cards(self) -> Mapping[str, ModelCard]:
        """Every model that can be asked for here."""
        ...

    def state(self, model_id: str) -> ModelState: ...

    def why_not(self, model_id: str) -> WhyNot | None:
        """Why it cannot be used here at all (no weights, no package, a licence nobody accepted); None where it can."""
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

    async def close(self) -> None:
        """Let go of every model."""
        ...


class LocalPool:
    """Models in this process, made ready at their first use and kept.

    Args:
        workers: where they run.
        catalog: what is on offer.
        threads: cores that one fill may use, >= 1; OpenCV's own number is set beside it, by `cores.limit_opencv`.
        on_load: told (model id, seconds) when one has become ready.
    """

    def __init__(
        self,
        workers: Workers,
        catalog: Mapping[str, Entry] = CATALOG,
        threads: int = 1,
        on_load: Callable[[str, float], None] | None = None,
    ) -> None:
        self._workers = workers
        self._catalog = catalog
        self._threads = threads
        self._on_load = on_load
        self._ready: dict[str, Inpainter] = {}
        self._loading: dict[str, threading.Lock] = {name: threading.Lock() for name in catalog}

    def cards(self) -> Mapping[str, ModelCard]:
        return {name: entry.card for name, entry in self._catalog.items()}

    def state(self, model_id: str) -> ModelState:
        if model_id in self._ready:
            return ModelState.READY
        lock = self._loading.get(model_id)
        return ModelState.LOADING if lock is not None and lock.locked() else ModelState.ABSENT

    def why_not(self, model_id: str) -> WhyNot | None:
        return None

    async def inpaint(
        self,
        model_id: str,
        images: Sequence[Pixels],
        holes: Sequence[Hole],
        options: InpaintOptions,
        watch: Watch,
    ) -> list[Pixels]:
        entry = find(model_id, self._catalog)

        def work() -> list[Pixels]:
            return inpaint_all(self._lease(entry), images, holes, options, watch)

        return await self._workers.run(watch, work)

    def _lease(self, entry: Entry) -> Inpainter:
        """The model, made ready once however many ask at the same time."""
        name = entry.card.id
        with self._loading[name]:
            model = self._ready.get(name)
            if model is None:
                start = time.monotonic()
                model = self._ready[name] = entry.load(Setup(threads=self._threads))
                if self._on_load is not None:
                    self._on_load(name, time.monotonic() - start)
            return model

    async def close(self) -> None:
        while self._ready:
            self._ready.popitem()[1].close()


def states(pool: ModelPool) -> Iterator[tuple[str, ModelState]]:
    """(id, state) of every model of a pool."""
    for name in pool.cards():
        yield name, pool.state(name)

"""The pool of the models on this machine."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from dataclasses import replace
from pathlib import Path

from magic_eraser.errors import DeadlineExceeded, EraserError, ModelUnavailable
from magic_eraser.hosting import cores, memory
from magic_eraser.hosting.child import ChildDied, ChildInpainter
from magic_eraser.hosting.cores import LOOK_SECONDS, Turn
from magic_eraser.hosting.keeper import Keeper
from magic_eraser.hosting.ladder import Ladder
from magic_eraser.hosting.options import HostingOptions
from magic_eraser.hosting.pace import Pace
from magic_eraser.hosting.port import ModelPool, states
from magic_eraser.hosting.residency import Action, Residency, Resident
from magic_eraser.hosting.states import ModelState
from magic_eraser.hosting.workers import Workers
from magic_eraser.models import availability
from magic_eraser.models.availability import WhyNot
from magic_eraser.models.card import ModelCard, WeightFile
from magic_eraser.models.catalog import CATALOG, find
from magic_eraser.models.entry import Entry
from magic_eraser.models.framing import working_pixels
from magic_eraser.models.inpainter import Hole, Inpainter, InpaintOptions, Pixels, inpaint_all
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch
from magic_eraser.telemetry.logging import get_logger

__all__ = ["LocalPool", "ModelPool", "ModelState", "states"]

log = get_logger(__name__)

ATTEMPTS = 2
"""Processes that a request may see die under it before it is given up."""
CLOSE_SECONDS = 5.0
"""That loads and leases are waited for at the end; a load in a thread cannot be stopped."""


class EmptyShelf:
    """Stands for a folder of weights where there is none."""

    def missing(self, card: ModelCard) -> list[WeightFile]:
        return list(card.weights)


def _why_not_without_weights(card: ModelCard) -> WhyNot | None:
    return availability.why_not(card, EmptyShelf(), ())


def _no_weights(_card: ModelCard) -> tuple[Path, ...]:
    return ()


class LocalPool:
    """Models on this machine: made ready at their first use, shared by all that ask, let go when room is needed or
    nobody asks.

    Args:
        workers: where fills run, and where requests wait for their model.
        catalog: what is on offer.
        threads: cores that one fill may use, >= 1, where several run at once; OpenCV's own number is set beside it, by
            `cores.limit_opencv`. A network (`card.isolated`) uses `options.network_threads`; one runs at a time.
        on_load: told (model id, seconds) when one has become ready.
        options: see there.
        why_not: what a model lacks here; asked anew for every request. By default there are no weights.
        weights: the files of `card.weights`.
    """

    def __init__(
        self,
        workers: Workers,
        catalog: Mapping[str, Entry] = CATALOG,
        threads: int = 1,
        on_load: Callable[[str, float], None] | None = None,
        *,
        options: HostingOptions | None = None,
        why_not: Callable[[ModelCard], WhyNot | None] = _why_not_without_weights,
        weights: Callable[[ModelCard], tuple[Path, ...]] = _no_weights,
    ) -> None:
        self._workers = workers
        self._catalog = catalog
        self._threads = threads
        self._on_load = on_load
        self._options = options or HostingOptions()
        self._cards = {name: _offered(entry.card, self._options) for name, entry in catalog.items()}
        self._why_not = why_not
        self._weights = weights
        self._models: dict[str, Inpainter] = {}
        self._paces = {name: Pace() for name in catalog}
        self._turn = Turn()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        residents = {name: _resident(entry.card, self._options) for name, entry in catalog.items()}
        self._residency = Residency(residents, self._options.budget())
        self._keeper = Keeper(self._lock, self._residency, self._step)

    # --- what there is --------------------------------------------------------------------------------

    def cards(self) -> Mapping[str, ModelCard]:
        return self._cards

    def state(self, model_id: str) -> ModelState:
        with self._lock:
            model = self._residency.models.get(model_id)
            if model is None:
                return ModelState.ABSENT
            return ModelState.UNLOADING if model.leaving else model.state

    def memory_mb(self, model_id: str) -> int:
        """MiB that it takes now: those of its process, or what its card says where it shares ours. 0 where it is not
        here."""
        with self._lock:
            if model_id not in self._models:
                return 0
            measured = _measured(self._models[model_id])
            return self._residency.models[model_id].held_mb if measured is None else measured

    def why_not(self, model_id: str) -> WhyNot | None:
        return self._why_not(find(model_id, self._catalog).card)

    def retry_after(self, model_id: str) -> float:
        with self._lock:
            return self._residency.retry_after(model_id, time.monotonic())

    def expected_seconds(self, model_id: str, pixels: int) -> float | None:
        """See `ModelPool`. The time that others take who wait for the same cores is not in it."""
        with self._lock:
            pace = self._paces[model_id]
            load = 0.0 if self._residency.models[model_id].stays else pace.load_seconds()
            fill = pace.fill_seconds(pixels)
        return None if load is None or fill is None else load + fill

    # --- fills ----------------------------------------------------------------------------------------

    async def inpaint(
        self,
        model_id: str,
        images: Sequence[Pixels],
        holes: Sequence[Hole],
        options: InpaintOptions,
        watch: Watch,
    ) -> list[Pixels]:
        card = find(model_id, self._catalog).card

        def work() -> list[Pixels]:
            self._check_usable(card)
            died = 0
            while True:
                try:
                    with (
                        self.lease(model_id, watch) as model,
                        self._its_turn(card, watch),
                        self._timed(card, holes),
                    ):
                        return inpaint_all(model, images, holes, options, watch)
                except ChildDied as death:
                    died += death.begun
                    if died == ATTEMPTS:
                        raise death.error from None

        return await self._workers.run(watch, work)

    @contextmanager
    def lease(self, model_id: str, watch: Watch) -> Iterator[Inpainter]:
        """The model, in memory as long as this lasts. Blocks until it is.

        Raises:
            UnknownModel: no model of that name.
            ModelUnavailable: it cannot be loaded, now (`retry_after`) or at all.
            Draining: the pool is closed.
            Cancelled, DeadlineExceeded: as `watch` says, while waiting; a load that has begun goes on.
        """
        find(model_id, self._catalog)
        with self._lock:
            self._drop_dead(model_id)
            ticket = self._residency.request(model_id, time.monotonic())
            self._step()
        try:
            with self._lock:
                while ticket.waits:
                    watch.check()
                    self._changed.wait(LOOK_SECONDS)
                if ticket.error is not None:
                    raise copy(ticket.error)  # each of those that wait raises its own
                model = self._models[model_id]
            yield model
        finally:
            with self._lock:
                self._residency.leave(ticket, time.monotonic())
                self._drop_dead(model_id)
                self._residency.measured(model_id, _measured(self._models.get(model_id)))
                self._step()

    @contextmanager
    def _timed(self, card: ModelCard, holes: Sequence[Hole]) -> Iterator[None]:
        pixels = working_pixels([hole.shape for hole in holes], card.multiple_of)
        pace, start = self._paces[card.id], time.monotonic()
        try:
            yield
        except DeadlineExceeded:
            with self._lock:
                pace.stopped(pixels, time.monotonic() - start)
            raise
        with self._lock:
            pace.filled(pixels, time.monotonic() - start)

    def _its_turn(self, card: ModelCard, watch: Watch) -> AbstractContextManager[None]:
        return self._turn.taken(watch) if card.isolated else nullcontext()

    def _check_usable(self, card: ModelCard) -> None:
        lacking = self._why_not(card)
        if lacking is not None:
            raise lacking.error(card.id)

    def _lacks_something(self, card: ModelCard) -> bool:
        try:
            return self._why_not(card) is not None
        except Exception:  # else those who wait for the load would wait for ever
            log.exception("why_not_failed", model=card.id)
            return False

    def _drop_dead(self, name: str) -> None:
        """One whose process has ended, by whatever hand, is to be loaded anew."""
        model = self._models.get(name)
        if isinstance(model, ChildInpainter) and not model.alive:
            self._residency.unload(name)

    # --- coming and going -----------------------------------------------------------------------------

    async def preload(self, model_ids: Iterable[str]) -> None:
        """See `ModelPool`; one after the other."""
        await asyncio.to_thread(self._preload, model_ids)

    def _preload(self, model_ids: Iterable[str]) -> None:
        for name in model_ids:
            try:
                self._check_usable(find(name, self._catalog).card)
                with self.lease(name, Watch()):
                    pass
            except EraserError as error:
                log.warning("preload_failed", model=name, reason=error.detail)

    async def unload(self, model_id: str) -> None:
        """Let a model go, when its leases have ended. Those who ask meanwhile wait and have it loaded again."""
        find(model_id, self._catalog)
        await asyncio.to_thread(self._unload_and_wait, model_id)

    def _unload_and_wait(self, name: str) -> None:
        with self._lock:
            model = self._residency.models[name]
            self._residency.unload(name)
            self._step()
            self._changed.wait_for(lambda: not model.leaving)

    async def rest(self) -> None:
        """See `ModelPool`."""
        await asyncio.to_thread(self._rest)

    def _rest(self) -> None:
        with self._lock:
            leaving = self._residency.rest()
            self._step()
            self._changed.wait_for(lambda: not any(model.leaving for model in leaving), CLOSE_SECONDS)

    async def close(self) -> None:
        """Let go of every model. Processes end, whatever they are doing; a fill in a thread comes to its end."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._closing.set()
        with self._lock:
            self._residency.close()
            self._step()
            self._keeper.wake()
            gone = (ModelState.ABSENT, ModelState.FAILED)
            models = self._residency.models.values()
            self._changed.wait_for(lambda: all(model.state in gone for model in models), CLOSE_SECONDS)

    def _step(self) -> None:
        """Begin what the books say. The lock is held."""
        for action, name in self._residency.step():
            work = self._load if action is Action.LOAD else self._unload
            threading.Thread(target=work, args=(name,), name=f"{action.value}-{name}").start()
        self._keeper.tend()
        self._changed.notify_all()

    def _load(self, name: str) -> None:
        """In a thread of its own: whoever asked may leave, and it goes on for the next."""
        entry = self._catalog[name]
        start = time.monotonic()
        failure: EraserError | None = None
        try:
            self._check_usable(entry.card)
            model = self._make(entry)
            seconds = time.monotonic() - start
            if self._on_load is not None:
                self._on_load(name, seconds)
        except BaseException as error:  # noqa: BLE001 (told to all that wait)
            failure = _load_failure(name, error)
        excused = failure is not None and (self._closing.is_set() or self._lacks_something(entry.card))
        with self._lock:
            now = time.monotonic()
            if failure is None:
                self._models[name] = model
                self._paces[name].loaded(seconds)
                self._residency.loaded(name, now, _measured(model))
            elif excused:
                self._residency.lacking(name, failure)
            else:
                log.warning("model_load_failed", model=name, reason=failure.detail)
                self._residency.failed(name, failure, now)
            self._step()

    def _make(self, entry: Entry) -> Inpainter:
        card, options = entry.card, self._options
        all_cores = options.network_threads or cores.usable_cores()
        setup = Setup(
            threads=all_cores if card.isolated else self._threads,
            device=options.device,
            precision=options.precision,
            weights=self._weights(card),
            low_memory=options.low_memory,
            cpu_offload=options.cpu_offload,
        )
        if not card.isolated:
            return entry.load(setup)
        if options.isolation == "process":
            return ChildInpainter(card, entry.load, setup, self._closing)
        return Ladder(entry.load, setup)

    def _unload(self, name: str) -> None:
        model = self._models.pop(name)
        try:
            model.close()
        except Exception:
            log.exception("model_close_failed", model=name)
        in_thread = not isinstance(model, ChildInpainter)
        del model
        if in_thread:
            gc.collect()
            memory.give_back()
        log.info("model_unloaded", model=name)
        with self._lock:
            self._residency.unloaded(name)
            self._step()


def _offered(card: ModelCard, options: HostingOptions) -> ModelCard:
    """A network's crops are of half the size and come one by one where memory is low."""
    if not (card.isolated and options.low_memory):
        return card
    size, best = (None if side is None else side // 2 for side in (card.working_size, card.best_size))
    return replace(card, working_size=size, best_size=best, batch=1)


def _resident(card: ModelCard, options: HostingOptions) -> Resident:
    free = card.memory_mb == 0
    idle_seconds = options.idle_seconds_of.get(card.id, 0.0 if free else options.idle_seconds)
    return Resident(memory_mb=card.memory_mb, free=free, idle_seconds=idle_seconds)


def _measured(model: Inpainter | None) -> int | None:
    """MiB of its process; None for one that shares ours."""
    return model.memory_mb if isinstance(model, ChildInpainter) else None


def _load_failure(name: str, error: BaseException) -> EraserError:
    if isinstance(error, EraserError):
        return error
    reason = f"{type(error).__name__}: {error}"
    return ModelUnavailable(
        f'The model "{name}" could not be loaded: {reason}.', f"无法加载模型“{name}”：{reason}。"
    )

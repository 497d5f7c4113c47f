"""Which models are in memory and which have to go: the bookkeeping alone, without threads, clocks or models.

Whoever keeps it calls it under one lock, tells it what happened and when (seconds of any steady clock), and carries
out what `step` answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from magic_eraser.errors import Draining, EraserError, ModelUnavailable, OutOfMemory
from magic_eraser.hosting.states import ModelState

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds after a failed load until it is tried again; doubled by every further failure."""


class Action(Enum):
    """What is to be done with a model; `loaded`, `failed`, `lacking` or `unloaded` tells how it went."""

    LOAD = "load"
    UNLOAD = "unload"


@dataclass(slots=True, eq=False)
class Ticket:
    """One request's wish for a model: it waits, until it is granted a lease or told an error."""

    model: str
    granted: bool = False
    error: EraserError | None = None

    @property
    def waits(self) -> bool:
        return not self.granted and self.error is None


@dataclass(slots=True)
class Resident:
    """A model as the books see it.

    Attributes:
        memory_mb: MiB that it is believed to take before it is loaded.
        free: it takes so little that it neither counts nor goes.
        idle_seconds: after its last use that it goes; 0 for never.
        held_mb: MiB that count for it now.
        leaving: it goes as soon as nobody leases it; nobody gets a lease until it is loaded again.
        used: when a lease ended last.
        failures, retry_at, failure: loads that failed in a row, when the next may be tried, and why.
    """

    memory_mb: int
    free: bool = False
    idle_seconds: float = 0.0
    state: ModelState = ModelState.ABSENT
    held_mb: int = 0
    leases: int = 0
    leaving: bool = False
    used: float = 0.0
    failures: int = 0
    retry_at: float = 0.0
    failure: EraserError | None = None
    waiting: list[Ticket] = field(default_factory=list)

    @property
    def stays(self) -> bool:
        return self.state is ModelState.READY and not self.leaving

    @property
    def idle(self) -> bool:
        return self.stays and not self.leases

    @property
    def expiry(self) -> float | None:
        """When it goes for not being used; None for never, or while it is used."""
        return self.used + self.idle_seconds if self.idle and self.idle_seconds > 0 else None


class Residency:
    """The books. A model waits for room in the order of arrival (a free one does not wait), and every load serves all
    that wait for it, so that two models that take turns in one place both get on.

    Args:
        models: by id.
        budget_mb: MiB that those in memory may take together.
    """

    def __init__(self, models: dict[str, Resident], budget_mb: int) -> None:
        self.models = models
        self.budget_mb = budget_mb
        self.closed = False
        self._queue: list[str] = []

    # --- requests -------------------------------------------------------------------------------------

    def request(self, name: str, now: float) -> Ticket:
        """Ask for a lease; granted at once where the model is there."""
        model, ticket = self.models[name], Ticket(name)
        if self.closed:
            ticket.error = Draining()
        elif self.retry_after(name, now):
            ticket.error = _again(model, now)
        elif not model.free and model.memory_mb > self.budget_mb:
            ticket.error = OutOfMemory(
                f'The model "{name}" takes {model.memory_mb} MiB, and models may take {self.budget_mb} MiB in all '
                "(ERASER_MODELS__MEMORY_BUDGET_MB).",
                f"模型“{name}”需要 {model.memory_mb} MiB 内存，而所有模型的上限为 {self.budget_mb} MiB"
                "（ERASER_MODELS__MEMORY_BUDGET_MB）。",
            )
        elif model.stays:
            ticket.granted = True
            model.leases += 1
        else:
            model.waiting.append(ticket)
            if model.state is not ModelState.LOADING and name not in self._queue:
                self._queue.insert(0 if model.free else len(self._queue), name)
        return ticket

    def leave(self, ticket: Ticket, now: float) -> None:
        """The request is over: its lease ends, or it no longer waits."""
        model = self.models[ticket.model]
        if ticket.granted:
            ticket.granted = False
            model.leases -= 1
            model.used = now
        elif ticket in model.waiting:
            model.waiting.remove(ticket)

    def retry_after(self, name: str, now: float) -> float:
        """Seconds that it is left alone for after a failed load; 0 where it may be asked for."""
        model = self.models[name]
        return max(0.0, model.retry_at - now) if model.state is ModelState.FAILED else 0.0

    # --- what became of it ----------------------------------------------------------------------------

    def loaded(self, name: str, now: float, measured_mb: int | None = None) -> None:
        """It is ready; all that wait for it get their lease."""
        model = self.models[name]
        model.state, model.used = ModelState.READY, now
        model.failures, model.failure = 0, None
        model.leases += len(model.waiting)
        for ticket in model.waiting:
            ticket.granted = True
        model.waiting.clear()
        self.measured(name, measured_mb)

    def measured(self, name: str, mebibytes: int | None) -> None:
        """What it takes in truth; None where nobody knows."""
        model = self.models[name]
        if mebibytes is not None and not model.free and model.state is ModelState.READY:
            model.held_mb = mebibytes

    def failed(self, name: str, error: EraserError, now: float) -> None:
        """It could not be loaded: all that wait are told so, and it is left alone for a while."""
        model = self.models[name]
        model.failures += 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(model.failures - 1, 10))
        model.retry_at, model.failure = now + pause, error
        self._gone(model, ModelState.FAILED, _again(model, now))

    def lacking(self, name: str, error: EraserError) -> None:
        """It lacks what a person has to bring, which is no failure: all that wait are told so."""
        self._gone(self.models[name], ModelState.ABSENT, error)

    def unloaded(self, name: str) -> None:
        self._gone(self.models[name], ModelState.ABSENT, None)

    def _gone(self, model: Resident, state: ModelState, error: EraserError | None) -> None:
        model.state, model.held_mb, model.leaving = state, 0, False
        if error is not None:
            for ticket in model.waiting:
                ticket.error = error
            model.waiting.clear()

    # --- what is to go --------------------------------------------------------------------------------

    def unload(self, name: str) -> None:
        """It goes as soon as nobody leases it."""
        model = self.models[name]
        if model.state in {ModelState.READY, ModelState.LOADING}:
            model.leaving = True

    def expire(self, now: float) -> None:
        """Those go that nobody has used for long."""
        for model in self.models.values():
            if model.expiry is not None and model.expiry <= now:
                model.leaving = True

    def rest(self) -> list[Resident]:
        """Those go that would go in time; which they are."""
        leaving = [model for model in self.models.values() if model.expiry is not None]
        for model in leaving:
            model.leaving = True
        return leaving

    def next_expiry(self) -> float | None:
        return min((model.expiry for model in self.models.values() if model.expiry is not None), default=None)

    def close(self) -> None:
        """Everything goes, nothing comes."""
        self.closed = True
        self._queue.clear()
        for name, model in self.models.items():
            for ticket in model.waiting:
                ticket.error = Draining()
            model.waiting.clear()
            self.unload(name)

    # --- what is to be done ---------------------------------------------------------------------------

    def step(self) -> Iterator[tuple[Action, str]]:
        """What is to be begun now, to be asked after everything that happened; the states say so already."""
        self._trim()
        while self._queue:
            name = self._queue[0]
            model = self.models[name]
            if model.waiting and not self._can_come(model):
                break
            self._queue.pop(0)
            if model.waiting:
                model.state, model.held_mb = ModelState.LOADING, 0 if model.free else model.memory_mb
                yield Action.LOAD, name
        for name, model in self.models.items():
            if model.leaving and not model.leases and model.state is ModelState.READY:
                model.state = ModelState.UNLOADING
                yield Action.UNLOAD, name

    def _can_come(self, model: Resident) -> bool:
        """Whether it is out, and there is room for it; where there is none, some is made."""
        if model.state not in {ModelState.ABSENT, ModelState.FAILED}:
            return False
        missing = self._held(lambda _: True) + model.memory_mb - self.budget_mb
        if model.free or missing <= 0:
            return True
        missing -= self._held(lambda other: other.leaving)
        self._send_away(missing, sorted(self._residents(), key=lambda other: (other.leases > 0, other.used)))
        return False

    def _trim(self) -> None:
        """Where they turned out larger than believed, idle ones go; the last one used never does, or it would be
        loaded anew for every request."""
        by_age = sorted(self._residents(), key=lambda other: other.used)
        missing = self._held(lambda other: not other.leaving) - self.budget_mb
        self._send_away(missing, [other for other in by_age[:-1] if other.idle])

    def _residents(self) -> list[Resident]:
        return [model for model in self.models.values() if model.stays and not model.free]

    def _send_away(self, missing: int, candidates: list[Resident]) -> None:
        for model in candidates:
            if missing <= 0:
                break
            model.leaving = True
            missing -= model.held_mb

    def _held(self, counts: Callable[[Resident], bool]) -> int:
        return sum(model.held_mb for model in self.models.values() if counts(model))


def _again(model: Resident, now: float) -> EraserError:
    """The failure, with the seconds that are left to wait."""
    assert model.failure is not None
    kind = type(model.failure) if isinstance(model.failure, ModelUnavailable) else ModelUnavailable
    return kind(
        model.failure.detail,
        model.failure.detail_zh,
        retry_after=max(0.0, model.retry_at - now),
        extra=model.failure.extra,
    )

"""Equal work that is asked for at the same time is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

from magic_eraser.errors import Cancelled, DeadlineExceeded, EraserError

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0
    trace: TracebackType | None = None  # of its error, as it was before anybody raised that again


class Flights(Generic[T]):
    """Work in flight, by key, in one event loop."""

    def __init__(self) -> None:
        self._flying: dict[str, _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flying)

    async def run(self, key: str, work: Callable[[], Awaitable[T]], seconds: float | None) -> tuple[T, bool]:
        """The result of `work`, or of equal work that runs already; and whether it was somebody else's.

        The work runs in a task of its own, with the context variables of the caller that began it. A caller that is
        cancelled leaves; once nobody waits any more, the work is cancelled and waited for. Where somebody else's work
        failed for a reason of its caller's own (`Cancelled`, `DeadlineExceeded`), the first in line begins anew and
        the others wait for that one. Everybody gets an error of their own.

        Args:
            key: equal for equal work.
            work: begun at most once.
            seconds: that this caller waits for somebody else's work; None for no limit.

        Raises:
            DeadlineExceeded: they are over.
            Cancelled: the work was cancelled from within.
            EraserError: of the work.
        """
        limit = None if seconds is None else asyncio.get_running_loop().time() + seconds
        while (flight := self._flying.get(key)) is not None:
            try:
                return await self._join(flight, limit), True
            except _Late:
                raise DeadlineExceeded from None
            except (Cancelled, DeadlineExceeded):
                # the other's own; it may have ended in this very turn of the loop and be in the table still
                self._forget(key, flight)
        return await self._wait(self._begin(key, work)), False

    def _begin(self, key: str, work: Callable[[], Awaitable[T]]) -> _Flight[T]:
        async def fly() -> T:
            return await work()

        flight = _Flight(asyncio.create_task(fly()))
        self._flying[key] = flight

        def land(task: asyncio.Task[T]) -> None:
            self._forget(key, flight)
            error = (
                None if task.cancelled() else task.exception()
            )  # seen, though perhaps nobody waits any more
            if error is not None:
                flight.trace = error.__traceback__

        flight.task.add_done_callback(land)
        return flight

    def _forget(self, key: str, flight: _Flight[T]) -> None:
        if self._flying.get(key) is flight:
            del self._flying[key]

    async def _join(self, flight: _Flight[T], limit: float | None) -> T:
        """Somebody else's result."""
        try:
            async with asyncio.timeout_at(limit) as time:
                return await self._wait(flight)
        except TimeoutError:
            if time.expired():
                raise _Late from None
            raise
        except EraserError as error:
            raise _own(error) from error.__cause__

    async def _wait(self, flight: _Flight[T]) -> T:
        """Its result; the work ends with the last one that waits."""
        task = flight.task
        flight.waiting += 1
        try:
            await asyncio.wait([task])  # not a shield, which reports errors of work that its caller has left
        finally:
            flight.waiting -= 1
            if not flight.waiting and not task.done():
                task.cancel()
                await asyncio.wait([task])
        if task.cancelled():  # from within, or by the last one before this one joined
            raise Cancelled
        error = task.exception()
        if error is not None:
            raise error.with_traceback(flight.trace)
        return task.result()


class _Late(Exception):
    """The caller's own time is over."""


def _own(error: EraserError) -> EraserError:
    """One object raised in several tasks would mix their tracebacks, and one's notes would reach the other."""
    kind = type(error)
    twin = kind.__new__(kind, *error.args)  # not by `copy`, which calls `__init__`: that takes what it likes
    vars(twin).update(vars(error), extra=dict(error.extra))
    return twin.with_traceback(error.__traceback__)

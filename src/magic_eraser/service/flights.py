"""Equal work that is asked for at the same time is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from magic_eraser.errors import Cancelled, DeadlineExceeded

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class Flights(Generic[T]):
    """Work in flight, by key, in one event loop."""

    def __init__(self) -> None:
        self._flying: dict[str, _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flying)

    async def run(self, key: str, work: Callable[[], Awaitable[T]], seconds: float | None) -> tuple[T, bool]:
        """The result of `work`, or of equal work that runs already; and whether it was somebody else's.

        The work runs in a task of its own. A caller that is cancelled leaves; once nobody waits any more, the work is
        cancelled and waited for. Where somebody else's work failed for a reason of its caller's own (`Cancelled`,
        `DeadlineExceeded`), the next one in line begins anew.

        Args:
            key: equal for equal work.
            work: begun at most once.
            seconds: that this caller waits for somebody else's work; None for no limit.

        Raises:
            DeadlineExceeded: they are over.
            EraserError: of the work.
        """
        limit = None if seconds is None else asyncio.get_running_loop().time() + seconds
        while (flight := self._flying.get(key)) is not None:
            try:
                async with asyncio.timeout_at(limit):
                    return await self._wait(flight), True
            except TimeoutError:
                raise DeadlineExceeded from None
            except (Cancelled, DeadlineExceeded):
                continue  # the other's own; by now it is out of the table, or the next one has begun
        return await self._wait(self._begin(key, work)), False

    def _begin(self, key: str, work: Callable[[], Awaitable[T]]) -> _Flight[T]:
        async def fly() -> T:
            return await work()

        flight = _Flight(asyncio.create_task(fly()))
        self._flying[key] = flight

        def land(task: asyncio.Task[T]) -> None:
            del self._flying[key]
            if not task.cancelled():
                task.exception()  # seen, though perhaps nobody waits any more

        flight.task.add_done_callback(land)
        return flight

    async def _wait(self, flight: _Flight[T]) -> T:
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if flight.task.cancelled():  # by the last one before this one joined
                raise Cancelled from None
            raise
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                flight.task.cancel()
                await asyncio.wait([flight.task])

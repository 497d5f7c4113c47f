"""Equal work that is asked for at the same time is done once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Work in flight, by key, in one event loop."""

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
        raise NotImplementedError

"""How many streams of events are open, so that nobody takes all of a server's connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from magic_eraser.errors import RateLimited

MOST_STREAMS = 16
"""Of one caller on one server; a browser has 6 connections to a host."""


class EventStreams:
    """Counts the open ones of each caller, in one event loop.

    Args:
        most: of one caller.
    """

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """Open ones, of everybody."""
        return self._open.total()

    def begin(self, party: str) -> Callable[[], None]:
        """One more; what is returned ends it, and can be called again.

        Raises:
            RateLimited: the caller has too many.
        """
        if self._open[party] >= self._most:
            raise RateLimited(
                f"{self._most} event streams are open already.",
                f"已打开 {self._most} 个事件流。",
                retry_after=5,
            )
        self._open[party] += 1
        ended = False

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._open[party] -= 1
                if not self._open[party]:
                    del self._open[party]

        return end

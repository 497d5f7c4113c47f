"""A log line that would come with every request comes once a minute."""

from __future__ import annotations

import time
from collections.abc import Callable

from structlog.stdlib import BoundLogger


class Seldom:
    """Warnings of one kind, at most one in `seconds`, with the number of those left out before it.

    Args:
        clock: monotonic seconds.
    """

    def __init__(
        self, log: BoundLogger, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._seconds = seconds
        self._clock = clock
        self._next = float("-inf")
        self._left_out = 0

    def warning(self, event: str, **fields: object) -> None:
        if self._clock() < self._next:
            self._left_out += 1
            return
        self._next = self._clock() + self._seconds
        self._log.warning(event, left_out=self._left_out, **fields)
        self._left_out = 0

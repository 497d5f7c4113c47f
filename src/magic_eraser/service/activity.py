"""Whether anybody asks for anything, so that a server that nobody uses can sleep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Clock = Callable[[], float]


class Activity:
    """Counts work inside, in one event loop; asleep between `fall_asleep` and the next piece of work.

    Args:
        clock: monotonic seconds.
        on_wake: called when work comes to one that is asleep; quick.
    """

    def __init__(self, clock: Clock = time.monotonic, on_wake: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self.on_wake = on_wake
        self._inside = 0
        self._last = clock()
        self._asleep_since: float | None = None

    @property
    def asleep(self) -> bool:
        return self._asleep_since is not None

    @property
    def idle_seconds(self) -> float:
        """How long there has been no work; 0 while there is some."""
        return 0.0 if self._inside else self._clock() - self._last

    def fall_asleep(self) -> bool:
        """Asleep from now on, unless there is work; whether it is."""
        if not self._inside and self._asleep_since is None:
            self._asleep_since = self._clock()
        return self.asleep

    @contextmanager
    def busy(self) -> Iterator[float | None]:
        """Work, for the length of the block: the seconds slept where it ended a sleep, else None."""
        slept = None if self._asleep_since is None else self._clock() - self._asleep_since
        self._asleep_since = None
        self._inside += 1
        try:
            if slept is not None:
                self.on_wake()
            yield slept
        finally:
            self._inside -= 1
            self._last = self._clock()

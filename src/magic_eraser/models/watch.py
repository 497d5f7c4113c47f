"""Deadline, cancellation and progress of one request, seen by whatever does its work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from copy import copy
from typing import Self

from magic_eraser.errors import Cancelled, DeadlineExceeded

HURRY = 0.75
"""Share of the time allowed after which the work should come to its end: the rest is for pasting and encoding."""


class Watch:
    """Carried from the door to the innermost loop; thread-safe.

    Args:
        seconds: time allowed from now on, or None for no limit.
        on_progress: called with a fraction 0..1 from the working thread; must be quick and must not raise.
    """

    def __init__(
        self, seconds: float | None = None, on_progress: Callable[[float], None] | None = None
    ) -> None:
        self.deadline: float | None = None
        self._hurry_from: float | None = None
        self._from_begin: float | None = None
        self._allow(seconds)
        self._cancelled = threading.Event()
        self._rough = threading.Event()
        self._on_progress = on_progress
        self._span = (0.0, 1.0)

    @classmethod
    def waiting(cls, seconds: float | None) -> Self:
        """One whose time starts with `begin`: for work that may wait for its turn as long as it takes."""
        watch = cls()
        watch._from_begin = seconds
        return watch

    def begin(self) -> None:
        """The work's turn has come. Only the first call on a watch made by `waiting` does anything."""
        if self._from_begin is not None:
            self._allow(self._from_begin)
            self._from_begin = None

    def _allow(self, seconds: float | None) -> None:
        if seconds is not None:
            now = time.monotonic()
            self.deadline = now + seconds
            self._hurry_from = now + HURRY * seconds

    def cancel(self) -> None:
        """Nobody waits for the result any more; the next `check` raises."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def remaining(self) -> float | None:
        """Seconds left, not below 0; None without a deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def hurry(self) -> bool:
        """Whether three quarters of the time allowed are used; never without a deadline."""
        return self._hurry_from is not None and time.monotonic() >= self._hurry_from

    def mark_rough(self) -> None:
        """Write down that the work was ended before its best, because of the time (`rough_when_late`)."""
        self._rough.set()

    @property
    def rough(self) -> bool:
        """Whether any of the work was ended before its best."""
        return self._rough.is_set()

    def check(self) -> None:
        """Raise `Cancelled` or `DeadlineExceeded` if the work should stop; costs under a microsecond."""
        if self._cancelled.is_set():
            raise Cancelled
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise DeadlineExceeded

    def progress(self, fraction: float) -> None:
        """Tell how much is done, 0..1, and `check`."""
        self.check()
        if self._on_progress is not None:
            low, high = self._span
            self._on_progress(low + min(1.0, max(0.0, fraction)) * (high - low))

    def part(self, start: float, end: float) -> Self:
        """The same watch for a part of the work: what it tells as 0..1 is `start`..`end` of this one."""
        part = copy(self)  # the deadline and both events stay this watch's own
        low, high = self._span
        part._span = (low + start * (high - low), low + end * (high - low))  # noqa: SLF001 (a copy of this one)
        return part

    def until(self, last: Self) -> Self:
        """The same watch for the work of this part, that of `last`, and what lies between."""
        both = copy(self)
        both._span = (self._span[0], last._span[1])  # noqa: SLF001 (parts of one watch)
        return both

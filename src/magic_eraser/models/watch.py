"""Deadline, cancellation and progress of one request, seen by whatever does its work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from magic_eraser.errors import Cancelled, DeadlineExceeded


class Watch:
    """Carried from the door to the innermost loop; thread-safe.

    Args:
        seconds: time allowed from now on, or None for no limit.
        on_progress: called with a fraction 0..1 from the working thread; must be quick and must not raise.
    """

    def __init__(
        self, seconds: float | None = None, on_progress: Callable[[float], None] | None = None
    ) -> None:
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self._cancelled = threading.Event()
        self._on_progress = on_progress

    def cancel(self) -> None:
        """Nobody waits for the result any more; the next `check` raises."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def remaining(self) -> float | None:
        """Seconds left, not below 0; None without a deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

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
            self._on_progress(min(1.0, max(0.0, fraction)))

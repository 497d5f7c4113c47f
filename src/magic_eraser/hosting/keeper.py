"""Lets idle models go in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from magic_eraser.hosting.residency import Residency


class Keeper:
    """Sleeps until the next model has been idle for long enough; a thread while there is one, none else.

    Args:
        lock: of the books, held by whoever calls.
        residency: the books.
        step: begins what they say.
    """

    def __init__(self, lock: threading.Lock, residency: Residency, step: Callable[[], None]) -> None:
        self._awake = threading.Condition(lock)
        self._residency = residency
        self._step = step
        self._until: float | None = None

    def tend(self) -> None:
        """Something happened: the next expiry may be another one."""
        expiry = self._residency.next_expiry()
        if expiry is None:
            return
        if self._until is None:
            self._until = expiry
            threading.Thread(target=self._keep, name="model-keeper", daemon=True).start()
        elif expiry < self._until:
            self.wake()

    def wake(self) -> None:
        self._awake.notify_all()

    def _keep(self) -> None:
        with self._awake:
            while True:
                now = time.monotonic()
                self._residency.expire(now)
                self._step()
                self._until = self._residency.next_expiry()
                if self._until is None:
                    return
                self._awake.wait(max(0.0, self._until - now))

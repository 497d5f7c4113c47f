"""A circuit breaker (Nygard, Release It!, 2007): a server that is down is not asked again at every request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from magic_eraser.errors import ModelUnavailable
from magic_eraser.models.remote.faults import Broken

FAILURES = 5
SECONDS = 15.0


class Breaker:
    """Opens after `failures` attempts in a row that broke; after `seconds`, one attempt may try whether it holds.
    Thread-safe.

    Args:
        server: named in the error.
        failures: in a row, >= 1.
        seconds: that it stays open, > 0.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        server: str,
        failures: int = FAILURES,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._most = failures
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._open_until: float | None = None
        self._probing = False

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One attempt: `Broken` in its body is a failure, an end without error a success, any other error neither.

        Raises:
            ModelUnavailable: it is open, and this is not the attempt that tries.
        """
        probe = self._enter()
        try:
            yield
        except Broken:
            self._count_failure()
            raise
        except BaseException:
            if probe:
                with self._lock:
                    self._probing = False
            raise
        with self._lock:
            self._failed, self._open_until, self._probing = 0, None, False

    def _enter(self) -> bool:
        with self._lock:
            if self._open_until is None:
                return False
            left = self._open_until - self._clock()
            if left > 0 or self._probing:
                raise ModelUnavailable(
                    f"The remote server {self._server} failed {self._failed} times in a row and is left alone for now.",
                    f"远程服务器 {self._server} 已连续失败 {self._failed} 次，暂停访问。",
                    retry_after=max(1.0, left),
                )
            self._probing = True
            return True

    def _count_failure(self) -> None:
        with self._lock:
            self._failed += 1
            self._probing = False
            if self._failed >= self._most:
                self._open_until = self._clock() + self._seconds

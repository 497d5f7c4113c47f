"""How long each stage of a request took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Observe = Callable[[str, str, float], None]
"""Told (stage, model, seconds) when a request is over; the model is "none" where it never came to one."""


class Stages:
    """A stopwatch with names; the same name twice adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.model = "none"
        self.ahead = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start

    def report(self, observe: Observe | None) -> None:
        if observe is not None:
            for name, seconds in self.seconds.items():
                observe(name, self.model, seconds)

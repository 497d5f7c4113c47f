"""How many callers there are: not those connected, but those who asked for something lately."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

WINDOW_SECONDS = 300.0
MOST = 100_000
"""Callers remembered, 10 MB; beyond it the count stays there."""


class ActiveUsers:
    """Counts distinct callers of the last `WINDOW_SECONDS`; keeps nothing of them but that they were here.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[int, float] = OrderedDict()

    def saw(self, party: str) -> None:
        """Somebody asks for something."""
        known = hash(party)
        self._seen[known] = self._clock()
        self._seen.move_to_end(known)
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)

    def count(self) -> int:
        oldest = self._clock() - WINDOW_SECONDS
        while self._seen and next(iter(self._seen.values())) < oldest:
            self._seen.popitem(last=False)
        return len(self._seen)

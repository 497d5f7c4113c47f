"""Results in the memory of this process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from magic_eraser.service.cache.port import Kept, OnResult, tell_nobody

ENTRY_BYTES = 4096
"""What an entry takes beside its picture, rather more than less: key, facts, notices, tables."""


@dataclass(frozen=True, slots=True)
class _Entry:
    kept: Kept
    until: float

    @property
    def size(self) -> int:
        return len(self.kept.data) + ENTRY_BYTES


class MemoryCache:
    """Those not used for longest go first. For one event loop.

    Args:
        max_bytes: all results together; one that is larger alone is not kept.
        ttl_seconds: how long one stays.
        clock: monotonic seconds.
        on_result: see there.
    """

    backend = "memory"

    def __init__(
        self,
        max_bytes: int,
        ttl_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        on_result: OnResult = tell_nobody,
    ) -> None:
        self._max_bytes = max_bytes
        self._ttl = ttl_seconds
        self._clock = clock
        self._on_result = on_result
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._total = 0

    @property
    def total(self) -> int:
        """Bytes that all results take together."""
        return self._total

    async def get(self, key: str) -> Kept | None:
        entry = self._entries.get(key)
        if entry is not None and entry.until <= self._clock():
            self._drop(key)
            entry = None
        self._on_result(self.backend, "miss" if entry is None else "hit")
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry.kept

    async def put(self, key: str, kept: Kept) -> None:
        entry = _Entry(kept, self._clock() + self._ttl)
        if entry.size > self._max_bytes:
            self._on_result(self.backend, "too_large")
            return
        if key in self._entries:
            self._drop(key)
        self._entries[key] = entry
        self._total += entry.size
        while self._total > self._max_bytes:
            self._drop(next(iter(self._entries)))
            self._on_result(self.backend, "evicted")
        self._on_result(self.backend, "put")

    async def trim(self) -> None:
        now = self._clock()
        for key in [key for key, entry in self._entries.items() if entry.until <= now]:
            self._drop(key)

    async def close(self) -> None:
        self._entries.clear()
        self._total = 0

    def _drop(self, key: str) -> None:
        self._total -= self._entries.pop(key).size

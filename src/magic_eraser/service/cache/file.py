"""Results in files, which outlive the process."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from magic_eraser.service.cache import entry
from magic_eraser.service.cache.port import Kept, OnResult, tell_nobody
from magic_eraser.service.cache.seldom import Seldom
from magic_eraser.service.files import Shelf, is_full, is_over
from magic_eraser.telemetry.logging import get_logger

USE_SECONDS = 60.0
"""How exactly is known when a result was used last: noting it costs a write."""


class FileCache:
    """One file for each result, `folder/ab/abcdef...` by its key; see `entry` for what is in it. Several processes may
    share the folder. A file that is damaged, cut off or not ours is a miss and removed. Those not used for longest go
    first. On a full disk nothing is kept, and a tenth is let go at each try.

    Does no I/O until the first call; all of it in threads.

    Args:
        folder: made where it is missing, for the server's user alone.
        ttl_seconds: how long one stays, from when it was made.
        max_bytes: all results together; one that is larger alone is not kept.
        on_result: see there.
        log: told what goes wrong.
    """

    backend = "file"

    def __init__(
        self,
        folder: Path,
        *,
        ttl_seconds: float,
        max_bytes: int,
        on_result: OnResult = tell_nobody,
        log: Seldom | None = None,
    ) -> None:
        self._shelf = Shelf(folder, ttl_seconds=ttl_seconds, max_bytes=max_bytes, by_use=True)
        self._ttl = ttl_seconds
        self._max_bytes = max_bytes
        self._on_result = on_result
        self._log = log or Seldom(get_logger(__name__))

    async def get(self, key: str) -> Kept | None:
        path = self._path(key)
        try:
            kept = await asyncio.to_thread(self._get, key, path)
        except OSError as error:
            self._failed("read", error)
            return None
        self._on_result(self.backend, "miss" if kept is None else "hit")
        return kept

    async def put(self, key: str, kept: Kept) -> None:
        path = self._path(key)
        if len(kept.data) > self._max_bytes:
            self._on_result(self.backend, "too_large")
            return
        try:
            evicted = await asyncio.to_thread(lambda: self._shelf.write(path, *entry.to_pieces(key, kept)))
        except OSError as error:
            self._failed("write", error)
            if is_full(error):
                await self._let_go(self._shelf.yield_share)
            return
        self._on_result(self.backend, "put")
        self._tell_evicted(evicted)

    async def trim(self) -> None:
        await self._let_go(self._shelf.sweep)

    async def close(self) -> None:
        return None

    async def _let_go(self, work: Callable[[], int]) -> None:
        try:
            self._tell_evicted(await asyncio.to_thread(work))
        except OSError as error:
            self._failed("sweep", error)

    def _tell_evicted(self, count: int) -> None:
        for _ in range(count):
            self._on_result(self.backend, "evicted")

    def _failed(self, what: str, error: OSError) -> None:
        self._on_result(self.backend, "error")
        self._log.warning("cache_failed", what=what, reason=str(error.strerror or error))

    def _path(self, key: str) -> Path:
        return self._shelf.folder / entry.checked(key)[:2] / key

    def _get(self, key: str, path: Path) -> Kept | None:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link, which we never make
                self._shelf.remove(path)
            elif not isinstance(error, FileNotFoundError):
                raise
            return None
        with os.fdopen(handle, "rb") as file:
            stat = os.fstat(handle)
            now = time.time()
            if not is_over(stat.st_mtime, self._ttl, now):
                kept = entry.read(file, stat.st_size, key)
                if kept is not None:
                    if now - max(stat.st_atime, stat.st_mtime) > USE_SECONDS:
                        with suppress(OSError):  # a read-only disk
                            os.utime(handle, ns=(time.time_ns(), stat.st_mtime_ns))
                    return kept
        self._shelf.remove(path)
        return None

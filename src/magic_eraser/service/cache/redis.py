"""Results in Redis, for several servers."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

from magic_eraser.service.cache import entry
from magic_eraser.service.cache.port import Kept, OnResult, tell_nobody
from magic_eraser.service.cache.seldom import Seldom
from magic_eraser.service.redis_link import RedisLink
from magic_eraser.telemetry.logging import get_logger

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX = f"magic-eraser:cache:{entry.VERSION}:"
MAX_VALUE_BYTES = 32 * 1024 * 1024
"""Larger results are not kept: Redis answers one request at a time, and copying one takes it 30 ms."""


class RedisCache:
    """Values as `entry` has them, never pickle, gone after their time. Redis evicts by itself (`maxmemory-policy`).
    Where it is away, everything is a miss, at once.

    Args:
        link: closed by whoever made it; logs and counts what goes wrong with the way there.
        ttl_seconds: how long one stays.
        on_result: see there.
        log: told what Redis refuses.
    """

    backend = "redis"

    def __init__(
        self,
        link: RedisLink,
        ttl_seconds: int,
        *,
        on_result: OnResult = tell_nobody,
        log: Seldom | None = None,
    ) -> None:
        self._link = link
        self._ttl = ttl_seconds
        self._on_result = on_result
        self._log = log or Seldom(get_logger(__name__))

    async def get(self, key: str) -> Kept | None:
        name = PREFIX + entry.checked(key)

        async def ask(redis: Redis) -> tuple[Any]:
            return (await redis.get(name),)

        answer = await self._link.call(ask)
        if answer is None:
            self._on_result(self.backend, "error")
            return None
        (value,) = answer
        kept = None if value is None else await asyncio.to_thread(_read, value, key)
        self._on_result(self.backend, "miss" if kept is None else "hit")
        return kept

    async def put(self, key: str, kept: Kept) -> None:
        name = PREFIX + entry.checked(key)
        if len(kept.data) > MAX_VALUE_BYTES:
            self._on_result(self.backend, "too_large")
            return
        value = await asyncio.to_thread(lambda: b"".join(entry.to_pieces(key, kept)))

        async def give(redis: Redis) -> str:
            from redis.exceptions import ResponseError

            try:
                await redis.set(name, value, ex=self._ttl)
            except (
                ResponseError
            ) as error:  # out of memory, read-only: it is there, and what it has can be read
                self._log.warning("cache_refused", reason=str(error).splitlines()[0][:200])
                return "error"
            return "put"

        self._on_result(self.backend, await self._link.call(give) or "error")

    async def trim(self) -> None:
        return None

    async def close(self) -> None:
        return None


def _read(value: bytes, key: str) -> Kept | None:
    return entry.read(io.BytesIO(value), len(value), key)

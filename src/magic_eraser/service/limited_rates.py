"""The limit itself. Imports `limits` (2 MiB), which a server without one does not need."""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from magic_eraser.service.rates import Rate
from magic_eraser.service.redis_link import RedisLink

WINDOW = 60
"""Seconds."""
SHARDS = 64
"""With each request, `MemoryStorage` looks through all that it holds for what is over: 9 ms of the event loop where
50,000 addresses came within two minutes, 0.2 ms where they are spread over so many of them."""


class LimitedRates:
    """So many requests a minute, by a sliding window counter: those of this minute, and of the one before as many as
    still lie within the last 60 seconds, were they spread evenly.

    It costs two numbers a party, where a list of moments costs each request; and no clock of ours counts in Redis, nor
    does a jump of one lock anybody out for longer than a minute or two.

    Args:
        requests_per_minute: at least 1.
        link: to the Redis that several servers count in; each counts by itself where None, or while it is away.
    """

    def __init__(self, requests_per_minute: int, link: RedisLink | None = None) -> None:
        self._item = RateLimitItemPerMinute(requests_per_minute, namespace="requests")
        self._own = [SlidingWindowCounterRateLimiter(MemoryStorage()) for _ in range(SHARDS)]
        self._link = link
        self._shared = None if link is None else SlidingWindowCounterRateLimiter(_in_redis(link))

    async def count(self, party: str) -> Rate | None:
        """See `Rates`."""
        rate = await self._together(party)
        return await self._count(self._own[hash(party) % SHARDS], party) if rate is None else rate

    async def close(self) -> None:
        """The link is closed by whoever made it."""

    async def _together(self, party: str) -> Rate | None:
        shared = self._shared
        if self._link is None or shared is None:
            return None
        return await self._link.call(lambda _redis: self._count(shared, party))

    async def _count(self, limiter: SlidingWindowCounterRateLimiter, party: str) -> Rate:
        allowed = await limiter.hit(self._item, party)
        stats = await limiter.get_window_stats(self._item, party)
        reset = math.ceil(stats.reset_time - time.time())
        if not 0 < reset <= WINDOW:  # a window that has just begun is told as 0
            reset = WINDOW
        return Rate(self._item.amount, WINDOW, stats.remaining if allowed else 0, reset, allowed)


def _in_redis(link: RedisLink) -> RedisStorage:
    return RedisStorage(
        "async+redis://",  # by the link's connections, wherever they lead to
        implementation="redispy",
        key_prefix="magic-eraser:rates",
        connection_pool=link.pool,  # type: ignore[arg-type]  # handed on to redis-py, which takes a pool
    )

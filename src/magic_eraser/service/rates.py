"""How often a party may ask: counted at the door, before a body is read."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from magic_eraser.service.redis_link import RedisLink

WINDOW = 60


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a party stands after a request, as `RateLimit` and `RateLimit-Policy` tell it
    (draft-ietf-httpapi-ratelimit-headers-10).

    Attributes:
        quota: requests allowed in a window.
        window: its length, seconds.
        remaining: requests left now.
        reset: seconds until there are more.
        allowed: whether this request was within it.
    """

    quota: int
    window: int
    remaining: int
    reset: int
    allowed: bool


class Rates(Protocol):
    async def count(self, party: str) -> Rate | None:
        """One request more of this party; None where there is no limit. Never fails: where the shared counter cannot
        be reached, this server counts by itself for the time being."""
        ...

    async def close(self) -> None: ...


class NullRates:
    """No limit."""

    async def count(self, party: str) -> Rate | None:
        return None

    async def close(self) -> None:
        return None


class LimitedRates:
    """So many requests in any 60 seconds (a moving window: exact, at 8 bytes a request that still counts).

    Args:
        requests_per_minute: at least 1.
        link: to the Redis that several servers count in; each counts by itself where None, or while it is away.
    """

    def __init__(self, requests_per_minute: int, link: RedisLink | None = None) -> None:
        self._item = RateLimitItemPerMinute(requests_per_minute, namespace="magic-eraser")
        self._link = link
        self._shared = None if link is None else _shared(link)
        self._own: MovingWindowRateLimiter | None = None

    async def count(self, party: str) -> Rate | None:
        """See `Rates`."""
        if self._link is not None and self._shared is not None:
            rate = await self._link.call(self._counting(self._shared, party))
            if rate is not None:
                return rate
        if self._own is None:  # it wants a running loop
            self._own = MovingWindowRateLimiter(MemoryStorage())
        return await self._count(self._own, party)

    async def close(self) -> None:
        """The link is closed by whoever made it."""

    def _counting(self, strategy: MovingWindowRateLimiter, party: str) -> Callable[[object], Awaitable[Rate]]:
        return lambda _redis: self._count(strategy, party)

    async def _count(self, strategy: MovingWindowRateLimiter, party: str) -> Rate:
        allowed = await strategy.hit(self._item, party)
        stats = await strategy.get_window_stats(self._item, party)
        reset = max(1, math.ceil(stats.reset_time - time.time()))
        return Rate(self._item.amount, WINDOW, stats.remaining if allowed else 0, reset, allowed)


def _shared(link: RedisLink) -> MovingWindowRateLimiter:
    storage = RedisStorage(
        f"async+{link.url}",
        implementation="redispy",
        key_prefix="magic-eraser:rates",
        connection_pool=link.pool,  # type: ignore[arg-type]  # for redis-py it is what it says
    )
    return MovingWindowRateLimiter(storage)

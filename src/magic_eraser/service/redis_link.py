"""The way to Redis, which may be away: then work goes on without, at once, and it is looked for again now and then."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from magic_eraser.errors import SettingsError
from magic_eraser.telemetry.logging import get_logger

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = get_logger(__name__)
T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds for which it is not asked after a failure, doubling with each."""


class RedisLink:
    """A client, and whether it is of use now. Does no I/O until the first call.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        timeout_seconds: longest wait for a connection, and for an answer.
        on_error: called at each failure.
        clock: monotonic seconds.

    Raises:
        SettingsError: the address is none, or the package is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 0.5,
        on_error: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if find_spec("redis") is None:
            raise SettingsError("ERASER_REDIS__URL needs: pip install 'magic-eraser[redis]'")
        from redis.asyncio import ConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        self.url = url
        try:
            self.pool = ConnectionPool.from_url(
                url,
                socket_timeout=timeout_seconds,
                socket_connect_timeout=timeout_seconds,
                retry=Retry(NoBackoff(), 1),  # once: a connection from before a restart of Redis is dead
                protocol=2,
            )
        except ValueError as error:
            raise SettingsError(f"ERASER_REDIS__URL: {error}") from None
        self._redis: Redis = Redis(connection_pool=self.pool)
        self._on_error = on_error
        self._clock = clock
        self._failures = 0
        self._away_until = 0.0

    @property
    def available(self) -> bool:
        """Whether the last call reached it, or none has been made."""
        return not self._failures

    async def call(self, work: Callable[[Redis], Awaitable[T]]) -> T | None:
        """What `work` gives; None where Redis is away or failed in the middle of it."""
        from redis.exceptions import RedisError

        if self._failures and self._clock() < self._away_until:
            return None
        try:
            answer = await work(self._redis)
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            return None
        if self._failures:
            self._failures = 0
            log.info("redis_back")
        return answer

    async def close(self) -> None:
        await self._redis.aclose()
        await self.pool.disconnect()

    def _failed(self, error: BaseException) -> None:
        if not self._failures:
            log.warning("redis_down", reason=_one_line(error))
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10))
        self._failures += 1
        self._away_until = self._clock() + pause
        self._on_error()


def _one_line(error: Any) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

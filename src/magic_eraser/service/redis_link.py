"""The way to Redis, which may be away: then work goes on without, at once, and it is looked for again now and then."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from magic_eraser.errors import SettingsError
from magic_eraser.telemetry.logging import get_logger

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = get_logger(__name__)
T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds for which it is not asked after a failure, doubling each time that it is still away."""
REFUSAL_PAUSE = 60.0
"""Seconds between two log lines on what it refuses."""
MOST_CONNECTIONS = 64
"""More calls at once than that wait for one of them."""


class RedisLink:
    """A client, and whether it is of use now. Does no I/O until the first call.

    After a failure it is not asked for a while; then one call is let through to look, and the others go on without
    until that has an answer. An answer by which Redis refuses a command (out of memory, read-only) is a failure of the
    call alone: it is there.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        timeout_seconds: longest wait for a connection, and for an answer.
        on_error: called at each failure.
        clock: monotonic seconds.

    Raises:
        SettingsError: the address is none, or the package is not installed. The sentence never holds a password.
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
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError as Disconnected

        try:
            self.pool = BlockingConnectionPool.from_url(
                url,
                max_connections=MOST_CONNECTIONS,
                timeout=timeout_seconds,
                socket_timeout=timeout_seconds,
                socket_connect_timeout=timeout_seconds,
                # once: a connection from before a restart of Redis is dead; not where it does not answer in time
                retry=Retry(NoBackoff(), 1, (Disconnected,)),
                protocol=2,
            )
            # no I/O: it refuses options that it does not know
            self.pool.make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError):  # which may quote a piece of the password
            raise SettingsError(
                "ERASER_REDIS__URL: cannot be used; write redis://:password@host:6379/0, rediss:// or unix://, with "
                "reserved characters of the password as %XX, and only options of redis-py"
            ) from None
        self._redis: Redis = Redis(connection_pool=self.pool)
        self._on_error = on_error
        self._clock = clock
        self._failures = 0
        self._away_until = 0.0
        self._quiet_until = float("-inf")

    @property
    def available(self) -> bool:
        """Whether the last call reached it, or none has been made."""
        return not self._failures

    async def call(self, work: Callable[[Redis], Awaitable[T]]) -> T | None:
        """What `work` gives; None where Redis is away, or failed or refused in the middle of it."""
        from redis.exceptions import RedisError, ResponseError

        looking = self._failures > 0
        if looking:
            if self._clock() < self._away_until:
                return None
            self._away_until = self._clock() + self._pause()  # the others do not look while this one does
        try:
            answer = await work(self._redis)
        except ResponseError as error:
            self._refused(error)
            answer = None
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error, looking=looking)
            return None
        if looking and self._failures:
            self._failures = 0
            log.info("redis_back")
        return answer

    async def close(self) -> None:
        await self._redis.aclose()
        await self.pool.disconnect()

    def _failed(self, error: Exception, *, looking: bool) -> None:
        self._on_error()
        if self._failures and not looking:
            return  # it was under way when another one failed: the same fault
        if not self._failures:
            log.warning("redis_down", reason=_one_line(error))
        self._failures += 1
        self._away_until = self._clock() + self._pause()

    def _refused(self, error: Exception) -> None:
        self._on_error()
        if self._clock() >= self._quiet_until:
            self._quiet_until = self._clock() + REFUSAL_PAUSE
            log.warning("redis_refused", reason=_one_line(error))

    def _pause(self) -> float:
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10))


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

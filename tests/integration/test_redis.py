"""The way to a real Redis, that goes away and comes back."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from magic_eraser.service.redis_link import RedisLink
from private_servers import PrivateRedis


class Clock:
    """The link's, by hand: so pauses need not be waited for."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


@asynccontextmanager
async def linked(url: str, **options) -> AsyncIterator[RedisLink]:
    link = RedisLink(url, **options)
    try:
        yield link
    finally:
        await link.close()


async def ping(link: RedisLink) -> bool | None:
    return await link.call(lambda redis: redis.ping())


def test_what_is_kept_comes_back_as_bytes(redis_url):
    async def story() -> None:
        async with linked(redis_url) as link:
            key, value = f"test:{secrets.token_hex(8)}", bytes(range(256))
            await link.call(lambda redis: redis.set(key, value, ex=10))
            assert await link.call(lambda redis: redis.get(key)) == value
            await link.call(lambda redis: redis.delete(key))

    asyncio.run(story())


def test_a_restart_between_two_calls_is_not_noticed(server):
    async def story() -> None:
        errors = []
        async with linked(server.url, on_error=lambda: errors.append(1)) as link:
            assert await ping(link)
            await asyncio.to_thread(server.restart)
            assert await ping(link)
            assert errors == []

    asyncio.run(story())


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_it_goes_and_comes_back_and_nobody_sees_an_error(server, how):
    async def story() -> None:
        errors = []
        clock = Clock()
        async with linked(server.url, on_error=lambda: errors.append(1), clock=clock) as link:
            assert await asyncio.gather(*(ping(link) for _ in range(20))) == [True] * 20
            await asyncio.to_thread(getattr(server, how))
            assert await asyncio.gather(*(ping(link) for _ in range(20))) == [None] * 20
            assert not link.available
            assert errors
            await asyncio.to_thread(server.start)
            assert await ping(link) is None  # not yet looked for
            clock.now += 1.0
            assert await ping(link)
            assert link.available

    asyncio.run(story())


def test_one_that_answers_nothing_costs_its_timeout_once(server):
    async def story() -> None:
        async with linked(server.url, timeout_seconds=0.2) as link:
            assert await ping(link)
            server.freeze()
            start = time.monotonic()
            try:
                assert await ping(link) is None
                assert time.monotonic() - start < 0.45  # not tried again
                start = time.monotonic()
                assert [await ping(link) for _ in range(10)] == [None] * 10
                assert time.monotonic() - start < 0.05
            finally:
                server.thaw()

    asyncio.run(story())


def test_an_address_where_nobody_listens_is_one_that_is_away(server):
    async def story() -> None:
        server.stop()
        async with linked(server.url) as link:
            assert await ping(link) is None
            assert not link.available
        server.start()

    asyncio.run(story())


def test_many_more_calls_at_once_than_connections_are_all_answered(server):
    async def story() -> None:
        async with linked(server.url, timeout_seconds=2.0) as link:
            assert await asyncio.gather(*(ping(link) for _ in range(500))) == [True] * 500

    asyncio.run(story())


def test_calls_that_are_cancelled_lose_no_connection_and_mix_no_answers_up(server):
    async def story() -> None:
        async with linked(server.url) as link:
            for number in range(300):
                call = asyncio.create_task(link.call(lambda redis, n=number: redis.set("key", n)))
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
            await link.call(lambda redis: redis.set("key", "last"))
            answers = await asyncio.gather(*(link.call(lambda redis: redis.get("key")) for _ in range(100)))
            assert answers == [b"last"] * 100
            assert link.available

    asyncio.run(story())


def test_one_that_is_full_is_there_and_what_it_refuses_is_none(server):
    async def story() -> None:
        async with linked(server.url) as link:
            await link.call(lambda redis: redis.config_set("maxmemory", "1mb"))
            assert await link.call(lambda redis: redis.set("key", bytes(100_000))) is None
            assert link.available
            assert await link.call(lambda redis: redis.get("key")) is None

    asyncio.run(story())

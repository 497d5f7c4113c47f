"""When Redis is asked, and when it is left alone. What it answers is tested in tests/integration/test_redis.py."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import structlog
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import OutOfMemoryError

from magic_eraser.errors import SettingsError
from magic_eraser.service.redis_link import LONGEST_PAUSE, RedisLink

URL = "redis://127.0.0.1:1/0"


class World:
    """A link, its clock, and what was asked of Redis by it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.errors = 0
        self.asked = 0
        self.link = RedisLink(URL, on_error=self._count, clock=lambda: self.now)

    def _count(self) -> None:
        self.errors += 1

    async def fail(self, error: Exception | None = None) -> object:
        async def work(_redis: object) -> object:
            self.asked += 1
            await asyncio.sleep(0)
            raise error or Disconnected("gone\nand more")

        return await self.link.call(work)

    async def succeed(self) -> object:
        async def work(_redis: object) -> str:
            self.asked += 1
            await asyncio.sleep(0)
            return "answer"

        return await self.link.call(work)


@contextmanager
def logged() -> Iterator[Callable[[], list[str]]]:
    with structlog.testing.capture_logs() as lines:
        yield lambda: [line["event"] for line in lines]


def test_while_it_is_away_it_is_not_asked_and_one_line_says_so():
    async def story() -> None:
        world = World()
        with logged() as events:
            assert await world.succeed() == "answer"
            assert world.link.available
            assert await world.fail() is None
            assert not world.link.available
            assert await world.succeed() is None
            assert (world.asked, world.errors) == (2, 1)
            world.now = 1.0
            assert await world.succeed() == "answer"
            assert world.link.available
            assert events() == ["redis_down", "redis_back"]

    asyncio.run(story())


def test_pauses_double_up_to_a_limit_and_begin_anew():
    async def story() -> None:
        world = World()
        await world.fail()
        for pause in (1, 2, 4, 8, 16, 30, 30):
            world.now += pause - 0.01
            asked = world.asked
            await world.fail()
            assert world.asked == asked
            world.now += 0.01
            await world.fail()
            assert world.asked == asked + 1
        world.now += LONGEST_PAUSE
        assert await world.succeed() == "answer"
        await world.fail()
        world.now += 1.0
        assert await world.succeed() == "answer"

    asyncio.run(story())


def test_many_calls_that_fail_together_are_one_fault():
    async def story() -> None:
        world = World()
        with logged() as events:
            assert await asyncio.gather(*(world.fail() for _ in range(20))) == [None] * 20
            assert events() == ["redis_down"]
        assert world.errors == 20
        world.now = 1.0
        assert await world.succeed() == "answer"

    asyncio.run(story())


def test_after_a_pause_one_call_looks_and_the_others_go_on_without():
    async def story() -> None:
        world = World()
        await world.fail()
        world.now = 1.0
        answers = await asyncio.gather(*(world.succeed() for _ in range(5)))
        assert answers == ["answer", None, None, None, None]
        assert await world.succeed() == "answer"

    asyncio.run(story())


def test_a_look_that_is_cancelled_does_not_shut_the_way_for_ever():
    async def story() -> None:
        world = World()
        await world.fail()
        world.now = 1.0
        look = asyncio.create_task(world.succeed())
        await asyncio.sleep(0)
        look.cancel()
        with pytest.raises(asyncio.CancelledError):
            await look
        world.now = 2.0
        assert await world.succeed() == "answer"

    asyncio.run(story())


def test_a_command_that_is_refused_does_not_shut_the_way_and_is_told_once_a_minute():
    async def story() -> None:
        world = World()
        with logged() as events:
            for _ in range(3):
                assert await world.fail(OutOfMemoryError("OOM")) is None
            assert world.link.available
            assert world.errors == 3
            world.now = 60.0
            await world.fail(OutOfMemoryError("OOM"))
            assert events() == ["redis_refused"] * 2

    asyncio.run(story())


def test_an_answer_of_refusal_means_that_it_is_back():
    async def story() -> None:
        world = World()
        await world.fail()
        world.now = 1.0
        await world.fail(OutOfMemoryError("OOM"))
        assert world.link.available

    asyncio.run(story())


def test_an_error_of_our_own_is_not_taken_for_one_of_redis():
    async def story() -> None:
        world = World()
        with pytest.raises(ZeroDivisionError):
            await world.fail(ZeroDivisionError())
        assert world.link.available

    asyncio.run(story())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "127.0.0.1:6379",
        "redis://host:port",
        "redis://:secret/s@host:6379/0",
        "redis://:secret@host/0?socket_timeout=long",
        "redis://:secret@host/0?no_such_option=1",
    ],
)
def test_an_address_that_is_none_stops_the_start_and_shows_no_password(url):
    with pytest.raises(SettingsError, match="ERASER_REDIS__URL") as told:
        RedisLink(url)
    assert "secret" not in str(told.value)


def test_without_the_package_the_start_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SettingsError, match=r"pip install 'magic-eraser\[redis\]'"):
        RedisLink(URL)

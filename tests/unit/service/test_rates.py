"""How often a party may ask, counted by one server."""

from __future__ import annotations

import asyncio
import gc
import time

import pytest

from magic_eraser.service.limited_rates import WINDOW, LimitedRates
from magic_eraser.service.rates import NullRates, Rate


@pytest.fixture(autouse=True)
def _within_one_minute() -> None:
    """In the first moments of a minute some more are let in: those of the minute before have begun to fade."""
    left = WINDOW - time.time() % WINDOW
    if left < 0.5:
        time.sleep(left)


async def count(rates: LimitedRates, party: str, times: int) -> list[Rate | None]:
    return [await rates.count(party) for _ in range(times)]


def test_one_more_than_allowed_is_refused_and_told_when_to_come_back():
    *within, beyond = asyncio.run(count(LimitedRates(3), "a", 4))
    assert [rate.allowed for rate in within] == [True] * 3
    assert [rate.remaining for rate in (*within, beyond)] == [2, 1, 0, 0]
    assert not beyond.allowed
    assert (beyond.quota, beyond.window) == (3, 60)
    assert 1 <= beyond.reset <= 60
    assert abs(beyond.reset - (WINDOW - time.time() % WINDOW)) < 2  # until this minute is over


def test_every_party_has_a_limit_of_its_own():
    async def story() -> None:
        rates = LimitedRates(1)
        await rates.count("a")
        assert not (await rates.count("a")).allowed
        assert (await rates.count("b")).allowed

    asyncio.run(story())


def test_the_refused_do_not_push_the_end_of_it_away():
    async def story() -> None:
        rates = LimitedRates(2)
        await count(rates, "a", 2)
        resets = [rate.reset for rate in await count(rates, "a", 20)]
        assert resets == sorted(resets, reverse=True)

    asyncio.run(story())


def test_requests_at_once_are_counted_one_by_one():
    async def story() -> None:
        rates = LimitedRates(10)
        counted = await asyncio.gather(*(rates.count("a") for _ in range(50)))
        assert sum(rate.allowed for rate in counted) == 10

    asyncio.run(story())


def test_counts_are_kept_while_nobody_looks():
    async def story() -> None:
        refused = False
        for _ in range(2):  # a minute may end in between, once
            rates = LimitedRates(1)
            await rates.count("a")
            gc.collect()  # some storages of `limits` are held by a weak reference
            refused = refused or not (await rates.count("a")).allowed
            await rates.close()
        assert refused

    asyncio.run(story())


def test_without_a_limit_nothing_is_counted():
    assert asyncio.run(count(NullRates(), "a", 3)) == [None] * 3

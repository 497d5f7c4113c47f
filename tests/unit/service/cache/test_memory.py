"""Results in memory: within their time, within a bound, those not used for longest go first."""

from __future__ import annotations

import asyncio

import pytest

from magic_eraser.service.cache import Kept
from magic_eraser.service.cache.memory import ENTRY_BYTES, MemoryCache

KEYS = [f"{number:064x}" for number in range(20)]
SIZE = 10_000


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def cache(clock, told):
    room = 3 * (SIZE + ENTRY_BYTES)
    return MemoryCache(room, 60, clock, on_result=lambda backend, result: told.append((backend, result)))


def put(cache, key, size=SIZE):
    asyncio.run(cache.put(key, Kept(bytes(size), {"key": key})))


def get(cache, key):
    return asyncio.run(cache.get(key))


def test_what_was_put_is_got(cache, told):
    put(cache, KEYS[0])
    assert get(cache, KEYS[0]) == Kept(bytes(SIZE), {"key": KEYS[0]})
    assert get(cache, KEYS[1]) is None
    assert told == [("memory", "put"), ("memory", "hit"), ("memory", "miss")]


def test_after_its_time_it_is_gone_used_or_not(cache, clock):
    put(cache, KEYS[0])
    clock.now += 59.9
    assert get(cache, KEYS[0]) is not None
    clock.now += 0.1
    assert get(cache, KEYS[0]) is None
    assert cache.total == 0


def test_trimming_gives_back_what_is_over_its_time(cache, clock):
    put(cache, KEYS[0])
    clock.now += 30
    put(cache, KEYS[1])
    clock.now += 30
    asyncio.run(cache.trim())
    assert cache.total == SIZE + ENTRY_BYTES
    assert get(cache, KEYS[1]) is not None


def test_those_not_used_for_longest_make_room(cache, told):
    for key in KEYS[:3]:
        put(cache, key)
    get(cache, KEYS[0])
    put(cache, KEYS[3])
    assert told.count(("memory", "evicted")) == 1
    assert [get(cache, key) is not None for key in KEYS[:4]] == [True, False, True, True]


def test_it_never_takes_more_than_it_may(cache):
    for key in KEYS * 3:
        put(cache, key, size=int(key, 16) * 1500)
        assert cache.total <= 3 * (SIZE + ENTRY_BYTES)


def test_one_too_large_is_not_kept_and_drives_nobody_out(cache, told):
    put(cache, KEYS[0])
    put(cache, KEYS[1], size=4 * SIZE)
    assert told[-1] == ("memory", "too_large")
    assert get(cache, KEYS[0]) is not None
    assert get(cache, KEYS[1]) is None


def test_the_same_again_counts_once(cache):
    put(cache, KEYS[0])
    put(cache, KEYS[0])
    assert cache.total == SIZE + ENTRY_BYTES


def test_closed_it_holds_nothing_and_can_be_used_again(cache):
    put(cache, KEYS[0])
    asyncio.run(cache.close())
    assert (cache.total, get(cache, KEYS[0])) == (0, None)
    put(cache, KEYS[0])
    assert get(cache, KEYS[0]) is not None

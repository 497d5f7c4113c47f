"""The file cache under kill -9, and the one in Redis, also while that comes and goes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pickle
import random
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cache_writer import KEYS, MAX_BYTES, result
from magic_eraser.service.cache import Kept
from magic_eraser.service.cache import redis as redis_cache
from magic_eraser.service.cache.file import FileCache
from magic_eraser.service.cache.redis import PREFIX, RedisCache
from magic_eraser.service.redis_link import RedisLink
from private_servers import PrivateRedis

WRITER = Path(__file__).parents[1] / "cache_writer.py"


def test_killed_at_any_moment_every_result_is_whole_or_a_miss(tmp_path):
    chance = random.Random(7)
    cache = FileCache(tmp_path / "cache", ttl_seconds=3600, max_bytes=MAX_BYTES)
    whole = 0

    async def look() -> int:
        found = [await cache.get(key) for key in KEYS]
        assert all(
            kept is None or kept == result(key, kept.facts["size"])
            for key, kept in zip(KEYS, found, strict=True)
        )
        return sum(kept is not None for kept in found)

    for life in range(8):
        command = [sys.executable, str(WRITER), str(tmp_path / "cache"), str(life)]
        writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        for writer in writers:
            writer.stdout.readline()
        time.sleep(chance.uniform(0.02, 0.2))
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdout.close()
        whole += asyncio.run(look())
    assert whole > 8

    for part in (parts := list(tmp_path.rglob("*.part"))):
        os.utime(part, (time.time() - 61,) * 2)
    asyncio.run(cache.trim())
    assert not any(part.exists() for part in parts)
    there = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert 0 < there <= MAX_BYTES


# --- Redis --------------------------------------------------------------------------------------------------


def new_key() -> str:
    """Others use the same Redis."""
    return hashlib.sha256(os.urandom(16)).hexdigest()


@asynccontextmanager
async def opened(url, told=None, ttl_seconds=60, **options):
    link = RedisLink(url, **options)
    try:
        told = [] if told is None else told
        yield RedisCache(link, ttl_seconds, on_result=lambda _, result: told.append(result)), link
    finally:
        await link.close()


KEPT = Kept(b"\x89PNG" * 1000, {"format": "png", "notices": [{"zh": "最好"}]})


def test_servers_share_what_is_in_redis_for_its_time(redis_url):
    async def story():
        key, told = new_key(), []
        async with opened(redis_url, told) as (here, link), opened(redis_url, told) as (there, _):
            assert await there.get(key) is None
            await here.put(key, KEPT)
            assert await there.get(key) == KEPT
            left = await link.call(lambda redis: redis.pttl(PREFIX + key))
            assert 0 < left <= 60_000
            await link.call(lambda redis: redis.delete(PREFIX + key))
        assert told == ["miss", "put", "hit"]

    asyncio.run(story())


class Trap:
    def __reduce__(self):
        return (os._exit, (66,))


@pytest.mark.parametrize(
    "value", [b"", b"{}\n", b"\x00" * 999, pickle.dumps(Trap())], ids=["empty", "json", "zeros", "pickle"]
)
def test_what_somebody_else_put_there_is_a_miss_and_never_run(redis_url, value):
    async def story():
        key, told = new_key(), []
        async with opened(redis_url, told) as (cache, link):
            await link.call(lambda redis: redis.set(PREFIX + key, value, ex=60))
            assert await cache.get(key) is None
            await cache.put(key, KEPT)
            assert await cache.get(key) == KEPT
            await link.call(lambda redis: redis.delete(PREFIX + key))
        assert told == ["miss", "put", "hit"]

    asyncio.run(story())


def test_a_very_large_result_is_not_kept(redis_url):
    async def story():
        key, told = new_key(), []
        async with opened(redis_url, told) as (cache, _):
            await cache.put(key, Kept(bytes(redis_cache.MAX_VALUE_BYTES + 1), {}))
            assert await cache.get(key) is None
        assert told == ["too_large", "miss"]

    asyncio.run(story())


def test_a_redis_without_room_still_gives_what_it_has():
    async def story(url):
        first, told = new_key(), []
        async with opened(url, told) as (cache, link):
            await cache.put(first, KEPT)
            with capture_logs() as lines:
                for _ in range(3):
                    await cache.put(new_key(), Kept(bytes(8_000_000), {}))
            assert await cache.get(first) == KEPT
            assert link.available
        assert told == ["put", "error", "error", "error", "hit"]
        assert [line["event"] for line in lines] == ["cache_refused"]

    with PrivateRedis(maxmemory="4mb", maxmemory_policy="noeviction") as server:
        asyncio.run(story(server.url))


def test_redis_may_go_and_come_back_under_load_and_nobody_sees_an_error():
    """Stopped, frozen and killed while 8 callers ask: each answer is right or a miss, and soon; then hits again."""

    async def caller(cache, stop, slowest):
        while not stop.is_set():
            key = KEYS[random.randrange(8)]
            begun = time.monotonic()
            kept = await cache.get(key)
            assert kept is None or kept == result(key, 1000)
            if kept is None:
                await cache.put(key, result(key, 1000))
            slowest.append(time.monotonic() - begun)
            await asyncio.sleep(0.002)

    async def story(server):
        hit, stop, slowest = asyncio.Event(), asyncio.Event(), []
        link = RedisLink(server.url, timeout_seconds=0.2)
        cache = RedisCache(link, 60, on_result=lambda _, result: hit.set() if result == "hit" else None)
        callers = [asyncio.create_task(caller(cache, stop, slowest)) for _ in range(8)]
        faults = ((server.stop, server.start), (server.freeze, server.thaw), (server.kill, server.start))
        for fault, repair in faults:
            await asyncio.wait_for(hit.wait(), 20)
            await asyncio.to_thread(fault)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(repair)
            hit.clear()
        await asyncio.wait_for(hit.wait(), 20)
        stop.set()
        await asyncio.gather(*callers)
        assert link.available
        await link.close()
        assert max(slowest) < 2.0

    with PrivateRedis() as server, capture_logs():
        asyncio.run(story(server))


def test_where_redis_never_was_everything_is_a_miss_at_once():
    async def story():
        told = []
        async with opened("redis://127.0.0.1:1/0", told) as (cache, _):
            with capture_logs() as lines:
                begun = time.monotonic()
                for _ in range(50):
                    assert await cache.get(KEYS[0]) is None
                    await cache.put(KEYS[0], KEPT)
                await cache.trim()
                await cache.close()
        assert time.monotonic() - begun < 2
        assert set(told) == {"error"}
        assert len(told) == 100
        assert [line["event"] for line in lines] == ["redis_down"]

    asyncio.run(story())

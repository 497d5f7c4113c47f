"""The settings name a cache."""

from __future__ import annotations

import asyncio
import importlib

import pytest

from magic_eraser.errors import SettingsError
from magic_eraser.service.cache import Kept, NullCache
from magic_eraser.service.cache.file import FileCache
from magic_eraser.service.cache.make import cache_of
from magic_eraser.service.cache.memory import MemoryCache
from magic_eraser.service.cache.port import tell_nobody
from magic_eraser.service.cache.redis import RedisCache
from magic_eraser.service.redis_link import RedisLink
from magic_eraser.settings import CacheSettings, Settings

KEY = "ab" * 32


def settings(tmp_path, backend, **more):
    return Settings(data_dir=tmp_path, cache=CacheSettings(backend=backend, **more))


@pytest.mark.parametrize(
    ("backend", "kind"),
    [("null", NullCache), ("memory", MemoryCache), ("file", FileCache), ("redis", RedisCache)],
)
def test_each_by_its_name_without_touching_disk_or_network(tmp_path, backend, kind):
    link = RedisLink("redis://127.0.0.1:1/0")
    cache = cache_of(settings(tmp_path, backend), link, tell_nobody)
    assert type(cache) is kind
    assert cache.backend == backend
    assert list(tmp_path.iterdir()) == []


def test_files_are_the_default_and_lie_in_the_data_folder(tmp_path):
    cache = cache_of(Settings(data_dir=tmp_path), None, tell_nobody)
    asyncio.run(cache.put(KEY, Kept(b"picture", {})))
    assert (tmp_path / "cache" / "ab" / KEY).is_file()


def test_the_redis_one_says_what_it_lacks(tmp_path):
    with pytest.raises(SettingsError, match="ERASER_REDIS__URL"):
        cache_of(settings(tmp_path, "redis"), None, tell_nobody)


@pytest.mark.parametrize("backend", ["memory", "file"])
def test_the_bound_is_the_settings(tmp_path, backend):
    told = []
    cache = cache_of(settings(tmp_path, backend, max_bytes=8192), None, lambda *what: told.append(what))
    asyncio.run(cache.put(KEY, Kept(bytes(9000), {})))
    assert told == [(backend, "too_large")]


def test_nothing_imports_redis_until_it_is_wanted():
    assert not hasattr(importlib.import_module("magic_eraser.service.cache.redis"), "Redis")


def test_the_null_twin_keeps_nothing():
    async def story():
        cache = NullCache()
        await cache.put(KEY, Kept(b"picture", {}))
        assert await cache.get(KEY) is None
        await cache.trim()
        await cache.close()

    asyncio.run(story())

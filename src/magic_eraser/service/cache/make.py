"""The cache that the settings name. Does no I/O."""

from __future__ import annotations

from magic_eraser.errors import SettingsError
from magic_eraser.service.cache.file import FileCache
from magic_eraser.service.cache.memory import MemoryCache
from magic_eraser.service.cache.port import Cache, NullCache, OnResult
from magic_eraser.service.cache.redis import RedisCache
from magic_eraser.service.redis_link import RedisLink
from magic_eraser.settings import MEBIBYTE, Settings

FILE_BYTES, MEMORY_BYTES = 1024 * MEBIBYTE, 128 * MEBIBYTE
"""Where `ERASER_CACHE__MAX_BYTES` is 0."""


def cache_of(settings: Settings, link: RedisLink | None, on_result: OnResult) -> Cache:
    """`ERASER_CACHE__BACKEND`; files lie in `cache/` of the data folder.

    Args:
        link: to `ERASER_REDIS__URL`; None where that is unset.
        on_result: see there.

    Raises:
        SettingsError: Redis is wanted and none is named.
    """
    wanted = settings.cache
    match wanted.backend:
        case "null":
            return NullCache()
        case "memory":
            return MemoryCache(wanted.max_bytes or MEMORY_BYTES, wanted.ttl_seconds, on_result=on_result)
        case "file":
            return FileCache(
                settings.data_dir / "cache",
                ttl_seconds=wanted.ttl_seconds,
                max_bytes=wanted.max_bytes or FILE_BYTES,
                on_result=on_result,
            )
        case "redis":
            if link is None:
                raise SettingsError(
                    "ERASER_CACHE__BACKEND=redis needs ERASER_REDIS__URL, such as redis://host:6379/0"
                )
            return RedisCache(link, wanted.ttl_seconds, on_result=on_result)

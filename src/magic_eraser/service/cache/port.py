"""What the service asks of a cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

OnResult = Callable[[str, str], None]
"""Told (backend, result), in the event loop: of every `get` one of hit, miss, error; of every `put` one of put,
too_large, error; and evicted, of every result that had to make room."""


def tell_nobody(_backend: str, _result: str) -> None:
    """The `OnResult` of those whom it does not interest."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A result: an encoded picture and what is told with it.

    Attributes:
        data: the encoded picture.
        facts: JSON values: format, media_type, model, width, height, notices.
    """

    data: bytes
    facts: dict[str, Any]


class Cache(Protocol):
    """Looked into before the work, and given its result. It may forget; it never fails: what goes wrong inside is a
    miss, a metric and a line in the log.

    Attributes:
        backend: its name in metrics: null, memory, file, redis.
    """

    backend: str

    async def get(self, key: str) -> Kept | None:
        """What was put under `key` (hex SHA-256) and is still there, whole."""
        ...

    async def put(self, key: str, kept: Kept) -> None: ...

    async def trim(self) -> None:
        """Give back memory and disk that is over its time: once a minute, and at sleep."""
        ...

    async def close(self) -> None:
        """Give back all memory: at the end, and at sleep; one that is used again begins anew."""
        ...


class NullCache:
    """Keeps nothing."""

    backend = "null"

    async def get(self, key: str) -> Kept | None:
        return None

    async def put(self, key: str, kept: Kept) -> None:
        return None

    async def trim(self) -> None:
        return None

    async def close(self) -> None:
        return None

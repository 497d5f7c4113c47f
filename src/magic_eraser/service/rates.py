"""How often a party may ask: counted at the door, before a body is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a party stands after a request, as `RateLimit` and `RateLimit-Policy` tell it
    (draft-ietf-httpapi-ratelimit-headers-10).

    Attributes:
        quota: requests allowed in a window.
        window: its length, seconds.
        remaining: requests left now.
        reset: seconds until there are more.
        allowed: whether this request was within it.
    """

    quota: int
    window: int
    remaining: int
    reset: int
    allowed: bool


class Rates(Protocol):
    async def count(self, party: str) -> Rate | None:
        """One request more of this party; None where there is no limit. Never fails: where the shared counter cannot
        be reached, this server counts by itself for the time being."""
        ...

    async def close(self) -> None: ...


class NullRates:
    """No limit."""

    async def count(self, party: str) -> Rate | None:
        return None

    async def close(self) -> None:
        return None

"""Faults, one after the other, at random from a seed: each kind comes before any comes twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from soak_house import House
from soak_ledger import Ledger

PAUSE = (2.0, 7.0)
"""Seconds of peace between two faults."""


async def break_things(house: House, ledger: Ledger, seed: int, until: float) -> Counter[str]:
    """Until `until` of the monotonic clock; everything is mended when this returns. How often each came."""
    chance = random.Random(seed)  # noqa: S311 (chance, not secrets)
    done: Counter[str] = Counter()
    kinds = faults(house, ledger, chance)
    row: list[str] = []
    while True:
        await asyncio.sleep(chance.uniform(*PAUSE))
        if time.monotonic() >= until:
            return done
        if not row:
            row = chance.sample(sorted(kinds), len(kinds))
        kind = row.pop()
        print(f"{until - time.monotonic():5.0f} s to go: {kind}", flush=True)
        await kinds[kind]()
        done[kind] += 1


def faults(house: House, ledger: Ledger, chance: random.Random) -> dict[str, Callable[[], Awaitable[None]]]:
    """What can be done to this house."""
    found: dict[str, Callable[[], Awaitable[None]]] = {
        "a server killed": lambda: house.kill(chance.choice(house.posts)),
        "the lone server killed": lambda: house.kill(house.posts[-1]),
        "a server told to end": lambda: house.terminate(chance.choice(house.posts), ledger),
        "Redis away": lambda: house.lose_redis(chance.uniform(1, 6)),
        "PostgreSQL away for 10 s": lambda: house.lose_postgres(10),
        "SQLite locked for 5 s": lambda: house.lock_sqlite(5),
    }
    if house.small_disk:
        found["the disk full"] = lambda: house.fill_disk(chance.uniform(2, 6))
    return found

"""What an API key costs a call: remembered (the half second after it was looked up), looked up, and unknown.

python benchmarks/key_check.py
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from common import write
from magic_eraser.accounts.keys import key_format
from magic_eraser.accounts.keys.keys import Keys
from magic_eraser.accounts.keys.pepper import Pepper
from magic_eraser.accounts.plan_files.plan_file import read
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.principal import USER_SCOPES
from magic_eraser.accounts.users import Users
from magic_eraser.db.database import Database
from magic_eraser.db.upgrade import upgrade
from magic_eraser.errors import InvalidToken

KEYS = 1000
"""In the table, so that the index is one."""
REMEMBERED, LOOKED_UP = 20_000, 2000
"""Calls that are timed, each by itself."""
LIMIT_MS = 0.2
"""That a remembered key may take, at the 99th percentile."""


class Clock:
    """Time that stands still, or runs as fast as the measurement needs."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def measure(folder: Path) -> dict[str, Any]:
    database = Database.in_folder(folder)
    await upgrade(database)
    clock = Clock()
    keys = Keys(database, Pepper(b"only for this benchmark, and long enough"), clock)
    await Users(database, Plans(read(None))).add("alice", actor="cli:benchmark")
    text = ""
    for _ in range(KEYS):
        _, text = await keys.create("alice", name="key", scopes=USER_SCOPES, actor="cli:benchmark")

    async def remembered() -> None:
        await keys(text)

    async def looked_up() -> None:
        clock.now += 1
        await keys(text)

    async def stranger() -> None:
        await _refused(keys, key_format.make())

    async def miswritten() -> None:
        await _refused(keys, text[:-1] + ("a" if text[-1] != "a" else "b"))

    rows = {
        "remembered": await _times(remembered, REMEMBERED),
        "looked up": await _times(looked_up, LOOKED_UP),
        "unknown": await _times(stranger, LOOKED_UP),
        "miswritten": await _times(miswritten, REMEMBERED),
    }
    await database.close()
    return rows


async def _refused(keys: Keys, text: str) -> None:
    try:
        await keys(text)
    except InvalidToken:
        return
    raise AssertionError("a key that nobody made was taken")


async def _times(work: Callable[[], Awaitable[None]], runs: int) -> dict[str, Any]:
    for _ in range(50):
        await work()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        await work()
        taken.append(1000 * (time.perf_counter() - start))
    cuts = statistics.quantiles(taken, n=100)
    return {"calls": runs, "p50_ms": round(cuts[49], 4), "p99_ms": round(cuts[98], 4)}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(Path(folder)))
    write("key_check", {"database": f"SQLite, {KEYS} keys", "limit_ms": LIMIT_MS, **rows})
    assert rows["remembered"]["p99_ms"] <= LIMIT_MS, rows["remembered"]


if __name__ == "__main__":
    main()

"""Three servers, mixed clients, and faults at random for minutes; then nothing may be lost, leaked or unexplained.

SOAK_MINUTES=10 SOAK_SEED=6 python benchmarks/soak.py

Two servers share a private PostgreSQL and Redis, the third has SQLite, the file cache and everything else on a small
disk of its own. Exits 1 where something is wrong; the report is results/soak.json either way.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2

from common import write
from soak_account import Account
from soak_faults import break_things
from soak_house import House
from soak_jobs import whole_job
from soak_ledger import Ledger
from soak_requests import Client, Pictures
from soak_rude import drip, leave

MINUTES = float(os.environ.get("SOAK_MINUTES", "10"))
SEED = int(os.environ.get("SOAK_SEED", "6"))
CLIENTS = 5
"""For each server, beside one who hands in jobs and one who drips."""
PAUSE = (0.0, 0.15)
"""Seconds between an answer and the next request: busy, but not full at all times."""
WEIGHTS = {
    "erase": 8,
    "erase_json": 2,
    "predict": 2,
    "iopaint": 2,
    "rounds": 2,
    "cached": 3,
    "not_kept": 1,
    "keyed": 2,
    "hurried": 1,
    "empty_mask": 1,
    "broken_file": 1,
    "too_large": 1,
    "look": 2,
    "leave": 3,
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger()
        house = House(Path(folder), ledger)
        try:
            house.open()
            report = asyncio.run(soak(house, ledger))
        finally:
            house.close()
    write("soak", report)
    sys.exit(0 if report["passed"] else 1)


async def soak(house: House, ledger: Ledger) -> dict[str, Any]:
    """Clients and faults at once, then the account."""
    end = time.monotonic() + 60 * MINUTES
    pictures = Pictures()
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(timeout=60, limits=limits) as line:
        clients = [Client(post, line, ledger, pictures, random.Random(SEED)) for post in house.posts]  # noqa: S311
        account = Account(house, ledger, clients)
        await asyncio.sleep(1)
        account.before()
        watching = asyncio.create_task(_watch(house))
        async with asyncio.TaskGroup() as crowd:
            faults = crowd.create_task(break_things(house, ledger, SEED, end))
            for work in _crowd(clients):
                crowd.create_task(_until(end, work, faults))
        watching.cancel()
        problems = await account.problems()
        return {
            "minutes": MINUTES,
            "seed": SEED,
            "passed": not any(problems.values()),
            "faults": dict(faults.result()),
            "small_disk": house.small_disk,
            "requests": sum(count for name, count in ledger.answers.items() if name[-3:].isdecimal()),
            "by_status": dict(sorted(_by_status(ledger).items())),
            "jobs_accepted": len(ledger.jobs),
            "items_accepted": sum(job.items for job in ledger.jobs.values()),
            "problems": {
                name: {"count": len(found), "first": found[:20]} for name, found in problems.items()
            },
            "servers": account.servers(),
            "given_up": dict(ledger.given_up),
            "answers": dict(sorted(ledger.answers.items())),
        }


def _crowd(clients: Sequence[Client]) -> list[Callable[[], Awaitable[None]]]:
    """What each of the crowd does again and again."""
    works: list[Callable[[], Awaitable[None]]] = []
    for number, client in enumerate(clients):
        peers = [other for other in clients if other.post.store == client.post.store]
        chances = [random.Random(f"{SEED} {number} {k}") for k in range(CLIENTS + 3)]  # noqa: S311
        works += [_mixed(client, chance) for chance in chances[:CLIENTS]]
        works += [_jobs(peers, chance) for chance in chances[CLIENTS : CLIENTS + 2]]
        works.append(_drips(client, chances[-1]))
    return works


def _mixed(client: Client, chance: random.Random) -> Callable[[], Awaitable[None]]:
    own = Client(client.post, client.line, client.ledger, client.pictures, chance)

    async def work() -> None:
        [name] = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        if name == "leave":
            await leave(own.post, own.ledger, own.pictures, chance)
        else:
            await getattr(own, name)()
        await asyncio.sleep(chance.uniform(*PAUSE))

    return work


def _jobs(peers: Sequence[Client], chance: random.Random) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        await whole_job(peers, chance)
        await asyncio.sleep(chance.uniform(1, 4))

    return work


def _drips(client: Client, chance: random.Random) -> Callable[[], Awaitable[None]]:
    return lambda: drip(client.post, client.ledger, chance)


async def _until(end: float, work: Callable[[], Awaitable[None]], faults: asyncio.Task[Counter[str]]) -> None:
    """While there is time, and the last fault is not mended."""
    while time.monotonic() < end or not faults.done():
        await work()


async def _watch(house: House) -> None:
    while True:
        for post in house.posts:
            post.watch()
        await asyncio.sleep(1)


def _by_status(ledger: Ledger) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, count in ledger.answers.items():
        if name[-3:].isdecimal():
            found[name[-3:]] += count
    return found


if __name__ == "__main__":
    main()

"""The account at a soak's end: every job over, every item once, and nothing left lying about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from load import slope
from soak_house import House, Post
from soak_jobs import OVER, judge
from soak_ledger import Accepted, Ledger
from soak_requests import Client

JOBS_SECONDS = 180.0
"""For jobs that were open when the last client left."""
SWEEP_SECONDS = 330.0
"""For files that a crash left behind: pictures of a job that was never accepted go after 180 s, with the next round of
the servers' housekeeping; so do bodies of answers that no key names, a minute and two leases old."""
SPARE_DESCRIPTORS = 40
"""Connections to databases and cache that a server may have opened since its start."""
MOST_MIB = 700.0
"""Of any server at any time: three slots with the largest pictures of this soak, and the heap's slack."""


class Account:
    """Made before the crowd comes.

    Args:
        clients: one for each server.
    """

    def __init__(self, house: House, ledger: Ledger, clients: Sequence[Client]) -> None:
        self._house = house
        self._ledger = ledger
        self._clients = {client.post.name: client for client in clients}
        self._descriptors = 0

    def before(self) -> None:
        self._descriptors = max(post.descriptors() for post in self._house.posts)

    async def problems(self) -> dict[str, list[str]]:
        """By kind; none where all is well."""
        lost = await self._lost_jobs()
        found = {
            "wrong_answers": self._ledger.wrong,
            "connections_broken_without_a_fault": self._ledger.unexplained(),
            "jobs_lost": lost,
            "ledger": await self._ledger_of_usage(),
            "defects_in_the_logs": [line for post in self._house.posts for line in post.defects()],
        }
        await asyncio.sleep(1)
        return {**found, "leaked": await self._leaks(), "memory": self._memory()}

    def servers(self) -> dict[str, Any]:
        """How each fared."""
        return {post.name: _life(post) for post in self._house.posts}

    # --- jobs -------------------------------------------------------------------------------------------

    async def _lost_jobs(self) -> list[str]:
        """Each accepted job is there and over, unless its client removed it; and no other is open."""
        end = time.monotonic() + JOBS_SECONDS
        there = [job for job in self._ledger.jobs.values() if not job.removed]
        lost = [
            f"{job.store} {job.id}: not over, or gone" for job in there if not await self._is_over(job, end)
        ]
        for store, url in self._house.database_urls.items():
            for table, open_states in (("jobs", "queued', 'running"), ("job_items", "queued', 'leased")):
                query = f"SELECT count(*) FROM {table} WHERE state IN ('{open_states}')"  # noqa: S608 (ours)
                [[count]] = await rows_of(url, query)
                if count:
                    lost.append(f"{store}: {count} rows of {table} open")
        return lost

    async def _is_over(self, job: Accepted, end: float) -> bool:
        [client, *_] = [one for one in self._clients.values() if one.post.store == job.store]
        while True:
            response = await client.ask("job", "GET", f"/v1/jobs/{job.id}", frozenset({200, 404}))
            if response is not None and response.status_code == 404:
                return job.cancelled
            if response is not None and response.status_code == 200 and response.json()["state"] in OVER:
                job.seen = judge(job, response.json(), client)
                return True
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.5)

    async def _ledger_of_usage(self) -> list[str]:
        """Each item that succeeded stands in the ledger once."""
        told: dict[str, int] = {}
        for url in self._house.database_urls.values():
            for (source,) in await rows_of(url, "SELECT source_id FROM usage_events WHERE source = 'job'"):
                job = source.partition("/")[0]
                told[job] = told.get(job, 0) + 1
        return [
            f"{job.store} {job.id}: {told.get(job.id, 0)} in the ledger, {job.seen['succeeded']} succeeded"
            for job in self._ledger.jobs.values()
            if job.seen and told.get(job.id, 0) != job.seen["succeeded"]
        ]

    # --- leaks ------------------------------------------------------------------------------------------

    async def _leaks(self) -> list[str]:
        end = time.monotonic() + SWEEP_SECONDS
        found = await self._left_over()
        while found and time.monotonic() < end:
            await asyncio.sleep(2)
            found = await self._left_over()
        most = self._descriptors + SPARE_DESCRIPTORS
        counts = {post.name: post.descriptors() for post in self._house.posts}
        return found + [f"{name}: {count} descriptors" for name, count in counts.items() if count > most]

    async def _left_over(self) -> list[str]:
        found = []
        for post in self._house.posts:
            files = [*post.temp_dir.rglob("*"), *post.data_dir.rglob("*.part")]
            found += [f"{post.name}: {path.relative_to(post.data_dir)}" for path in files if path.is_file()]
        return found + await self._orphans()

    async def _orphans(self) -> list[str]:
        """Folders of blobs that no row names."""
        found = []
        for store, url in self._house.database_urls.items():
            named = {row[0] for row in await rows_of(url, "SELECT id FROM jobs")}
            bodies = "SELECT body_blob FROM idempotency_keys WHERE body_blob IS NOT NULL"
            named |= {row[0].partition("/")[0] for row in await rows_of(url, bodies)}
            if store == "sqlite":
                kept = {path.name for path in (self._house.disk / "blobs").glob("*")}
            else:
                kept = {row[0] for row in await rows_of(url, "SELECT DISTINCT folder FROM blobs")}
            found += [f"{store}: blobs of {folder}" for folder in sorted(kept - named)]
        return found

    def _memory(self) -> list[str]:
        most = {post.name: max(max(life, default=0) for life in post.lives) for post in self._house.posts}
        return [f"{name}: {mib:.0f} MiB" for name, mib in most.items() if mib > MOST_MIB]


def _life(post: Post) -> dict[str, Any]:
    longest = max(post.lives, key=len)
    return {
        "lives": len(post.lives),
        "seconds_of_the_longest": len(longest),
        "rss_mib_most": round(max(max(life, default=0) for life in post.lives)),
        "rss_mib_at_the_end": round(post.lives[-1][-1]) if post.lives[-1] else None,
        "rss_slope_of_the_longest_mib_per_minute": slope(longest),
        "descriptors_at_the_end": post.descriptors(),
    }


async def rows_of(url: str, query: str, **values: str) -> list[Any]:
    """Asked of the database itself, past the servers."""
    driver = url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(driver)
    try:
        async with engine.connect() as connection:
            return list((await connection.execute(sa.text(query), values)).all())
    finally:
        await engine.dispose()

"""A thousand pictures, and servers that die: nothing is lost, nothing is charged twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from jobs_house import house
from jobs_process import begin, begun
from magic_eraser.jobs.tables import JobState

ITEMS, KILLS, LEASE = 1000, 5, 1.0


async def told_once(built, job, items: int) -> None:
    """Every item has one result, one event of its end and one line in the bill."""
    over = await built.store.get(job.tenant_id, job.id)
    assert (over.state, over.succeeded, over.failed) == (JobState.SUCCEEDED, items, 0)
    results = [item.result_blob for item in await built.items(job)]
    assert len(set(results)) == items
    for blob in random.sample(results, 50):
        assert await built.blobs.get(blob) == b"erased"
    events = await built.store.events(job.tenant_id, job.id, 0)
    assert [event.sequence for event in events] == list(range(1, items + 2))
    bill = Counter(event.source_id for event in await built.events())
    assert bill == {f"{job.id}/{index}": 1 for index in range(items)}


def test_a_thousand_pictures_through_five_kills(database_url, tmp_path):
    async def story():
        chance = random.Random(6)
        async with house(database_url, tmp_path) as built:
            job = await built.job(items=ITEMS)
            process = begin(database_url, tmp_path, LEASE)
            try:
                for kill in range(1, KILLS + 1):
                    done = kill * ITEMS // (KILLS + 2) + chance.randrange(ITEMS // (KILLS + 2))
                    await built.until(
                        job, lambda now, least=done: now.succeeded >= least, seconds=60, look=0.05
                    )
                    process.kill()
                    process.wait()
                    assert not (await built.store.get(job.tenant_id, job.id)).over
                    process = begin(database_url, tmp_path, LEASE)
                await built.until(job, lambda now: now.over, seconds=60, look=0.1)
            finally:
                process.kill()
                process.wait()
            await told_once(built, job, ITEMS)

    asyncio.run(story())


@pytest.mark.parametrize("servers", [3])
def test_servers_on_one_postgresql_share_a_job(new_postgres_url, tmp_path, servers):
    async def story():
        async with house(new_postgres_url, tmp_path) as built:
            job = await built.job(items=300)
            processes = [begin(new_postgres_url, tmp_path, LEASE) for _ in range(servers)]
            try:
                await built.until(job, lambda now: now.succeeded >= 100, seconds=60, look=0.05)
                processes[0].kill()
                await built.until(job, lambda now: now.over, seconds=60, look=0.1)
            finally:
                for process in processes:
                    process.kill()
                    process.wait()
            await told_once(built, job, 300)
            shares = begun(tmp_path)
            assert len(shares) == servers
            assert min(shares.values()) >= 10
            assert 300 <= sum(shares.values()) <= 304  # again: only what the killed one had under way

    asyncio.run(story())

"""Jobs as their owners see them, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import os

import pytest

from jobs_house import LEASE, OPTIONS, TTL, TableQuota, result
from magic_eraser.accounts.principal import LOCAL_OWNER, Principal
from magic_eraser.db.base import now
from magic_eraser.errors import InvalidImage, NotFound
from magic_eraser.jobs.job import Item, Job, NewItem, NewJob
from magic_eraser.jobs.store import new_id
from magic_eraser.jobs.sweeping import sweep
from magic_eraser.jobs.tables import ItemState, JobState

STRANGER = Principal("somebody else", "key")


async def finish(house, claimed, **values) -> bool:
    blob = await house.blobs.put(claimed.job_id, b"erased")
    return await house.claims.finish(claimed, result(**values), blob)


def test_a_new_job_waits_with_all_its_items_in_order(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=1200)
            assert job.state is JobState.QUEUED
            assert (job.total, job.succeeded, job.failed, job.sequence) == (1200, 0, 0, 0)
            assert (job.finished_at, job.expires_at) == (None, None)
            items = await house.items(job)
            assert [item.index for item in items] == list(range(1200))
            assert {item.success for item in items} == {None}
            assert await house.store.item("local", job.id, 7) == items[7]

    asyncio.run(story())


def test_another_tenants_job_is_not_there(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job()
            store = house.store
            for ask in (
                store.get(STRANGER.tenant_id, job.id),
                store.items(STRANGER.tenant_id, job.id),
                store.item(STRANGER.tenant_id, job.id, 0),
                store.events(STRANGER.tenant_id, job.id, 0),
                store.cancel(STRANGER.tenant_id, job.id),
                store.remove(STRANGER.tenant_id, job.id),
                store.get("local", new_id()),
                store.item("local", job.id, 3),
            ):
                with pytest.raises(NotFound):
                    await ask
            assert (await store.get("local", job.id)).state is JobState.QUEUED

    asyncio.run(story())


def test_a_tenant_sees_its_own_jobs_newest_first(open_house):
    async def story():
        async with open_house() as house:
            made = [await house.job() for _ in range(3)]
            await house.job(principal=STRANGER)
            for age, job in enumerate(made):
                await house.age(job, created_at=1000.0 + age)
            ids = [job.id for job in made]
            assert [job.id for job in await house.store.newest("local", limit=2)] == ids[:0:-1]
            last = await house.store.get("local", ids[1])
            older = await house.store.newest("local", limit=9, after=last)
            assert [job.id for job in older] == ids[:1]

    asyncio.run(story())


def test_events_are_numbered_without_gaps_and_end_with_the_jobs_own(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=3)
            first, second, third = [await house.claims.claim("a") for _ in range(3)]
            await finish(house, third)
            await house.claims.fail(first, InvalidImage())
            assert [event.index for event in await house.store.events("local", job.id, 0)] == [2, 0]
            await finish(house, second)
            events = await house.store.events("local", job.id, 0)
            assert [event.sequence for event in events] == [1, 2, 3, 4]
            assert [type(event) for event in events] == [Item, Item, Item, Job]
            assert events[-1].state is JobState.FAILED  # one item did; the others have their results
            assert await house.store.events("local", job.id, 2) == events[2:]
            assert await house.store.events("local", job.id, 4) == []
            assert house.over == [job.id]

    asyncio.run(story())


def test_a_job_that_is_over_says_when_it_goes(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=1)
            assert await finish(house, await house.claims.claim("a"))
            over = await house.store.get("local", job.id)
            assert over.state is JobState.SUCCEEDED
            assert over.expires_at == pytest.approx(over.finished_at + TTL, abs=1)

    asyncio.run(story())


def test_cancelling_ends_every_open_item_and_no_other(open_house):
    async def story():
        async with open_house(quota=TableQuota()) as house:
            job = await house.job(items=3)
            done, running = await house.claims.claim("a"), await house.claims.claim("a")
            await finish(house, done)
            cancelled = await house.store.cancel("local", job.id)
            assert cancelled.state is JobState.CANCELLED
            assert cancelled.finished_at is not None
            items = await house.items(job)
            assert [item.state for item in items] == [ItemState.SUCCEEDED, *[ItemState.CANCELLED] * 2]
            assert [item.success for item in items] == [True, False, False]
            assert [item.error_code for item in items] == [None, "cancelled", "cancelled"]
            assert not await finish(house, running)  # it comes too late
            assert await house.claims.held("a") == set()
            assert await house.claims.claim("a") is None
            assert len(await house.events()) == 1
            assert await house.store.cancel("local", job.id) == cancelled  # again: as it is
            assert house.over == [job.id]
            assert (await house.store.events("local", job.id, 1)) == [cancelled]

    asyncio.run(story())


@pytest.mark.parametrize("items", [1, 2])
def test_removing_takes_rows_and_pictures_also_of_an_open_job(open_house, items):
    async def story():
        async with open_house() as house:
            job = await house.job(items=items)
            claimed = await house.claims.claim("a")
            await finish(house, claimed)  # with one item, that is its end
            await house.store.remove("local", job.id)
            with pytest.raises(NotFound):
                await house.store.get("local", job.id)
            with pytest.raises(NotFound):
                await house.blobs.get(claimed.image_blob)
            assert await house.blobs.folders(older_than=-10) == []

    asyncio.run(story())


def test_counts_are_of_all_tenants(open_house):
    async def story():
        async with open_house() as house:
            assert await house.store.counts() == {}
            first, _second = await house.job(), await house.job(principal=STRANGER)
            await house.store.cancel("local", first.id)
            assert await house.store.counts() == {JobState.CANCELLED: 1, JobState.QUEUED: 1}

    asyncio.run(story())


def test_sweeping_takes_what_is_over_its_time_and_pictures_of_no_job(open_house):
    async def story():
        async with open_house() as house:
            old = [await house.job(items=1) for _ in range(23)]  # more than in one step
            young, open_one = await house.job(), await house.job()
            for job in old:
                await house.store.cancel("local", job.id)
                await house.age(job, expires_at=now() - 1)
            await house.store.cancel("local", young.id)
            await house.blobs.put("orphan", b"of a job that never was")
            await sweep(house.database, house.blobs)
            left = {young.id, open_one.id}
            assert {job.id for job in await house.store.newest("local", limit=99)} == left
            assert set(await house.blobs.folders(older_than=-10)) == {
                *left,
                "orphan",
            }  # it may yet be accepted

    asyncio.run(story())


def test_orphans_go_after_a_while_but_answers_of_idempotency_keys_stay(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job()
            for folder in ("orphan", "idem-answer"):
                await house.blobs.put(folder, b"bytes")
            await an_hour_passes(house)
            await sweep(house.database, house.blobs)
            assert set(await house.blobs.folders(older_than=-10)) == {job.id, "idem-answer"}

    asyncio.run(story())


async def an_hour_passes(house) -> None:
    if house.database.is_sqlite:
        for path in house.blobs._root.rglob("*"):
            await asyncio.to_thread(_backdate, path)
        return
    async with house.database.write() as connection:
        await connection.exec_driver_sql("UPDATE blobs SET created_at = created_at - 4000")


def _backdate(path) -> None:
    before = path.stat().st_mtime - 4000
    os.utime(path, (before, before))


def test_a_job_is_taken_with_its_pictures_in_one_step_or_not_at_all(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job()
            again = NewJob(job.id, (NewItem("x", "y", "z"),), OPTIONS)
            with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
                await house.store.create(LOCAL_OWNER, again)
            assert len(await house.items(job)) == 3

    asyncio.run(story())


def test_a_lease_is_as_long_as_it_says(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job()
            await house.claims.claim("a")
            row = await house.row(job)
            (moment,) = (await house.rows(now().select()))[0]
            assert row.lease_until == pytest.approx(moment + LEASE, abs=5)

    asyncio.run(story())

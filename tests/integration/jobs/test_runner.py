"""A server's part in jobs, on SQLite and on PostgreSQL, before a service that only takes its time."""

from __future__ import annotations

import asyncio
import time

import pytest
import structlog

from databases import make_schema
from jobs_house import ATTEMPTS, Clerk, Forgetful, TableQuota, eventually, house
from magic_eraser.accounts.priority import Priority
from magic_eraser.db.base import now
from magic_eraser.errors import Draining, EmptyMask, StorageFull
from magic_eraser.jobs.claims import Claims
from magic_eraser.jobs.runner import JobRunner, owner_name
from magic_eraser.jobs.tables import ItemState, JobState
from magic_eraser.service.request import Keeping
from private_servers import PrivatePostgres


def test_a_job_is_worked_through_by_as_many_at_once_as_allowed(open_house):
    async def story():
        async with open_house(quota=TableQuota()) as house:
            job = await house.job(items=12)
            clerk = Clerk(0.2)  # far longer than a claim takes on a busy machine
            house.runner(clerk, concurrency=3)
            over = await house.until_over(job)
            assert (over.state, over.succeeded) == (JobState.SUCCEEDED, 12)
            assert clerk.most == 3
            assert len(clerk.seen) == len(await house.events()) == 12
            principal, request, watch, prepaid = clerk.seen[0]
            assert principal.priority is Priority.BATCH
            assert (request.image, request.mask, request.options.model) == (b"image", b"mask", "telea")
            assert prepaid.units == 2
            assert watch.remaining() is None  # its time begins with its slot
            watch.begin()
            assert 29 < watch.remaining() <= 30
            for item in await house.items(job):
                assert await house.blobs.get(item.result_blob) == b"erased"

    asyncio.run(story())


def test_a_picture_that_its_caller_has_to_mend_fails_alone(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=3)
            house.runner(Clerk(raises=[EmptyMask()]), concurrency=1)
            over = await house.until_over(job)
            assert (over.state, over.succeeded, over.failed) == (JobState.FAILED, 2, 1)
            assert [item.error_code for item in await house.items(job)] == ["empty_mask", None, None]

    asyncio.run(story())


def test_what_is_begun_again_is_not_had_from_the_cache(open_house):
    """A result that was kept before it was charged would be one for nothing."""

    async def story():
        async with open_house(quota=TableQuota()) as house:
            job = await house.job(items=1)
            clerk = Clerk(raises=[StorageFull(retry_after=0.1)])
            house.runner(clerk, concurrency=1)
            assert (await house.until_over(job)).succeeded == 1
            assert [request.keeping for _, request, *_ in clerk.seen] == [Keeping.ALLOWED, Keeping.REFRESH]

    asyncio.run(story())


def test_a_picture_that_is_gone_says_so(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=1)
            await house.blobs.delete((await house.row(job)).mask_blob)
            house.runner(Clerk())
            await house.until_over(job)
            item = (await house.items(job))[0]
            assert (item.error_code, item.attempts) == ("not_found", 1)
            assert "not there any more" in item.error

    asyncio.run(story())


def test_a_defect_of_ours_is_tried_again_and_then_told_without_its_cause(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=1)
            clerk = Clerk(raises=[ZeroDivisionError("secret")] * ATTEMPTS)
            house.runner(clerk)
            for attempt in range(1, ATTEMPTS):
                await eventually(lambda least=attempt: len(clerk.seen) >= least)
                await house.until_row(job, lambda row: row.state == ItemState.QUEUED)
                await house.change(job, run_at=now())
            await house.until_over(job)
            item = (await house.items(job))[0]
            assert (item.error_code, item.attempts) == ("internal", ATTEMPTS)
            assert "secret" not in item.error

    asyncio.run(story())


def test_a_full_door_costs_no_attempt(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=1)
            clerk = Clerk(raises=[Draining(retry_after=0)])
            house.runner(clerk)
            await house.until_over(job)
            assert len(clerk.seen) == 2
            assert (await house.items(job))[0].attempts == 1

    asyncio.run(story())


def test_cancelling_stops_what_runs(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=5)
            clerk = Clerk(60)
            runner = house.runner(clerk)
            await eventually(lambda: clerk.running == 2)
            await house.store.cancel("local", job.id)
            await eventually(lambda: not runner.busy)
            assert clerk.cancelled == 2
            assert await house.events() == []
            next_job = await house.job(items=1)
            clerk.seconds = 0
            await house.until_over(next_job)  # it goes on

    asyncio.run(story())


def test_leaving_gives_back_what_runs_and_the_next_server_has_it_at_once(open_house):
    async def story():
        async with open_house(quota=TableQuota()) as house, open_house() as other:
            job = await house.job(items=2)
            clerk = Clerk(60)
            runner = house.runner(clerk)
            await eventually(lambda: clerk.running == 2)
            await runner.stop()
            assert not runner.busy
            assert clerk.cancelled == 2
            rows = [await house.row(job, index) for index in (0, 1)]
            assert {(row.state, row.attempts, row.owner) for row in rows} == {("queued", 0, None)}
            assert await house.holds() == {"released": 2}
            other.runner(Clerk())
            await house.until_over(job, seconds=5)  # its lease would be a minute
            assert {item.attempts for item in await house.items(job)} == {1}
            await runner.stop()  # again

    asyncio.run(story())


def test_work_on_what_another_server_has_meanwhile_is_stopped(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=1)
            clerk = Clerk(60)
            runner = house.runner(clerk)
            await eventually(lambda: clerk.running == 1)
            await house.change(job, owner="somebody else", fence=2)
            await eventually(lambda: not runner.busy)
            assert clerk.cancelled == 1
            assert (await house.row(job)).owner == "somebody else"

    asyncio.run(story())


def test_a_result_that_comes_too_late_leaves_nothing(open_house):
    async def story():
        async with open_house() as house:
            job = await house.job(items=1)
            clerk = Clerk()
            clerk.go.clear()
            runner = house.runner(clerk, concurrency=1, poll_seconds=60)  # does not look meanwhile
            await eventually(lambda: clerk.running == 1)
            kept = set()

            class Listening:
                def __init__(self, blobs) -> None:
                    self.blobs = blobs

                async def put(self, folder, data):
                    kept.add(blob := await self.blobs.put(folder, data))
                    return blob

                async def delete(self, blob) -> None:
                    await self.blobs.delete(blob)
                    kept.remove(blob)

            runner._blobs = Listening(house.blobs)
            await house.change(job, lease_until=now() - 1)
            second = await house.claims.claim("somebody else")
            clerk.go.set()
            await eventually(lambda: not runner.busy)
            assert kept == set()
            assert await house.claims.held("somebody else") == {second.key}
            assert await house.events() == []

    asyncio.run(story())


def test_a_lease_is_renewed_for_as_long_as_the_work_takes(open_house):
    async def story():
        async with open_house(lease=0.6) as house, open_house(lease=0.6) as other:
            job = await house.job(items=1)
            clerk, idle = Clerk(1.5), Clerk()
            house.runner(clerk)
            await eventually(lambda: clerk.running == 1)
            other.runner(idle)
            await house.until_over(job)
            assert (len(clerk.seen), len(idle.seen)) == (1, 0)
            assert (await house.items(job))[0].attempts == 1

    asyncio.run(story())


def test_answers_lost_on_the_way_lose_nothing(open_house):
    async def story():
        async with open_house(kind=Forgetful, quota=TableQuota()) as house:
            job = await house.job(items=20)
            house.runner(Clerk(0.01))
            for done in (2, 5, 8, 11, 14, 17):
                await house.until(job, lambda now, least=done: now.succeeded >= least)
                house.database.lost += 2
            over = await house.until_over(job)
            assert (over.succeeded, over.failed) == (20, 0)
            assert len(await house.events()) == 20
            for item in await house.items(job):
                assert await house.blobs.get(item.result_blob) == b"erased"
            assert (await house.holds())["settled"] == 20

    asyncio.run(story())


def test_no_room_for_a_result_is_waited_for_and_the_work_is_not_done_again(open_house):
    class Narrow:
        """No room for the first three."""

        def __init__(self, blobs) -> None:
            self.blobs, self.refusals = blobs, 3

        async def get(self, blob_id) -> bytes:
            return await self.blobs.get(blob_id)

        async def put(self, folder, data) -> str:
            if self.refusals:
                self.refusals -= 1
                raise StorageFull
            return await self.blobs.put(folder, data)

    async def story():
        async with open_house() as house:
            job = await house.job(items=1)
            clerk = Clerk()
            house.blobs = Narrow(house.blobs)
            house.runner(clerk)
            over = await house.until_over(job)
            assert (over.succeeded, len(clerk.seen)) == (1, 1)

    asyncio.run(story())


def test_a_defect_in_the_queue_does_not_end_the_runner(open_house):
    class Stumbling(Claims):
        stumbles = 2

        async def claim(self, owner):
            if self.stumbles:
                self.stumbles -= 1
                raise ZeroDivisionError
            return await super().claim(owner)

        async def renew(self, owner):
            if self.stumbles < 2:
                self.stumbles -= 1
                raise ZeroDivisionError
            return await super().renew(owner)

    async def story():
        async with open_house(lease=0.1, claims_kind=Stumbling) as house:
            job = await house.job(items=2)
            with structlog.testing.capture_logs() as logs:
                house.runner(Clerk(0.2))
                assert (await house.until_over(job)).succeeded == 2
            assert {"jobs_look_failed", "jobs_renewal_failed"} <= {line["event"] for line in logs}

    asyncio.run(story())


def test_a_new_job_need_not_wait_for_the_next_look(open_house):
    async def story():
        async with open_house() as house:
            runner = house.runner(Clerk(), poll_seconds=60)
            await asyncio.sleep(0.1)  # it looked, and found nothing
            job = await house.job()
            runner.wake()
            await house.until_over(job, seconds=5)

    asyncio.run(story())


def test_a_dozing_runner_looks_seldom_until_it_is_roused(open_house):
    class Counting(Claims):
        looks = 0

        async def claim(self, owner):
            self.looks += 1
            return await super().claim(owner)

    async def story():
        async with open_house(claims_kind=Counting) as house:
            runner = house.runner(Clerk())
            await eventually(lambda: house.claims.looks >= 3)
            runner.doze()
            await asyncio.sleep(0.1)
            looks = house.claims.looks
            await asyncio.sleep(0.3)
            assert house.claims.looks == looks
            job = await house.job()
            runner.rouse()
            await house.until_over(job, seconds=5)
            looks = house.claims.looks
            await eventually(lambda: house.claims.looks >= looks + 3)

    asyncio.run(story())


def test_a_database_that_is_away_for_ten_seconds_costs_time_and_nothing_else(tmp_path):
    async def story(server):
        async with house(server.url, tmp_path, timeout_seconds=2) as built:
            job = await built.job(items=60)
            clerk = Clerk(0.1)
            with structlog.testing.capture_logs() as logs:
                built.runner(clerk)
                await built.until(job, lambda now: now.succeeded >= 10)
                await asyncio.to_thread(server.stop)
                begun = len(clerk.seen)
                await asyncio.sleep(10)
                assert len(clerk.seen) <= begun + 2
                await asyncio.to_thread(server.start)
                back = time.monotonic()
                over = await built.until_over(job)
            assert (over.state, over.succeeded) == (JobState.SUCCEEDED, 60)
            assert time.monotonic() - back < 15
            assert len(await built.events()) == 60
            assert len(clerk.seen) <= 62  # results that were ready were written down, not made again
            told = [line["event"] for line in logs if line["event"].startswith("jobs_with")]
            assert told.count("jobs_without_database") == told.count("jobs_with_database_again") == 1

    with PrivatePostgres() as server:
        asyncio.run(make_schema(server.url))
        asyncio.run(story(server))


def test_every_start_of_a_server_has_a_name_of_its_own():
    assert len({owner_name() for _ in range(100)}) == 100
    assert len(owner_name()) <= 80
    assert JobRunner(None, None, None, concurrency=1, item_seconds=1, owner="me").owner == "me"


@pytest.mark.parametrize("concurrency", [1])
def test_stopping_a_runner_that_never_began_is_nothing(open_house, concurrency):
    async def story():
        async with open_house() as house:
            await JobRunner(
                house.claims, Clerk(), house.blobs, concurrency=concurrency, item_seconds=1
            ).stop()

    asyncio.run(story())

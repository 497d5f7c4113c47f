"""A runner whose queue is somewhere else, with pauses that nobody wants to wait for."""

from __future__ import annotations

import asyncio

import pytest

from jobs_house import Clerk, eventually, house
from magic_eraser.errors import StorageUnavailable
from magic_eraser.jobs.claims import Claims


class Away(Claims):
    """Its database is gone for the first `tries` looks."""

    tries = 4

    async def claim(self, owner):
        if self.tries:
            self.tries -= 1
            raise StorageUnavailable
        return await super().claim(owner)


def test_a_database_that_is_away_is_asked_again_with_growing_pauses(sqlite_url, tmp_path):
    async def story():
        loop = asyncio.get_running_loop()
        async with house(sqlite_url, tmp_path, claims_kind=Away) as built:
            job = await built.job(items=1)
            begin = loop.time()
            built.runner(Clerk(), poll_seconds=0.02)
            await built.until_over(job)
            assert loop.time() - begin >= 0.02 * (2 + 4 + 8 + 16)

    asyncio.run(story())


def test_after_days_without_a_database_it_still_asks(sqlite_url, tmp_path):
    """A pause that doubles overflows a float after 1,024 times: an hour and a half of them."""

    async def story():
        async with house(sqlite_url, tmp_path, claims_kind=Away) as built:
            built.claims.tries = 1100
            job = await built.job(items=1)
            built.runner(Clerk(), poll_seconds=1e-7)
            await built.until_over(job)

    asyncio.run(story())


def test_a_result_that_cannot_be_written_down_is_not_held_for_ever(sqlite_url, tmp_path):
    class Deaf(Claims):
        async def finish(self, claimed, result, result_blob):
            raise StorageUnavailable

    async def story():
        async with house(sqlite_url, tmp_path, claims_kind=Deaf, lease=0.5) as built:
            job = await built.job(items=1)
            clerk = Clerk()
            built.runner(clerk)
            await eventually(lambda: len(clerk.seen) >= 1)
            row = await built.until_row(job, lambda row: row.state == "queued" and row.fence == 1)
            assert row.attempts == 0  # the database's fault

    asyncio.run(story())


@pytest.mark.parametrize("drain", [0.2])
def test_leaving_does_not_wait_for_a_database_that_is_gone(sqlite_url, tmp_path, drain):
    class Gone(Claims):
        async def give_back(self, claimed):
            raise StorageUnavailable

    async def story():
        async with house(sqlite_url, tmp_path, claims_kind=Gone) as built:
            await built.job(items=1)
            clerk = Clerk(60)
            runner = built.runner(clerk)
            await eventually(lambda: clerk.running == 1)
            loop = asyncio.get_running_loop()
            begin = loop.time()
            await runner.stop()
            assert drain < loop.time() - begin < 5
            assert not runner.busy

    asyncio.run(story())

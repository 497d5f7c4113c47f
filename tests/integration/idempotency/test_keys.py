"""One answer to one key, whatever happens to a server: on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import sqlalchemy as sa

from idempotency_house import ANSWER, ASKED, OTHER_PRINT, change, rows
from magic_eraser.db.base import now
from magic_eraser.db.blobs import FileBlobs, blob_pieces
from magic_eraser.errors import (
    IdempotencyInFlight,
    IdempotencyMismatch,
    StorageFull,
)
from magic_eraser.service.idempotency.keys import Attempt, IdempotencyKeys
from magic_eraser.service.idempotency.tables import idempotency_keys as table

# --- one key --------------------------------------------------------------------------------------------


def test_the_second_request_gets_the_answer_of_the_first_after_a_restart_too(keys):
    async def story():
        async with keys() as (one, _):
            attempt = await one.begin(*ASKED)
            assert await one.finish(attempt, ANSWER)
            assert await one.begin(*ASKED) == ANSWER
        async with keys() as (later, _):
            assert await later.begin(*ASKED) == ANSWER

    asyncio.run(story())


def test_while_the_first_runs_the_second_is_refused_and_told_when_to_come_again(keys):
    async def story():
        async with keys() as (one, _), keys() as (other, _):
            await one.begin(*ASKED)
            with pytest.raises(IdempotencyInFlight) as refused:
                await other.begin(*ASKED)
            assert 0 < refused.value.retry_after <= 2

    asyncio.run(story())


@pytest.mark.parametrize("done", [False, True])
def test_another_request_with_the_same_key_is_refused(keys, done):
    async def story():
        async with keys() as (one, _):
            attempt = await one.begin(*ASKED)
            if done:
                await one.finish(attempt, ANSWER)
            with pytest.raises(IdempotencyMismatch):
                await one.begin(*ASKED[:3], OTHER_PRINT)

    asyncio.run(story())


def test_a_key_is_of_its_tenant_and_route(keys):
    async def story():
        async with keys() as (one, _):
            await one.begin(*ASKED)
            assert isinstance(await one.begin("another", *ASKED[1:]), Attempt)
            assert isinstance(await one.begin("tenant", "POST /v1/jobs", "key", OTHER_PRINT), Attempt)

    asyncio.run(story())


def test_an_abandoned_key_is_free_for_any_request(keys):
    async def story():
        async with keys() as (one, database):
            await one.abandon(await one.begin(*ASKED))
            assert await rows(database) == []
            assert isinstance(await one.begin(*ASKED[:3], OTHER_PRINT), Attempt)

    asyncio.run(story())


@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 3 * 1024 * 1024 + 1])
def test_a_body_of_any_size_is_kept(keys, size):
    async def story():
        answer = replace(ANSWER, body=secrets.token_bytes(size), media_type=None, headers=())
        async with keys() as (one, _):
            await one.finish(await one.begin(*ASKED), answer)
            assert await one.begin(*ASKED) == answer

    asyncio.run(story())


# --- several at once, and servers that die ----------------------------------------------------------------


def test_of_fifty_at_once_on_two_servers_exactly_one_does_the_work(keys):
    async def story():
        async with keys() as (one, _), keys() as (other, _):
            asked = [(one, other)[number % 2].begin(*ASKED) for number in range(50)]
            came = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(each, Attempt) for each in came) == 1
        assert sum(isinstance(each, IdempotencyInFlight) for each in came) == 49

    asyncio.run(story())


def test_of_fifty_that_meet_a_dead_servers_key_exactly_one_takes_it_over(keys):
    async def story():
        async with keys() as (one, database), keys() as (other, _):
            await one.begin(*ASKED)
            await change(database, lease_until=now() - 1)
            asked = [(one, other)[number % 2].begin(*ASKED) for number in range(50)]
            came = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(each, Attempt) for each in came) == 1
        assert sum(isinstance(each, IdempotencyInFlight) for each in came) == 49

    asyncio.run(story())


def test_one_that_comes_back_from_the_dead_keeps_nothing(keys):
    async def story():
        late_answer = replace(ANSWER, body=b"late")
        async with keys() as (one, database):
            late = await one.begin(*ASKED)
            await change(database, lease_until=now() - 1)
            attempt = await one.begin(*ASKED)
            assert attempt.fence == late.fence + 1

            assert not await one.finish(late, late_answer)
            await one.abandon(late)
            with pytest.raises(IdempotencyInFlight):
                await one.begin(*ASKED)
            assert await one.finish(attempt, ANSWER)
            assert not await one.finish(late, late_answer)
            assert await one.begin(*ASKED) == ANSWER

    asyncio.run(story())


def test_nor_does_one_whose_key_went_and_came_again(keys):
    async def story():
        async with keys() as (one, database):
            late = await one.begin(*ASKED)
            await change(database, lease_until=now() - 1)
            await one.abandon(await one.begin(*ASKED))
            await one.begin(*ASKED[:3], OTHER_PRINT)
            assert not await one.finish(late, ANSWER)

    asyncio.run(story())


def test_a_lease_far_ahead_is_of_a_clock_that_jumped(keys):
    async def story():
        async with keys(lease=60) as (one, database):
            await one.begin(*ASKED)
            await change(database, lease_until=now() + 119)
            with pytest.raises(IdempotencyInFlight):
                await one.begin(*ASKED)
            await change(database, lease_until=now() + 121)
            assert isinstance(await one.begin(*ASKED), Attempt)

    asyncio.run(story())


KILLED = """
import asyncio, sys, time
from pathlib import Path
from magic_eraser.db.blobs import DatabaseBlobs, FileBlobs
from magic_eraser.db.database import Database
from magic_eraser.service.idempotency.keys import IdempotencyKeys

async def work(url, folder, *asked):
    database = Database(url)
    blobs = FileBlobs(Path(folder)) if database.is_sqlite else DatabaseBlobs(database)
    keys = IdempotencyKeys(database, blobs, ttl_seconds=3600, lease_seconds=1.0)
    await keys.begin(*asked)
    print("begun", flush=True)
    time.sleep(60)

asyncio.run(work(*sys.argv[1:]))
"""


def test_the_key_of_a_server_killed_in_the_middle_is_taken_over_once_its_lease_is_over(
    keys, database_url, tmp_path
):
    async def story():
        async with keys(lease=1.0) as (one, _):
            with pytest.raises(IdempotencyInFlight):
                await one.begin(*ASKED)
            until = time.monotonic() + 5
            while time.monotonic() < until:
                with contextlib.suppress(IdempotencyInFlight):
                    attempt = await one.begin(*ASKED)
                    return await one.finish(attempt, ANSWER) and await one.begin(*ASKED) == ANSWER
                await asyncio.sleep(0.05)
        return False

    arguments = [sys.executable, "-c", KILLED, database_url, str(tmp_path / "blobs"), *ASKED]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as server:
        assert server.stdout.readline() == b"begun\n"
        server.kill()
    assert asyncio.run(story())


# --- what is over its time ----------------------------------------------------------------------------------


def test_what_is_over_its_time_is_swept_with_its_body(keys, tmp_path):
    async def story():
        async with keys() as (one, database):
            await one.finish(await one.begin(*ASKED), ANSWER)
            await one.sweep()
            assert await one.begin(*ASKED) == ANSWER
            await change(database, expires_at=now() - 1)
            await one.sweep()
            assert await rows(database) == []
            async with database.read() as connection:
                assert (await connection.execute(sa.select(blob_pieces))).all() == []
            assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []

    asyncio.run(story())


def test_what_still_runs_is_not_swept(keys):
    async def story():
        async with keys() as (one, database):
            await one.begin(*ASKED)
            await change(database, expires_at=now() - 1)
            await one.sweep()
            assert len(await rows(database)) == 1
            await change(database, lease_until=now() - 1)
            await one.sweep()
            assert await rows(database) == []

    asyncio.run(story())


def test_what_is_over_its_time_and_not_swept_yet_is_free_for_any_request(keys):
    async def story():
        async with keys() as (one, database):
            await one.finish(await one.begin(*ASKED), ANSWER)
            await change(database, expires_at=now() - 1)
            attempt = await one.begin(*ASKED[:3], OTHER_PRINT)
            assert await one.finish(attempt, replace(ANSWER, body=b"other"))
            assert (await one.begin(*ASKED[:3], OTHER_PRINT)).body == b"other"

    asyncio.run(story())


def test_a_body_that_a_crash_left_without_a_row_is_swept_and_others_are_not(keys):
    async def story():
        async with keys(ttl=0.05, lease=0.05) as (one, database):
            await one.finish(await one.begin(*ASKED), ANSWER)
            job = await one._blobs.put("job", b"somebody else's")
            await asyncio.sleep(0.3)
            async with database.write() as connection:
                await connection.execute(sa.delete(table))
            await one.sweep()
            assert list(await one._blobs.folders(older_than=0.0)) == ["job"]
            assert await one._blobs.get(job) == b"somebody else's"

    asyncio.run(story())


def test_where_a_body_was_lost_the_work_is_done_anew(keys):
    async def story():
        async with keys() as (one, database):
            await one.finish(await one.begin(*ASKED), ANSWER)
            ((*_, blob, _),) = await rows(database)
            await one._blobs.delete(blob)
            attempt = await one.begin(*ASKED)
            assert isinstance(attempt, Attempt)
            assert await one.finish(attempt, ANSWER)
            assert await one.begin(*ASKED) == ANSWER

    asyncio.run(story())


def test_a_body_whose_row_finds_no_room_does_not_take_the_room_that_is_left(open_sqlite, tmp_path):
    async def story():
        async with open_sqlite() as database:
            kept = FileBlobs(tmp_path / "blobs")
            one = IdempotencyKeys(database, kept, ttl_seconds=60, lease_seconds=60)
            attempt = await one.begin(*ASKED)
            async with database.engine.connect() as connection:
                await connection.exec_driver_sql(
                    "PRAGMA max_page_count = 1"
                )  # raised to what there is already
            huge = replace(ANSWER, headers=(("X-Long", "x" * 1_000_000),))
            with pytest.raises(StorageFull):
                await one.finish(attempt, huge)
            assert list(await kept.folders(older_than=-1)) == []

    asyncio.run(story())

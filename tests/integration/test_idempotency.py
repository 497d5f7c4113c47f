"""One answer to one `Idempotency-Key`, whatever happens to a server: on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import httpx2
import pytest
import sqlalchemy as sa
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.principal import LOCAL_OWNER, Principal
from magic_eraser.api import problems
from magic_eraser.api.idempotent import TakesKey, once
from magic_eraser.db.base import now
from magic_eraser.db.blobs import DatabaseBlobs, FileBlobs, blob_pieces
from magic_eraser.db.database import Database
from magic_eraser.errors import (
    Cancelled,
    IdempotencyInFlight,
    IdempotencyMismatch,
    QueueFull,
    StorageFull,
    StorageUnavailable,
)
from magic_eraser.service.idempotency.keys import Answer, Attempt, IdempotencyKeys
from magic_eraser.service.idempotency.tables import idempotency_keys as table

PRINT, OTHER_PRINT = (hashlib.sha256(text).hexdigest() for text in (b"one", b"other"))
ASKED = ("tenant", "POST /v1/erase", "key", PRINT)
ANSWER = Answer(200, (("X-Eraser-Model", "patch"), ("X-Seed", "42")), "image/png", bytes(range(256)) * 100)


@contextlib.asynccontextmanager
async def opened(url):
    database = Database(url)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
def keys(database_url, tmp_path):
    """`async with keys(ttl=..., lease=...) as (keys, database)`: a server's own, each with its own connections."""

    @contextlib.asynccontextmanager
    async def open_keys(ttl=3600.0, lease=60.0):
        async with opened(database_url) as database:
            kept = FileBlobs(tmp_path / "blobs") if database.is_sqlite else DatabaseBlobs(database)
            yield IdempotencyKeys(database, kept, ttl_seconds=ttl, lease_seconds=lease), database

    return open_keys


async def rows(database):
    async with database.read() as connection:
        return (await connection.execute(sa.select(table))).all()


async def change(database, **values):
    async with database.write() as connection:
        await connection.execute(sa.update(table).values(**values))


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


# --- over HTTP ----------------------------------------------------------------------------------------------


class Work:
    """A route's work, counted; `how` is done before it answers."""

    def __init__(self) -> None:
        self.done = 0
        self.begun = asyncio.Event()
        self.how = lambda: asyncio.sleep(0)
        self.caller = LOCAL_OWNER
        self.answer = self.picture

    async def __call__(self) -> Response:
        self.done += 1
        self.begun.set()
        await self.how()
        return self.answer()

    def picture(self, status: int = 200) -> Response:
        headers = {"X-Seed": str(self.done), "Server-Timing": "queue;dur=1", "Cache-Control": "no-store"}
        return Response(f"result {self.done}".encode(), status, headers, media_type="image/png")


@contextlib.asynccontextmanager
async def served(keys, work):
    """A client of an app with one route that uses `once`."""
    app, router = FastAPI(), APIRouter()

    @router.post("/v1/things/{name}", dependencies=[TakesKey])
    async def make(request: Request, name: str) -> Response:
        rooms = SimpleNamespace(idempotency=keys)
        return await once(request, rooms, work.caller, {"body": await request.body()}, work)

    app.include_router(router)
    problems.install(app)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
        yield client


def test_over_http_the_answer_is_the_same_and_says_that_it_is(keys):
    async def story():
        work = Work()
        async with keys() as (one, _), served(one, work) as client:
            first = await client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": '"k"'})
            again = await client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": "k"})
            unkeyed = await client.post("/v1/things/a", content=b"x")
        assert (first.status_code, first.content) == (200, b"result 1")
        assert "idempotency-replayed" not in first.headers
        assert (again.status_code, again.content) == (200, b"result 1")
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["content-type"] == first.headers["content-type"] == "image/png"
        assert again.headers["x-seed"] == "1"
        assert "server-timing" not in again.headers
        assert unkeyed.content == b"result 2"

    asyncio.run(story())


def test_work_that_takes_longer_than_a_lease_is_not_done_twice(keys):
    async def story():
        work, lease = Work(), 0.6
        work.how = lambda: asyncio.sleep(3 * lease)
        async with keys(lease=lease) as (one, _), served(one, work) as client:

            async def ask():
                return await client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": "k"})

            first = asyncio.create_task(ask())
            await work.begun.wait()
            await asyncio.sleep(2 * lease)
            assert (await ask()).status_code == 409
            assert (await first).content == (await ask()).content == b"result 1"
        assert work.done == 1

    asyncio.run(story())


def test_over_http_refusals_are_problems(keys):
    async def story():
        work, go = Work(), asyncio.Event()
        work.how = go.wait
        key = {"Idempotency-Key": '"k"'}
        async with keys() as (one, _), served(one, work) as client:
            first = asyncio.create_task(client.post("/v1/things/a", content=b"x", headers=key))
            await work.begun.wait()
            running = await client.post("/v1/things/a", content=b"x", headers=key)
            other = await client.post("/v1/things/a", content=b"y", headers=key)
            as_json = await client.post(
                "/v1/things/a", content=b"x", headers={**key, "Accept": "application/json"}
            )
            broken = await client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": '"'})
            go.set()
            await first
        assert (running.status_code, running.json()["code"]) == (409, "idempotency_in_flight")
        assert 1 <= int(running.headers["retry-after"]) <= 2
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
        assert as_json.json()["code"] == "idempotency_mismatch"
        assert (broken.status_code, broken.json()["code"]) == (422, "validation_failed")
        assert work.done == 1

    asyncio.run(story())


@pytest.mark.parametrize(
    "failure", [QueueFull(retry_after=1), Cancelled(), asyncio.CancelledError(), ValueError()]
)
def test_a_failure_frees_the_key(keys, failure):
    async def fail():
        raise failure

    async def story():
        work = Work()
        work.how = fail
        async with keys() as (one, database), served(one, work) as client:
            with contextlib.suppress(asyncio.CancelledError):
                await client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": "k"})
            assert await rows(database) == []
            work.how = lambda: asyncio.sleep(0)
            answer = await client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": "k"})
        assert answer.content == b"result 2"

    asyncio.run(story())


def test_an_answer_that_is_no_success_frees_the_key(keys):
    async def story():
        work = Work()
        work.answer = lambda: work.picture(503)
        async with keys() as (one, database), served(one, work) as client:
            await client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": "k"})
            assert await rows(database) == []

    asyncio.run(story())


def test_a_request_cancelled_in_the_middle_frees_the_key(keys):
    async def story():
        work = Work()
        work.how = asyncio.Event().wait
        async with keys() as (one, database), served(one, work) as client:
            asked = asyncio.create_task(
                client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": "k"})
            )
            await work.begun.wait()
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            assert await rows(database) == []

    asyncio.run(story())


def test_callers_whom_nobody_knows_have_keys_of_their_own(keys):
    async def story():
        work = Work()
        async with keys() as (one, _), served(one, work) as client:
            for address in ("192.0.2.1", "2001:db8::2"):
                work.caller = Principal("anonymous", "", address)
                answer = await client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": "k"})
                assert "idempotency-replayed" not in answer.headers
        assert work.done == 2

    asyncio.run(story())


def test_a_202_and_its_location_are_answered_again_too(keys):
    async def story():
        work = Work()
        work.answer = lambda: JSONResponse({"id": work.done}, 202, {"Location": "/v1/jobs/1"})
        async with keys() as (one, _), served(one, work) as client:
            for _ in range(2):
                answer = await client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": "k"})
        assert answer.headers["idempotency-replayed"] == "true"
        assert (answer.status_code, answer.json()) == (202, {"id": 1})
        assert answer.headers["location"] == "/v1/jobs/1"

    asyncio.run(story())


# --- the database, or the room, is gone ------------------------------------------------------------------------


def test_without_a_database_only_requests_with_a_key_are_refused(tmp_path):
    async def story():
        work = Work()
        async with opened("postgresql://postgres@127.0.0.1:1/none") as database:
            keys = IdempotencyKeys(database, DatabaseBlobs(database), ttl_seconds=60, lease_seconds=60)
            async with served(keys, work) as client:
                keyed = await client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": "k"})
                plain = await client.post("/v1/things/a", content=b"x")
        assert (keyed.status_code, keyed.json()["code"]) == (503, "storage_unavailable")
        assert plain.content == b"result 1"
        assert work.done == 1

    asyncio.run(story())


class NoRoom:
    """Blobs on a full disk, or of a database that went while the work was done."""

    def __init__(self, error) -> None:
        self.error = error

    async def put(self, folder: str, data: bytes) -> str:
        raise self.error


@pytest.mark.parametrize("error", [StorageFull(), StorageUnavailable()])
def test_an_answer_that_cannot_be_kept_goes_out_all_the_same(open_database, error):
    async def story():
        work = Work()
        async with open_database() as database:
            keys = IdempotencyKeys(database, NoRoom(error), ttl_seconds=60, lease_seconds=60)
            async with served(keys, work) as client:
                answers = [
                    await client.post("/v1/things/a", content=b"x", headers={"Idempotency-Key": "k"})
                    for _ in range(2)
                ]
        assert [answer.content for answer in answers] == [b"result 1", b"result 2"]

    asyncio.run(story())

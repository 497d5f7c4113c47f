"""What a client with an `Idempotency-Key` sees, and where it cannot be kept: on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idempotency_house import opened, rows
from magic_eraser.accounts.principal import LOCAL_OWNER, Principal
from magic_eraser.api import problems
from magic_eraser.api.idempotent import TakesKey, once
from magic_eraser.db.blobs import DatabaseBlobs
from magic_eraser.errors import (
    Cancelled,
    QueueFull,
    StorageFull,
    StorageUnavailable,
)
from magic_eraser.service.idempotency.keys import IdempotencyKeys

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

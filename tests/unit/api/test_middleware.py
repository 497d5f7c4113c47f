"""Limits to a body: how large, how slow, and that a client which is refused hears why."""

from __future__ import annotations

import asyncio
import time

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from magic_eraser.api.middleware import BodyCap
from magic_eraser.errors import BodyTooLarge, RequestTimeout

HEADERS = {"content-length": "1000"}


class Client:
    """Sends such pieces, one every so many seconds, and notes what comes back and when; silent after the last one
    where `ends` is False."""

    def __init__(self, pieces, *, every: float = 0.0, ends: bool = True) -> None:
        self._pieces = list(pieces)
        self._every = every
        self._ends = ends
        self.taken = 0
        self.got: list[dict] = []
        self.at: list[float] = []

    async def receive(self):
        if self._every:
            await asyncio.sleep(self._every)
        if not self._pieces and not self._ends:
            await asyncio.sleep(3600)
        self.taken += 1
        piece = self._pieces.pop(0) if self._pieces else b""
        return {"type": "http.request", "body": piece, "more_body": bool(self._pieces) or not self._ends}

    async def send(self, message):
        self.got.append(message)
        self.at.append(time.monotonic())


async def reads(scope, receive, send):
    body = await Request(scope, receive).body()
    await JSONResponse({"bytes": len(body)})(scope, receive, send)


async def refuses(scope, receive, send):
    await JSONResponse({"code": "queue_full"}, 503)(scope, receive, send)


def call(app, client: Client, *, path="/v1/erase", headers=HEADERS, root_path="", **limits) -> float:
    """Seconds that it took."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "root_path": root_path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    cap = BodyCap(app, limits.pop("max_bytes", 1000), **limits)
    start = time.monotonic()
    asyncio.run(cap(scope, client.receive, client.send))
    return time.monotonic() - start


def header(client: Client, name: str) -> str | None:
    return dict(client.got[0]["headers"]).get(name.encode(), b"").decode() or None


# --- how large ------------------------------------------------------------------------------------------


def test_a_body_of_the_largest_size_is_read():
    client = Client([b"a" * 400, b"b" * 600])
    call(reads, client)
    assert client.got[1]["body"] == b'{"bytes":1000}'
    assert header(client, "connection") is None


def test_one_byte_more_is_refused():
    with pytest.raises(BodyTooLarge) as caught:
        call(reads, Client([b"a" * 400, b"b" * 601]), headers={"transfer-encoding": "chunked"})
    assert caught.value.extra == {"max_bytes": 1000}


def test_a_declared_size_that_is_too_large_is_refused_before_anything_is_read():
    client = Client([b"a"] * 10)
    with pytest.raises(BodyTooLarge):
        call(reads, client, headers={"content-length": "1001"})
    assert client.taken == 0


@pytest.mark.parametrize("declared", ["-1", "x", "9" * 5000, "00"])
def test_a_size_that_is_no_number_is_not_believed(declared):
    call(reads, Client([b"a"]), headers={"content-length": declared})


@pytest.mark.parametrize(
    ("path", "root_path"), [("/v1/jobs", ""), ("/v1/jobs/", ""), ("/eraser/v1/jobs", "/eraser")]
)
def test_a_path_may_have_a_limit_of_its_own(path, root_path):
    caps = {"/v1/jobs": 5000}
    call(reads, Client([b"a" * 5000]), path=path, root_path=root_path, caps=caps)
    with pytest.raises(BodyTooLarge):
        call(reads, Client([b"a" * 5001]), path=path, root_path=root_path, caps=caps)
    with pytest.raises(BodyTooLarge):
        call(reads, Client([b"a" * 1001]), path="/v1/jobs/x", root_path=root_path, caps=caps)


# --- how slow -------------------------------------------------------------------------------------------


def test_a_client_that_falls_silent_is_given_up():
    client = Client([b"a"], ends=False)
    start = time.monotonic()
    with pytest.raises(RequestTimeout):
        call(reads, client, idle_seconds=0.2)
    assert 0.2 <= time.monotonic() - start < 1


def test_a_slow_body_that_never_falls_silent_is_read():
    client = Client([b"a"] * 10, every=0.05)
    assert call(reads, client, idle_seconds=0.2) >= 0.5
    assert client.got[1]["body"] == b'{"bytes":10}'


def test_a_body_that_trickles_is_given_up_once_its_rate_is_judged():
    client = Client([b"a" * 10] * 100, every=0.05)
    start = time.monotonic()
    with pytest.raises(RequestTimeout):
        call(reads, client, min_bytes_per_second=1000, grace_seconds=0.5)
    assert 0.45 <= time.monotonic() - start < 1


def test_a_body_above_the_slowest_rate_is_read():
    client = Client([b"a" * 10] * 12, every=0.05)
    call(reads, client, min_bytes_per_second=20, grace_seconds=0.2)
    assert client.got[1]["body"] == b'{"bytes":120}'


def test_the_apps_own_time_does_not_count():
    async def slow_app(scope, receive, send):
        request = Request(scope, receive)
        async for _chunk in request.stream():
            await asyncio.sleep(0.15)
        await JSONResponse({})(scope, receive, send)

    call(slow_app, Client([b"a"] * 4), idle_seconds=0.1)


def test_the_wait_for_the_clients_going_has_no_limit():
    async def waits(scope, receive, send):
        await Request(scope, receive).body()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(asyncio.sleep(0.3))), 0.25)
        await JSONResponse({})(scope, receive, send)

    call(waits, Client([b"a"]), idle_seconds=0.1)


# --- who is refused -------------------------------------------------------------------------------------


def test_a_refused_client_has_its_answer_at_once_and_is_read_on():
    client = Client([b"a" * 100] * 8, every=0.05)
    start = time.monotonic()
    call(refuses, client, headers={"content-length": "100000"})
    assert [message["type"] for message in client.got] == ["http.response.start", *["http.response.body"] * 2]
    assert client.got[1] == {
        "type": "http.response.body",
        "body": b'{"code":"queue_full"}',
        "more_body": True,
    }
    assert client.at[1] - start < 0.05
    assert client.at[2] - start >= 0.35
    assert client.taken == 8
    assert header(client, "connection") == "close"


def test_a_refused_client_that_sends_for_ever_is_read_for_some_seconds_only():
    client = Client([b"a"] * 10_000, every=0.02)
    assert 0.3 <= call(refuses, client, linger_seconds=0.3) < 1


def test_a_refused_client_is_read_up_to_twice_the_limit_only():
    client = Client([b"a" * 100] * 10_000, every=0.001)
    call(refuses, client)
    assert client.taken == 21


def test_a_refused_client_whose_body_is_here_already_keeps_its_connection():
    client = Client([b"a" * 100, b"b"])
    assert call(refuses, client) < 0.1
    assert header(client, "connection") is None
    assert len(client.got) == 2


def test_a_refusal_waits_a_moment_for_the_rest_of_a_small_body():
    client = Client([b"a"] * 3, every=0.01)
    call(refuses, client)
    assert header(client, "connection") is None
    client = Client([b"a"] * 3, every=0.04)
    call(refuses, client)
    assert header(client, "connection") == "close"


def test_a_client_that_waits_to_be_asked_is_not_asked_and_not_waited_for():
    client = Client([b"a" * 100], every=0.1)
    assert call(refuses, client, headers={**HEADERS, "expect": "100-continue"}) < 0.1
    assert client.taken == 0
    assert header(client, "connection") == "close"


def test_a_request_without_a_body_is_left_alone():
    client = Client([])
    call(refuses, client, headers={})
    assert client.taken == 0
    assert len(client.got) == 2

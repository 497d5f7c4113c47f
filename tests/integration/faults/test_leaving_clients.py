"""Clients that go away at each stage of a request: nothing of them is left in the house."""

from __future__ import annotations

import re
import socket
import struct
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import numpy as np
import pytest

from crowd import client_at, over, post_erase, post_job, wait_until

CLIENTS = 8


def connect(server, received: int | None = None) -> socket.socket:
    """A connection; `received` is how much of an answer the kernel takes in for it, bytes."""
    client = socket.socket()
    if received is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
    client.settimeout(20)
    client.connect(("127.0.0.1", server.port))
    return client


def reset(client: socket.socket) -> None:
    """Gone without a word: what was not sent is not sent any more."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def form(photo: bytes, mask: bytes, **fields: object) -> bytes:
    """A whole request."""
    given = {"image": photo, "mask": mask, **{name: str(value).encode() for name, value in fields.items()}}
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
        % (name.encode(), b'; filename="x"' if name in ("image", "mask") else b"", value)
        for name, value in given.items()
    )
    body += b"--b--\r\n"
    head = "POST /v1/erase HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def queue(server) -> tuple[int, int]:
    status = httpx2.get(f"{server.url}/v1/status").json()["queue"]
    return status["running"], status["waiting"]


def descriptors(server) -> int:
    """What it has open, but for the database's files: those connections are kept, as many as were needed at once."""
    links = []
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(OSError):
            links.append(str(link.readlink()))
    return sum("eraser.db" not in link for link in links)


def at_rest(server) -> int:
    """The same, once connections that have ended are closed."""
    seen = -1
    while seen != (now := descriptors(server)):
        seen = now
        time.sleep(0.1)
    return seen


def gone_away(server, endpoint: str = "/v1/erase") -> int:
    """Requests that the metrics count as left by their clients."""
    text = httpx2.get(f"{server.url}/metrics").text
    found = re.search(
        rf'^iopaint_requests_total{{endpoint="{endpoint}",method="POST",status="499"}} (.+)$',
        text,
        re.MULTILINE,
    )
    return int(float(found[1])) if found else 0


def kept(server) -> list[str]:
    """Files of the data folder beside the database and the log."""
    files = (path for path in server.data_dir.rglob("*") if path.is_file())
    return sorted(path.name for path in files if not path.name.startswith(("eraser.db", "server.log")))


@pytest.fixture
def house(start, tmp_path):
    """A server with one slot, a slow model and a temporary folder of its own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    server = start(slow=1.0, ERASER_QUEUE__SLOTS="1", TMPDIR=str(folder))
    with client_at(server.url) as client:  # whatever is opened once is open
        client.get("/v1/jobs")
        client.get("/metrics")
    yield server
    assert "Traceback" not in server.log
    assert list(folder.iterdir()) == []


def as_before(server, open_before: int) -> None:
    wait_until(lambda: queue(server) == (0, 0))
    wait_until(lambda: descriptors(server) <= open_before)


@pytest.mark.parametrize(
    ("part", "counted"), [("nothing", 0), ("half a head", 0), ("a head", CLIENTS), ("half", CLIENTS)]
)
def test_before_all_is_sent(house, pair, part, counted):
    whole = form(pair[0] + bytes(1_500_000), pair[1])  # beyond what is kept in memory
    head = whole.index(b"\r\n\r\n") + 4
    length = {"nothing": 0, "half a head": head // 2, "a head": head, "half": len(whole) // 2}[part]
    before, files = at_rest(house), kept(house)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(house)) for _ in range(CLIENTS)]
        for client in clients:
            client.sendall(whole[:length])
        wait_until(lambda: descriptors(house) >= before + CLIENTS)
        for client in clients:
            reset(client)
    wait_until(lambda: gone_away(house) == counted)
    as_before(house, before)
    assert kept(house) == files


def test_while_one_is_worked_on_and_the_others_wait(house, pair):
    before, files = at_rest(house), kept(house)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(house)) for _ in range(CLIENTS)]
        for seed, client in enumerate(clients):
            client.sendall(form(*pair, model="slow", seed=seed))
        wait_until(lambda: queue(house) == (1, CLIENTS - 1), 0.9)
        went = time.monotonic()
        for client in clients[1:]:
            reset(client)
        wait_until(lambda: queue(house)[1] == 0)
        reset(clients[0])
        as_before(house, before)
        assert time.monotonic() - went < 0.9  # and not after the second that the work would have taken
    assert gone_away(house) == CLIENTS
    assert kept(house) == files  # no result was kept, in the cache or for the next round
    with client_at(house.url) as client:
        assert post_erase(client, *pair, model="slow").status_code == 200


def noise(encode) -> bytes:
    """A picture whose PNG no socket takes in at once: 6 MB."""
    return encode(np.random.default_rng(2).integers(0, 255, (1400, 1500, 3), np.uint8), compress_level=0)


def mask_of(encode) -> bytes:
    mask = np.zeros((1400, 1500), np.uint8)
    mask[10:20, 10:20] = 255
    return encode(mask)


def test_while_the_answer_is_sent(house, encode):
    before = at_rest(house)
    request = form(noise(encode), mask_of(encode), model="telea")
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(house, received=4096)) for _ in range(4)]
        for client in clients:
            client.sendall(request)
        for client in clients:
            assert client.recv(20).startswith(b"HTTP/1.1 200 ")
        wait_until(lambda: queue(house) == (0, 0))  # who does not fetch an answer holds no slot
        assert descriptors(house) >= before + len(clients)
        for client in clients:
            reset(client)
    as_before(house, before)


@pytest.mark.parametrize("what", ["events", "archive"])
def test_while_a_job_is_followed_or_fetched(house, encode, pair, what):
    with client_at(house.url) as client:
        if what == "archive":
            job = post_job(client, noise(encode), mask_of(encode), 3, model="telea").json()
            over(client, job)
        else:
            job = post_job(client, *pair, model="slow", count=30).json()
        before = at_rest(house)
        with ExitStack() as stack:
            followers = [stack.enter_context(connect(house, received=4096)) for _ in range(CLIENTS)]
            for follower in followers:
                follower.sendall(f"GET /v1/jobs/{job['id']}/{what} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            for follower in followers:
                assert follower.recv(20).startswith(b"HTTP/1.1 200 ")
            assert descriptors(house) >= before + CLIENTS
            for follower in followers:
                reset(follower)
        with suppress(httpx2.HTTPError):
            client.delete(f"/v1/jobs/{job['id']}")
        as_before(house, before)
        wait_until(lambda: house.log.count(f'"endpoint": "/v1/jobs/{{job_id}}/{what}"') == CLIENTS)

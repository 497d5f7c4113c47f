"""Clients that send slowly, too much, or to a server that does not want it; and what is left of them."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx2
import numpy as np
import pytest

HEAD = b"POST /v1/erase HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CURL = ["curl", "-s", "-S", "-w", "\n%{http_code} %{size_upload} %{time_total}"]
BOUNDARY = "multipart/form-data; boundary=b"


def connect(server) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    client.settimeout(20)
    return client


def answer_of(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    got = b""
    with suppress(ConnectionResetError):
        while part := client.recv(65536):
            got += part
    return got


def wait_until(condition, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def queue(server) -> dict:
    return httpx2.get(f"{server.url}/v1/status").json()["queue"]


def descriptors(server) -> list[str]:
    """What the server has open."""
    links = []
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(OSError):
            links.append(str(link.readlink()))
    return links


def open_uploads(server) -> int:
    return sum(link.endswith("(deleted)") for link in descriptors(server))


def connections(server) -> int:
    return sum(link.startswith("socket:") for link in descriptors(server))


def half_white(encode) -> bytes:
    """A picture, and a mask."""
    return encode(np.repeat(np.uint8([[0], [255]]), 10, axis=0).repeat(20, axis=1))


def full(server, stack: ExitStack, encode) -> None:
    """A server with one slot is busy from here on."""
    picture = base64.b64encode(half_white(encode)).decode()
    body = {"image": picture, "mask": picture, "model": "slow"}
    connection = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", server.port)))
    connection.request("POST", "/v1/erase", json.dumps(body), {"Content-Type": "application/json"})
    wait_until(lambda: queue(server)["running"] == 1)


# --- slow heads and bodies ------------------------------------------------------------------------------


def test_two_hundred_slow_heads_keep_nobody_from_an_answer_and_are_closed(start, coffee_png, dot_png):
    server = start(ERASER_LIMITS__BODY_IDLE_SECONDS="2")
    at_rest = connections(server)
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(server)) for _ in range(200)]
        for client in slow:
            client.sendall(b"GET /v1/status HTTP/1.1\r\nHost:")
        begun = time.monotonic()
        files = {"image": coffee_png, "mask": dot_png}
        answer = httpx2.post(f"{server.url}/v1/erase", files=files, data={"model": "telea"})
        assert answer.status_code == 200
        assert time.monotonic() - begun < 1.5  # 0.1 on a quiet machine
        for client in slow:
            with suppress(OSError):
                client.sendall(b" x\r\nX-More: ")  # a byte now and then does not help
        wait_until(lambda: connections(server) <= at_rest, 4)
        assert answer_of(slow[0]).startswith(b"HTTP/1.1 408 ")
    assert "Traceback" not in server.log


def test_a_connection_without_a_byte_is_closed_without_one(start):
    server = start(ERASER_LIMITS__BODY_IDLE_SECONDS="0.5")
    with connect(server) as client:
        begun = time.monotonic()
        assert answer_of(client) == b""
        assert 0.3 < time.monotonic() - begun < 2


def alive(client: socket.socket) -> None:
    got = b""
    while not got.endswith(b'{"status":"ok"}'):
        got += (part := client.recv(65536))
        assert part


def test_the_second_head_of_a_connection_has_the_same_limit_and_the_wait_for_it_has_its_own(start):
    server = start(ERASER_LIMITS__BODY_IDLE_SECONDS="1")
    whole = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(server) as client:
        client.sendall(whole)
        alive(client)
        time.sleep(1.5)  # uvicorn keeps it for 5 s
        client.sendall(whole[:10])
        time.sleep(0.3)
        client.sendall(whole[10:])
        alive(client)
        client.sendall(whole[:10])
        begun = time.monotonic()
        assert answer_of(client).startswith(b"HTTP/1.1 408 ")
        assert 0.7 < time.monotonic() - begun < 2.5


def test_an_answer_that_takes_longer_than_the_limit_is_not_cut_off(start, coffee_png, dot_png):
    server = start(slow=1.5, ERASER_LIMITS__BODY_IDLE_SECONDS="0.5")
    files = {"image": coffee_png, "mask": dot_png}
    answer = httpx2.post(f"{server.url}/v1/erase", files=files, data={"model": "slow"}, timeout=20)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/v1/erase", "/v1/images", "/api/predict", "/api/v1/inpaint"])
def test_a_body_that_stops_is_answered_408_at_every_door(start, path):
    server = start(ERASER_LIMITS__BODY_IDLE_SECONDS="0.5")
    with connect(server) as client:
        client.sendall(HEAD.replace(b"/v1/erase", path.encode()) + b'Content-Length: 1000\r\n\r\n{"image": "')
        begun = time.monotonic()
        got = answer_of(client)
        assert time.monotonic() - begun < 2
    assert got.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in got.lower()
    assert b"too slowly" in got


# --- refused in the middle of their sending -------------------------------------------------------------


@pytest.fixture
def busy(start, encode):
    """A server that refuses everybody: its slot is taken, and there is no queue."""
    server = start(
        slow=60, ERASER_QUEUE__SLOTS="1", ERASER_QUEUE__DEPTH="0", ERASER_QUEUE__DEADLINE_SECONDS="60"
    )
    with ExitStack() as stack:
        full(server, stack, encode)
        yield server


def test_a_refused_client_hears_so_at_once_though_it_still_sends(busy):
    size = 60 * 1024**2
    with connect(busy) as client:
        client.sendall(HEAD + f"Content-Length: {size}\r\n\r\n".encode())

        def send():
            with suppress(OSError):
                client.sendall(bytes(size))

        sender = threading.Thread(target=send)
        begun = time.monotonic()
        sender.start()
        first = client.recv(65536)
        passed = time.monotonic() - begun
        rest = answer_of(client)
        sender.join()
    assert first.startswith(b"HTTP/1.1 503 ")
    assert passed < 0.2
    assert b"queue_full" in first + rest


def test_httpx_and_curl_hear_why_they_are_refused(busy, tmp_path):
    size = 60 * 1024**2
    answer = httpx2.post(
        f"{busy.url}/v1/erase", content=bytes(size), headers={"Content-Type": "application/json"}, timeout=30
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
    (tmp_path / "large").write_bytes(bytes(size))
    for expect in ("Expect:", "Expect: 100-continue"):
        done = subprocess.run(
            [*CURL, "-H", expect, "-F", "image=@large", f"{busy.url}/v1/erase"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        body, _, facts = done.stdout.rpartition("\n")
        status, sent, seconds = facts.split()
        assert (status, json.loads(body)["code"]) == ("503", "queue_full")
        if "100" in expect:
            assert int(sent) == 0  # it was never asked to send
            assert float(seconds) < 0.5


def test_small_refused_requests_keep_their_connection(busy):
    with closing(http.client.HTTPConnection("127.0.0.1", busy.port, timeout=10)) as connection:
        for _ in range(3):
            connection.request("POST", "/v1/erase", b'{"image": "x"}', {"Content-Type": "application/json"})
            with connection.getresponse() as response:
                assert response.status == 503
                response.read()
            kept = connection.sock
            assert kept is not None


def test_a_body_above_the_limit_is_refused_at_once_though_it_is_still_sent(start):
    server = start()
    with connect(server) as client:
        client.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n" + bytes(1000))
        begun = time.monotonic()
        first = client.recv(65536)
        assert time.monotonic() - begun < 0.3
        assert first.startswith(b"HTTP/1.1 413 ")


def test_lingering_ends(start):
    server = start()
    with connect(server) as client:
        client.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n" + bytes(1000))
        begun = time.monotonic()
        answer_of(client)
        assert 2.5 < time.monotonic() - begun < 5


# --- what is left ---------------------------------------------------------------------------------------


def large_json(server_model: str, encode) -> bytes:
    """20 MiB: a picture with a tail that no decoder minds, so that 64 of them cost no time to make or to read."""
    picture = half_white(encode)
    image = base64.b64encode(picture + bytes(15 * 1024**2 - len(picture))).decode()
    return json.dumps(
        {"image": image, "mask": base64.b64encode(picture).decode(), "model": server_model}
    ).encode()


def test_sixty_four_large_bodies_that_wait_for_a_slot_are_not_in_memory(start, encode):
    """Whole, they were 64 x (20 MiB of JSON + 20 of text + 15 of picture). What is left: what is being read of each (at
    most 256 KiB, and as much that is not written yet), and one picture in the one slot."""
    server = start(slow=60, ERASER_QUEUE__SLOTS="1", ERASER_QUEUE__DEADLINE_SECONDS="60")
    body = large_json("slow", encode)
    with ExitStack() as stack:
        full(server, stack, encode)
        rest, files = server.memory(), open_uploads(server)
        waiting = []
        for _ in range(63):
            connection = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", server.port)))
            waiting.append(connection)

        def send(connection, seed):  # each another one, as equal requests would wait as one
            own = body[:-1] + f', "seed": {seed}}}'.encode()
            connection.request("POST", "/v1/erase", own, {"Content-Type": "application/json"})

        senders = [threading.Thread(target=send, args=each) for each in zip(waiting, range(63), strict=True)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        wait_until(lambda: queue(server)["waiting"] == 63, 60)
        assert open_uploads(server) - files == 63
        assert server.memory() - rest < 100 * 1024**2
        assert server.memory("VmHWM") - rest < 150 * 1024**2
    wait_until(lambda: queue(server) | {"waiting": 0, "running": 0} == queue(server))
    wait_until(lambda: open_uploads(server) == files)
    assert "Traceback" not in server.log


@pytest.mark.parametrize("kind", [b"application/json", BOUNDARY.encode()])
def test_clients_that_leave_in_the_middle_of_an_upload_leave_nothing(start, kind, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    server = start(TMPDIR=str(folder))
    before, files = len(descriptors(server)), open_uploads(server)  # pytest's own are among them
    head = HEAD.replace(b"application/json", kind) + b"Content-Length: 10000000\r\n\r\n"
    begin = (
        b'{"image": "'
        if b"json" in kind
        else (b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n')
    )
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(20)]
        for client in clients:
            client.sendall(head + begin + b"A" * 3_000_000)
        wait_until(lambda: open_uploads(server) == files + 20)
        assert list(folder.iterdir()) == []  # they have no names
    wait_until(lambda: len(descriptors(server)) <= before)
    assert open_uploads(server) == files
    assert server.log.count('"status": 499') == 20
    assert "Traceback" not in server.log


def test_who_joined_gets_the_result_though_the_client_whose_picture_it_is_has_left(start, encode):
    server = start(slow=2, ERASER_QUEUE__SLOTS="1")
    body = large_json("slow", encode)
    with ExitStack() as stack:
        full(server, stack, encode)
        first = stack.enter_context(connect(server))
        first.sendall(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: queue(server)["waiting"] == 1)
        answers = []

        def join():
            headers = {"Content-Type": "application/json"}
            answers.append(httpx2.post(f"{server.url}/v1/erase", content=body, headers=headers, timeout=30))

        second = threading.Thread(target=join)
        files = open_uploads(server)
        second.start()
        wait_until(lambda: open_uploads(server) == files + 1)
        time.sleep(0.3)  # until its body is read and it waits
        first.close()
        second.join()
    assert answers[0].status_code == 200, answers[0].text

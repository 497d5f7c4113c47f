"""SIGTERM: out of the balancer first, then no new work, then the end; and nothing that was accepted is lost."""

from __future__ import annotations

import signal
import socket
import threading
import time
from contextlib import suppress

import httpx2

from server_process import Server


def begin(server: Server, photo: bytes, mask: bytes) -> tuple[threading.Thread, list[httpx2.Response]]:
    """An erase by the slow model, on its way."""
    answers: list[httpx2.Response] = []

    def ask() -> None:
        files = {"image": photo, "mask": mask}
        with suppress(httpx2.TransportError):  # the server may end first
            answers.append(
                httpx2.post(f"{server.url}/v1/erase", files=files, data={"model": "slow"}, timeout=60)
            )

    thread = threading.Thread(target=ask)
    thread.start()
    until = time.monotonic() + 10
    while not httpx2.get(f"{server.url}/v1/status").json()["queue"]["running"]:
        assert time.monotonic() < until
        time.sleep(0.02)
    return thread, answers


def test_readiness_goes_first_and_work_is_taken_during_the_grace(start, coffee_jpeg, dot_png):
    server = start(slow=2, ERASER_SERVER__GRACE_SECONDS="1.5")
    thread, answers = begin(server, coffee_jpeg, dot_png)

    server.signal(signal.SIGTERM)
    time.sleep(0.2)
    assert httpx2.get(f"{server.url}/readyz").status_code == 503
    files = {"image": coffee_jpeg, "mask": dot_png}
    late = httpx2.post(f"{server.url}/v1/erase", files=files, data={"model": "telea"}, timeout=20)
    assert late.status_code == 200
    time.sleep(1.5)
    refused = httpx2.post(f"{server.url}/v1/erase", files=files, data={"model": "telea"}, timeout=20)
    assert (refused.status_code, refused.json()["code"]) == (503, "draining")

    thread.join()
    assert answers[0].status_code == 200
    assert server.process.wait(10) == 0


def test_the_limit_ends_it_whatever_runs(start, coffee_jpeg, dot_png):
    server = start(slow=30, ERASER_SERVER__DRAIN_SECONDS="0.5")
    thread, answers = begin(server, coffee_jpeg, dot_png)

    start_of_end = time.monotonic()
    server.signal(signal.SIGTERM)

    assert server.process.wait(10) == 0
    assert time.monotonic() - start_of_end < 8
    thread.join()
    assert not answers or answers[0].status_code >= 499  # never half a picture as if it were whole


def test_a_second_signal_leaves_at_once(start, coffee_jpeg, dot_png):
    server = start(slow=30, ERASER_SERVER__GRACE_SECONDS="30")
    thread, _ = begin(server, coffee_jpeg, dot_png)

    server.signal(signal.SIGTERM)
    time.sleep(0.2)
    server.signal(signal.SIGTERM)

    assert server.process.wait(8) == 0
    thread.join()


def test_a_client_in_the_middle_of_its_body_is_told_that_the_server_leaves(start):
    server = start(ERASER_SERVER__DRAIN_SECONDS="0.2")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            b"POST /v1/erase HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
        )
        time.sleep(0.3)
        server.signal(signal.SIGTERM)
        client.settimeout(15)
        answer = b""
        while part := client.recv(65536):  # head and body may come one after the other
            answer += part

    assert answer.startswith(b"HTTP/1.1 503")
    assert b'"code":"draining"' in answer
    assert server.process.wait(10) == 0
    assert "Traceback" not in server.log


HANGS = """
import time
from magic_eraser.api.app import create_app
from magic_eraser.api.server import run
from magic_eraser.settings import Settings

class Stuck:
    backend = "null"

    async def close(self):
        time.sleep(60)

    async def trim(self):
        pass

settings = Settings.load()
run(settings, create_app(settings, cache=Stuck()), closing_seconds=1)
"""


def test_what_does_not_close_does_not_keep_the_process(start, tmp_path):
    script = tmp_path / "hangs.py"
    script.write_text(HANGS)
    server = start(script=script)

    server.signal(signal.SIGTERM)

    assert server.process.wait(10) == 0
    assert "closing_limit_passed" in server.log

"""Every door that costs refuses in its own shape: too often, a full queue, a server that leaves."""

from __future__ import annotations

import base64
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx2

from crowd import client_at, over, post_erase, post_job, wait_until
from simple_mode_calls import told, uploaded

Door = Callable[[httpx2.Client, tuple[bytes, bytes], dict[str, str]], httpx2.Response]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def posts_json(path: str, body: Callable[[str, str], dict]) -> Door:
    return lambda client, pair, headers: client.post(path, json=body(*map(text, pair)), headers=headers)


DOORS: dict[str, Door] = {
    "erase, form": lambda client, pair, headers: post_erase(client, *pair, headers),
    "erase, JSON": posts_json("/v1/erase", lambda image, mask: {"image": image, "mask": mask}),
    "images": lambda client, pair, headers: client.post(
        "/v1/images", files={"image": pair[0]}, headers=headers
    ),
    "jobs": lambda client, pair, headers: post_job(client, *pair, headers=headers),
    "predict": posts_json("/api/predict", lambda image, mask: {"data": [image, mask]}),
    "iopaint": posts_json("/api/v1/inpaint", lambda image, mask: {"image": image, "mask": mask}),
}


def judge(door: str, response: httpx2.Response, status: int, code: str) -> None:
    """The shape that clients of this door know."""
    assert response.status_code == status, (door, response.text)
    assert 1 <= int(response.headers["retry-after"]) <= 60
    said = response.json()
    if door == "predict":
        assert (said["code"], bool(said["error"])) == (code, True)
        assert code != "queue_full" or "queue" in said["error"]
    elif door == "iopaint":
        assert set(said) == {"error", "detail", "body", "errors"}
        assert said["error"].lower() == code.replace("_", "")
        assert said["detail"]
    else:
        assert response.headers["content-type"] == "application/problem+json"
        assert (said["code"], said["status"]) == (code, status)
        assert said["detail"]


@contextmanager
def one_at_work(server, pair) -> Iterator[None]:
    """From a request that the slow model works on, to the end of the block and of that request."""

    def ask() -> None:
        with (
            suppress(httpx2.TransportError),
            client_at(server.url) as client,
        ):  # the server may be killed first
            post_erase(client, *pair, model="slow")

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: httpx2.get(f"{server.url}/v1/status").json()["queue"]["running"] == 1)
    yield
    thread.join()


def test_too_often(start, pair):
    server = start(
        ERASER_LIMITS__REQUESTS_PER_MINUTE="1",
        ERASER_SERVER__TRUSTED_PROXIES="127.0.0.1",
    )
    with client_at(server.url) as client:
        for number, (door, ask) in enumerate(DOORS.items()):
            own = {"X-Forwarded-For": f"203.0.113.{number}"}
            assert ask(client, pair, own).status_code in {200, 201, 202}, door
            # each minute that begins forgets some of the one before
            answers = [ask(client, pair, own) for _ in range(3)]
            judge(door, answers[-1], 429, "rate_limited")
            assert answers[-1].headers["ratelimit"].startswith('"default";r=0;t=')
    assert "Traceback" not in server.log


def test_a_full_queue(start, pair):
    server = start(slow=3, ERASER_QUEUE__SLOTS="1", ERASER_QUEUE__DEPTH="0")
    with one_at_work(server, pair), client_at(server.url) as client:
        for door, ask in DOORS.items():
            if door != "jobs":
                judge(door, ask(client, pair, {}), 503, "queue_full")
        job = post_job(client, *pair).json()  # it takes no place until its turn comes
    with client_at(server.url) as client:
        for ask in DOORS.values():
            wait_until(lambda ask=ask: ask(client, pair, {}).status_code in {200, 201, 202})
        assert over(client, job)["succeeded"] == 1
    assert "Traceback" not in server.log


def test_a_server_that_leaves(start, pair):
    server = start(slow=2.5)
    with ExitStack() as stack:
        stack.enter_context(one_at_work(server, pair))
        client = stack.enter_context(client_at(server.url))
        server.signal(signal.SIGTERM)
        wait_until(lambda: '"draining"' in server.log)
        for door, ask in DOORS.items():
            judge(door, ask(client, pair, {}), 503, "draining")
    assert server.process.wait(10) == 0
    assert "Traceback" not in server.log


# --- the simple mode, whose door is Gradio's --------------------------------------------------------------


def test_the_simple_mode_says_the_same_as_sentences(start, pair):
    server = start(
        slow=2.5,
        ERASER_QUEUE__SLOTS="1",
        ERASER_QUEUE__DEPTH="0",
        ERASER_CACHE__BACKEND="null",  # a hit needs no slot
        ERASER_LIMITS__REQUESTS_PER_MINUTE="3",
        ERASER_SERVER__TRUSTED_PROXIES="127.0.0.1",
    )
    with client_at(server.url) as client:
        client.headers["X-Forwarded-For"] = "203.0.113.1"
        client.get("/ui/").raise_for_status()
        files = uploaded(client, pair)
        assert "event: complete" in told(client, files)
        with one_at_work(server, pair):
            refused = told(client, files)
        assert refused.startswith("event: error")
        assert "queue is full" in refused
        too_often = [told(client, files) for _ in range(6)][-1]
        assert too_often.startswith("event: error")
        assert "More than 3 requests in 60 seconds" in too_often
    assert "Traceback" not in server.log

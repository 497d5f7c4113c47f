"""A server that nobody uses: its floor of memory, no processor time, and awake with the next request."""

from __future__ import annotations

import time

import httpx2

from server_process import Server

WATCHED_SECONDS = 6.0


def erase(server: Server, photo: bytes, mask: bytes, **fields) -> httpx2.Response:
    return httpx2.post(
        f"{server.url}/v1/erase", files={"image": photo, "mask": mask}, data=fields, timeout=60
    )


def asleep(server: Server) -> bool:
    return httpx2.get(f"{server.url}/v1/status").json()["asleep"]


def wait_asleep(server: Server, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not asleep(server):
        assert time.monotonic() < until, server.log
        time.sleep(0.2)


def test_it_sleeps_takes_no_processor_time_and_the_next_request_wakes_it(start, coffee_jpeg, spoon_png):
    server = start(ERASER_SERVER__SLEEP_AFTER_SECONDS="1", ERASER_QUEUE__SLOTS="2")
    at_rest = server.memory()
    for seed in range(3):
        assert erase(server, coffee_jpeg, spoon_png, seed=seed).status_code == 200
    wait_asleep(server)

    before = server.cpu_seconds()
    time.sleep(WATCHED_SECONDS)
    share = (server.cpu_seconds() - before) / WATCHED_SECONDS
    assert share <= 0.005
    assert server.memory() < at_rest + 60 * 2**20

    woken = erase(server, coffee_jpeg, spoon_png, seed=9)
    assert woken.status_code == 200
    assert woken.headers["server-timing"].startswith("wake;")
    assert not asleep(server)
    wait_asleep(server)  # and it sleeps again


def test_a_network_leaves_memory_with_the_sleep(start, every_weight, coffee_jpeg, spoon_png):
    server = start(
        ERASER_WEIGHTS__DIR=str(every_weight),
        ERASER_SERVER__SLEEP_AFTER_SECONDS="1",
        ERASER_MODELS__IDLE_UNLOAD_SECONDS="1800",
    )
    assert erase(server, coffee_jpeg, spoon_png, model="migan-onnx").status_code == 200
    assert state_of(server, "migan-onnx") == "ready"

    wait_asleep(server)

    until = time.monotonic() + 10
    while state_of(server, "migan-onnx") != "absent":
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_server_at_work_does_not_sleep(start, coffee_jpeg, spoon_png):
    server = start(slow=3, ERASER_SERVER__SLEEP_AFTER_SECONDS="0.5")

    answer = erase(server, coffee_jpeg, spoon_png, model="slow")

    assert answer.status_code == 200
    assert "wake" not in answer.headers["server-timing"]


def state_of(server: Server, model: str) -> str:
    models = httpx2.get(f"{server.url}/v1/status").json()["models"]
    return next(each["state"] for each in models if each["id"] == model)

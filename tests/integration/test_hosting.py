"""Models in processes of their own: what goes in and out, how they stop, how they die, and that nothing stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx2
import numpy as np
import psutil
import pytest
import structlog

import child_models
from child_house import IMAGE, THREADS, children, wait_for
from child_models import CARD, puppet
from magic_eraser.errors import (
    Cancelled,
    DeadlineExceeded,
    Draining,
    InternalError,
    ModelUnavailable,
    OutOfMemory,
)
from magic_eraser.hosting.pool import ModelState
from magic_eraser.models.entry import Entry
from magic_eraser.models.watch import Watch
from server_process import Server

# --- in and out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_arrive_and_return_as_they_are(house, dtype):
    rng = np.random.default_rng(3)
    shapes = [(5, 7), (300, 211), (64, 64)]
    images = [rng.integers(0, np.iinfo(dtype).max, (*shape, 3), dtype, endpoint=True) for shape in shapes]
    holes = [rng.random(shape) < 0.3 for shape in shapes]
    expected = [np.iinfo(dtype).max - image for image in images]
    for answer, hole in zip(expected, holes, strict=True):
        answer[hole] = THREADS  # so it knows how many it may use
    images[0].flags.writeable = False

    filled = house().fill(images=images, holes=holes)

    for answer, wanted in zip(filled, expected, strict=True):
        assert answer.dtype == dtype
        assert answer.flags.writeable
        assert np.array_equal(answer, wanted)


def test_progress_and_the_rough_mark_come_back(house):
    told = []
    watch = Watch(2.0, told.append)
    rooms = house()
    rooms.fill()
    rooms.fill("hurry", watch)
    assert watch.rough
    with pytest.raises(DeadlineExceeded):
        rooms.fill("work", Watch(0.5, told.append))
    assert len(told) > 3
    assert told == sorted(told)


def test_an_error_of_the_tree_stays_what_it_is(house):
    with pytest.raises(ModelUnavailable, match="Not today") as caught:
        house().fill("refuse")
    assert caught.value.detail_zh == "今天不行。"
    assert caught.value.retry_after == 7


def test_a_defect_tells_nothing_and_the_process_lives_on(house):
    rooms = house()
    rooms.fill()
    (before,) = children()
    with pytest.raises(InternalError) as caught:
        rooms.fill("break")
    assert "secret" not in str(caught.value)
    rooms.fill()
    assert children() == [before]


def test_native_noise_stays_out_of_our_own_output(house, capfd):
    house().fill("print")
    out, error = capfd.readouterr()
    assert not [line for line in (out + error).splitlines() if line in {"native noise", "more of it"}]


def test_native_libraries_are_told_their_threads_and_none_of_our_settings(house, monkeypatch):
    monkeypatch.setenv("ERASER_WEIGHTS__HF_TOKEN", "secret")
    house().fill("environment")


def test_its_warnings_are_lines_of_our_own_log(house):
    with structlog.testing.capture_logs() as lines, pytest.raises(OutOfMemory):
        house().fill("exhaust")
    told = [line for line in lines if line["event"] == "out_of_memory"]
    assert [line["precision"] for line in told] == ["auto", "bfloat16"]  # each step of the ladder
    for line in told:
        assert (line["log_level"], line["model"], line["height"], line["width"]) == (
            "warning",
            "puppet",
            32,
            24,
        )


# --- stopping -------------------------------------------------------------------------------------------


def cancelled_after(rooms, prompt, seconds=0.3) -> float:
    """Seconds from the cancel to the error."""
    watch = Watch(60)
    at = []
    timer = threading.Timer(seconds, lambda: (at.append(time.monotonic()), watch.cancel()))
    timer.start()
    with pytest.raises(Cancelled):
        rooms.fill(prompt, watch)
    return time.monotonic() - at[0]


def test_a_model_that_looks_at_its_watch_stops_soon_and_stays(house):
    rooms = house()
    rooms.fill()
    (before,) = children()
    assert cancelled_after(rooms, "work") < 0.5
    rooms.fill()
    assert children() == [before]


def test_one_that_does_not_is_ended_and_replaced(house):
    rooms = house()
    rooms.fill()
    (before,) = children()
    assert cancelled_after(rooms, "sleep") < 2
    rooms.fill()
    assert len(children()) == 1
    assert children() != [before]


@pytest.mark.parametrize("prompt", ["work", "sleep"])
def test_a_deadline_stops_either(house, prompt):
    rooms = house()
    rooms.fill()
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        rooms.fill(prompt, Watch(0.4))
    assert time.monotonic() - start < 2.4
    rooms.fill()


def test_who_waits_for_the_turn_of_another_network_may_leave_at_any_time(house):
    rooms = house(puppet("a"), puppet("b"))
    rooms.fill(model="b")
    with ThreadPoolExecutor(1) as other:
        watch = Watch(60)
        busy = other.submit(rooms.fill, "work", watch, "a")
        wait_for(lambda: rooms.pool.state("a") is ModelState.READY)
        time.sleep(0.2)
        start = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            rooms.fill(model="b", watch=Watch(0.2))
        assert time.monotonic() - start < 0.5
        watch.cancel()
        with pytest.raises(Cancelled):
            busy.result()


# --- dying ----------------------------------------------------------------------------------------------


def test_a_request_is_tried_once_more_in_a_fresh_process(house, tmp_path):
    rooms = house()
    (answer,) = rooms.fill(f"die {tmp_path / 'died'}")
    assert np.array_equal(answer[0], 255 - IMAGE[0])


def test_one_that_dies_twice_is_told_why_and_the_next_request_works(house):
    rooms = house()
    with pytest.raises(ModelUnavailable, match="killed by signal 9: probably memory ran out"):
        rooms.fill("die")
    rooms.fill()


def test_those_who_wait_behind_one_that_kills_the_process_are_served(house):
    rooms = house()
    rooms.fill()
    with ThreadPoolExecutor(6) as callers:
        fatal = callers.submit(rooms.fill, "die")
        jobs = [callers.submit(rooms.fill) for _ in range(5)]
        for job in jobs:
            job.result()
        with pytest.raises(ModelUnavailable, match="signal 9"):
            fatal.result()


def test_a_process_that_somebody_ended_while_it_was_idle_is_replaced(house):
    rooms = house()
    rooms.fill()
    (child,) = children()
    child.kill()
    wait_for(lambda: children() == [])  # no zombie either
    rooms.fill()


HOST = """
import asyncio, sys
sys.path[:0] = {path!r}
from child_house import House
if __name__ == "__main__":
    House().fill("sleep " + {marker!r})
"""


def test_nothing_is_left_of_a_parent_that_was_killed(tmp_path):
    marker = tmp_path / "begun"
    program = HOST.format(path=[str(Path(child_models.__file__).parent), *sys.path], marker=str(marker))
    host = subprocess.Popen([sys.executable, "-c", program])
    wait_for(marker.exists)
    (child,) = psutil.Process(host.pid).children()
    host.kill()
    host.wait()
    wait_for(
        lambda: not child.is_running() or child.status() == "zombie", 1.0
    )  # waited for by process 1, if at all


SERVER = """
import sys
sys.path[:0] = {path!r}
from child_models import puppet
from magic_eraser.api.app import create_app
from magic_eraser.api.server import run
from magic_eraser.models.catalog import CATALOG
from magic_eraser.settings import Settings
if __name__ == "__main__":
    settings = Settings.load()
    run(settings, create_app(settings, catalog={{**CATALOG, "puppet": puppet(prompt=True)}}))
"""


def kill_the_model_of(server: Server, marker: Path) -> None:
    """By a signal from outside, in the middle of its fill."""
    wait_for(marker.exists)
    marker.unlink()
    (child,) = psutil.Process(server.process.pid).children()
    child.kill()


def test_a_model_killed_in_the_middle_of_a_fill_by_way_of_the_server(start, tmp_path, coffee_png, dot_png):
    script, marker = tmp_path / "server.py", tmp_path / "begun"
    script.write_text(SERVER.format(path=[str(Path(child_models.__file__).parent)]))
    server = start(script=script)

    def post(prompt=""):
        files = {"image": coffee_png, "mask": dot_png}
        fields = {"model": "puppet", "prompt": prompt}
        return httpx2.post(f"{server.url}/v1/erase", files=files, data=fields, timeout=60)

    with ThreadPoolExecutor(1) as client:
        once = client.submit(post, f"sleep {marker}")
        kill_the_model_of(server, marker)
        kill_the_model_of(server, marker)
        refused = once.result()
        assert (refused.status_code, refused.json()["code"]) == (503, "model_unavailable")
        assert "signal 9" in refused.json()["detail"]
        assert post().status_code == 200

        again = client.submit(post, f"sleep_once {marker}")
        wait_for(marker.exists)
        (child,) = psutil.Process(server.process.pid).children()
        child.kill()
        assert again.result().status_code == 200
    assert server.stop() == 0


# --- loading --------------------------------------------------------------------------------------------


def test_a_package_that_is_not_there_is_named(house):
    entry = Entry(CARD, child_models.load_what_is_not_installed)
    with pytest.raises(ModelUnavailable, match="No module named 'no_such_package'") as caught:
        house(entry).fill()
    assert 0 < caught.value.retry_after <= 5


def test_the_loaders_own_sentence_arrives(house):
    with pytest.raises(ModelUnavailable, match=r"^The file lama\.pt has no key w\.$") as caught:
        house(Entry(CARD, child_models.load_and_refuse)).fill()
    assert caught.value.detail_zh == "文件 lama.pt 缺少键 w。"


def test_a_process_that_ends_while_loading_is_quoted(house):
    with pytest.raises(ModelUnavailable, match="ended with code 3: a last word"):
        house(Entry(CARD, child_models.load_and_die)).fill()


def test_closing_ends_a_load_and_its_process(house, tmp_path):
    marker = tmp_path / "begun"
    rooms = house(Entry(CARD, partial(child_models.load_slowly, CARD, str(marker))))
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(rooms.fill)
        wait_for(marker.exists)
        start = time.monotonic()
        rooms.close()
        assert time.monotonic() - start < 3
        with pytest.raises(Draining):
            waiting.result()
    assert children() == []


def test_closing_ends_a_job_and_its_process(house, tmp_path):
    marker = tmp_path / "begun"
    rooms = house()
    with ThreadPoolExecutor(1) as other:
        working = other.submit(rooms.fill, f"sleep {marker}")
        wait_for(marker.exists)
        start = time.monotonic()
        rooms.close()
        assert time.monotonic() - start < 3
        with pytest.raises(Draining):
            working.result()
    assert children() == []


def test_an_interrupt_meant_for_the_server_leaves_the_model_alone(house):
    rooms = house()
    rooms.fill()
    (child,) = children()
    for number in (signal.SIGINT, signal.SIGTERM):
        child.send_signal(number)
    rooms.fill()
    assert children() == [child]

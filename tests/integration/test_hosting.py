"""Models in processes of their own: what goes in and out, how they stop, how they die, and that nothing stays."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

import child_models
from child_models import CARD, puppet
from magic_eraser.errors import Cancelled, DeadlineExceeded, Draining, InternalError, ModelUnavailable
from magic_eraser.hosting.options import HostingOptions
from magic_eraser.hosting.pool import LocalPool, ModelState
from magic_eraser.hosting.workers import Workers
from magic_eraser.models.entry import Entry
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.watch import Watch

IMAGE = np.arange(32 * 24 * 3, dtype=np.uint8).reshape(32, 24, 3)
HOLE = np.zeros((32, 24), bool)
HOLE[8:12, 4:9] = True
THREADS = 2


def children() -> list[psutil.Process]:
    """Processes of models that live or have not been waited for."""
    return [child for child in psutil.Process().children() if "child_process" in _command(child)]


def _command(process: psutil.Process) -> str:
    try:
        return "zombie child_process" if process.status() == "zombie" else " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


class House:
    """A pool with its workers, driven from tests without an event loop."""

    def __init__(self, *entries: Entry, **options) -> None:
        self.workers = Workers(8)
        catalog = {entry.card.id: entry for entry in entries or (puppet(),)}
        given = {"isolation": "process", "network_threads": THREADS, **options}
        self.pool = LocalPool(self.workers, catalog, options=HostingOptions(**given))

    def fill(self, prompt="", watch=None, model="puppet", images=(IMAGE,), holes=(HOLE,)):
        options = InpaintOptions(prompt=prompt)
        return asyncio.run(self.pool.inpaint(model, images, holes, options, watch or Watch(60)))

    def close(self) -> None:
        asyncio.run(self.pool.close())
        self.workers.close()


@pytest.fixture
def house():
    houses = []

    def build(*entries, **options) -> House:
        houses.append(House(*entries, **options))
        return houses[-1]

    yield build
    for each in houses:
        each.close()
    assert children() == []


def wait_for(what, seconds=20.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


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
from test_hosting import House
if __name__ == "__main__":
    House().fill("sleep " + {marker!r})
"""


def test_nothing_is_left_of_a_parent_that_was_killed(tmp_path):
    marker = tmp_path / "begun"
    program = HOST.format(path=[str(Path(__file__).parent), *sys.path], marker=str(marker))
    host = subprocess.Popen([sys.executable, "-c", program])
    wait_for(marker.exists)
    (child,) = psutil.Process(host.pid).children()
    host.kill()
    host.wait()
    wait_for(
        lambda: not child.is_running() or child.status() == "zombie", 1.0
    )  # waited for by process 1, if at all


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


# --- memory ---------------------------------------------------------------------------------------------


def test_two_models_that_take_turns_in_one_place_never_fail_and_never_live_twice(house):
    rooms = house(puppet("a"), puppet("b"), budget_mb=150)
    most = []
    stop = threading.Event()

    def count() -> None:
        while not stop.wait(0.02):
            most.append(len(children()))

    counter = threading.Thread(target=count)
    counter.start()
    try:
        with ThreadPoolExecutor(8) as callers:
            jobs = [callers.submit(rooms.fill, model="ab"[k % 2]) for k in range(24)]
            answers = [job.result() for job in jobs]
    finally:
        stop.set()
        counter.join()
    assert len(answers) == 24
    assert max(most) == 1


def test_memory_comes_back_every_time(house):
    rooms = house(puppet(megabytes=200))
    me = psutil.Process()
    before = me.memory_info().rss
    for _ in range(10):
        rooms.fill()
        (child,) = children()
        assert child.memory_info().rss > 200 << 20
        assert rooms.pool.memory_mb("puppet") == pytest.approx(child.memory_info().rss / (1 << 20), rel=0.1)
        asyncio.run(rooms.pool.unload("puppet"))
        assert rooms.pool.memory_mb("puppet") == 0
        assert children() == []
    assert me.memory_info().rss - before < 40 << 20


def test_what_a_job_leaves_in_the_heap_goes_back_when_no_other_comes(house):
    rooms = house()
    rooms.fill()
    before = rooms.pool.memory_mb("puppet")
    rooms.fill("litter")
    assert rooms.pool.memory_mb("puppet") > before + 80
    wait_for(lambda: rooms.pool.memory_mb("puppet") < before + 20, 5)


def test_descriptors_do_not_grow(house):
    rooms = house()
    rooms.fill()
    (child,) = children()
    ours, its = psutil.Process().num_fds(), child.num_fds()
    for _ in range(100):
        rooms.fill()
    assert (
        child.num_fds() - its < 5
    )  # one a job would be a hundred; one more or less is a file just being read
    assert psutil.Process().num_fds() - ours < 5
    for _ in range(8):
        asyncio.run(rooms.pool.unload("puppet"))
        rooms.fill()
    assert psutil.Process().num_fds() - ours < 5


def test_an_interrupt_meant_for_the_server_leaves_the_model_alone(house):
    rooms = house()
    rooms.fill()
    (child,) = children()
    for number in (signal.SIGINT, signal.SIGTERM):
        child.send_signal(number)
    rooms.fill()
    assert children() == [child]

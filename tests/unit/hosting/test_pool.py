"""Models in this process: leases, loads, failures, room and idleness."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from magic_eraser.errors import (
    Cancelled,
    DeadlineExceeded,
    Draining,
    ModelUnavailable,
    OutOfMemory,
    UnknownModel,
)
from magic_eraser.hosting.options import HostingOptions
from magic_eraser.hosting.pool import LocalPool, ModelState, states
from magic_eraser.hosting.workers import Workers
from magic_eraser.models.availability import WhyNot
from magic_eraser.models.card import WeightFile
from magic_eraser.models.entry import Entry
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.watch import Watch
from slow_model import SlowInpainter

IMAGE, HOLE = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool)


class Loader:
    """Counts what is loaded and closed; waits at `gate`, raises `error` where there is one."""

    def __init__(self, name: str, seconds: float = 0.0, **facts) -> None:
        self.card = replace(SlowInpainter.card, id=name, **({"memory_mb": 100} | facts))
        self.seconds = seconds
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.setups = []
        self.begun = threading.Semaphore(0)
        self.closed = 0
        self.last = lambda: None
        self.models: list[SlowInpainter] = []

    def __call__(self, setup) -> SlowInpainter:
        self.setups.append(setup)
        self.begun.release()
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        model = SlowInpainter(self.seconds)
        model.card = self.card
        model.close = self._close
        self.last = weakref.ref(model)
        return model

    def _close(self) -> None:
        self.closed += 1

    @property
    def entry(self) -> Entry:
        return Entry(self.card, self)


class House:
    def __init__(self, *loaders: Loader, ports=None, **options) -> None:
        self.workers = Workers(8)
        catalog = {loader.card.id: loader.entry for loader in loaders}
        self.pool = LocalPool(
            self.workers, catalog, threads=2, options=HostingOptions(**options), **(ports or {})
        )
        self.callers = ThreadPoolExecutor(8)

    def fill(self, model="a", watch=None):
        work = self.pool.inpaint(model, [IMAGE], [HOLE], InpaintOptions(), watch or Watch(20))
        return asyncio.run(work)

    def begin(self, model="a", watch=None):
        return self.callers.submit(self.fill, model, watch)

    def close(self) -> None:
        asyncio.run(self.pool.close())
        self.workers.close()
        self.callers.shutdown()


@pytest.fixture
def house():
    houses = []

    def build(*loaders, **options) -> House:
        houses.append(House(*loaders, **options))
        return houses[-1]

    yield build
    for each in houses:
        each.close()


def wait_for(what, seconds=10.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


# --- loads ----------------------------------------------------------------------------------------------


def test_many_at_once_load_once(house):
    a = Loader("a")
    a.gate.clear()
    rooms = house(a)
    jobs = [rooms.begin() for _ in range(4)]
    a.begun.acquire()
    assert rooms.pool.state("a") is ModelState.LOADING
    a.gate.set()
    for job in jobs:
        assert job.result()[0].shape == IMAGE.shape
    assert len(a.setups) == 1
    assert dict(states(rooms.pool)) == {"a": ModelState.READY}


@pytest.mark.parametrize("leave", ["deadline", "cancel"])
def test_who_leaves_while_it_loads_is_let_go_at_once_and_the_load_goes_on(house, leave):
    a = Loader("a")
    a.gate.clear()
    rooms = house(a)
    watch = Watch(0.2 if leave == "deadline" else 20)
    job = rooms.begin(watch=watch)
    a.begun.acquire()
    start = time.monotonic()
    if leave == "cancel":
        watch.cancel()
    with pytest.raises((Cancelled, DeadlineExceeded)):
        job.result()
    assert time.monotonic() - start < 0.2 + 0.2
    a.gate.set()
    wait_for(lambda: rooms.pool.state("a") is ModelState.READY)
    rooms.fill()
    assert len(a.setups) == 1


def test_a_failed_load_is_remembered_for_a_while_and_tried_again(house):
    a = Loader("a")
    a.error = ValueError("no such key")
    rooms = house(a)
    for _ in range(3):
        with pytest.raises(ModelUnavailable, match="ValueError: no such key") as caught:
            rooms.fill()
        assert 4 < caught.value.retry_after <= 5
    assert len(a.setups) == 1
    assert rooms.pool.state("a") is ModelState.FAILED

    a.error = None
    rooms.pool._residency.models["a"].retry_at = 0.0  # the pause is over
    rooms.fill()
    assert rooms.pool.state("a") is ModelState.READY


def test_one_that_failed_is_left_alone_for_the_pause_and_no_longer(house):
    a = Loader("a")
    a.error = ValueError("no such key")
    rooms = house(a)
    assert rooms.pool.retry_after("a") == 0
    with pytest.raises(ModelUnavailable):
        rooms.fill()
    assert 4 < rooms.pool.retry_after("a") <= 5
    rooms.pool._residency.models["a"].retry_at = 0.0  # the pause is over
    assert rooms.pool.retry_after("a") == 0
    assert rooms.pool.state("a") is ModelState.FAILED  # as far as anybody knows


def test_what_fills_and_loads_took_is_what_the_next_will_take(house):
    a = Loader("a", seconds=0.2)
    rooms = house(a)
    assert rooms.pool.expected_seconds("a", 64) is None
    rooms.fill()
    assert rooms.pool.expected_seconds("a", 64) == pytest.approx(0.2, rel=0.25)
    assert rooms.pool.expected_seconds("a", 640) == pytest.approx(2.0, rel=0.25)
    asyncio.run(rooms.pool.unload("a"))
    rooms.pool._paces["a"].loaded(50.0)
    assert rooms.pool.expected_seconds("a", 64) > 10


def test_a_fill_that_was_too_slow_is_remembered_too(house):
    rooms = house(Loader("a", seconds=20))
    with pytest.raises(DeadlineExceeded):
        rooms.fill(watch=Watch(0.3))
    assert 0.2 < rooms.pool.expected_seconds("a", 64) < 2


def test_pixels_count_as_the_model_pads_them(house):
    rooms = house(Loader("a", seconds=0.2, multiple_of=16))
    rooms.fill()
    assert rooms.pool.expected_seconds("a", 256) == pytest.approx(0.2, rel=0.25)


def test_what_it_lacks_is_said_at_once_and_is_no_failure(house):
    a = Loader("a")
    lacking = [WhyNot("weights", "Its weights are not here.", "尚未下载权重。")]
    rooms = house(a, ports={"why_not": lambda _: lacking[0] if lacking else None})
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="weights are not here") as caught:
            rooms.fill()
        assert caught.value.detail_zh == "模型“a”暂时无法使用。尚未下载权重。"
    assert rooms.pool.why_not("a") == lacking[0]
    assert a.setups == []
    assert rooms.pool.state("a") is ModelState.ABSENT
    lacking.clear()
    rooms.fill()


def test_a_pool_without_a_folder_has_what_needs_no_weights(house):
    rooms = house(Loader("a", weights=(WeightFile("a.pt"),)), Loader("b"))
    assert rooms.pool.why_not("a").code == "weights"
    assert rooms.pool.why_not("b") is None
    with pytest.raises(ModelUnavailable, match="models download a"):
        rooms.fill("a")


def test_weights_that_went_away_while_it_loaded_are_no_failure(house):
    a = Loader("a")
    a.gate.clear()
    a.error = OSError("gone")
    lacking: list[WhyNot] = []
    rooms = house(a, ports={"why_not": lambda _: lacking[0] if lacking else None})
    job = rooms.begin()
    a.begun.acquire()
    lacking.append(WhyNot("weights", "Its weights are not here.", "尚未下载权重。"))
    a.gate.set()
    with pytest.raises(ModelUnavailable):
        job.result()
    assert rooms.pool.state("a") is ModelState.ABSENT


def test_the_loader_is_told_what_the_operator_decided(house):
    plain, network = Loader("a"), Loader("b", isolated=True)
    files = (Path("b.pt"),)
    rooms = house(
        plain, network, ports={"weights": lambda card: files if card.id == "b" else ()},
        network_threads=5, device="cpu", low_memory=True, cpu_offload=True,
    )  # fmt: skip
    rooms.fill("a")
    rooms.fill("b")
    assert plain.setups[0].threads == 2
    (setup,) = network.setups
    assert (setup.threads, setup.device, setup.weights) == (5, "cpu", files)
    assert setup.low_memory
    assert setup.cpu_offload


def test_nobody_asks_for_a_model_that_is_not_there(house):
    rooms = house(Loader("a"))
    with pytest.raises(UnknownModel):
        rooms.fill("b")
    assert rooms.pool.state("b") is ModelState.ABSENT
    assert rooms.pool.memory_mb("b") == 0


def test_preloading_survives_what_cannot_be_loaded(house):
    a, b = Loader("a"), Loader("b")
    a.error = ValueError("broken")
    rooms = house(a, b)
    asyncio.run(rooms.pool.preload(["nonsense", "a", "b"]))
    assert rooms.pool.state("a") is ModelState.FAILED
    assert rooms.pool.state("b") is ModelState.READY


def test_where_memory_is_low_networks_get_half_the_size_one_by_one(house):
    facts = {"working_size": 512, "best_size": 768, "batch": 4}
    pool = house(Loader("a", isolated=True, **facts), Loader("b", **facts), low_memory=True).pool
    cards = pool.cards()
    assert [(card.working_size, card.best_size, card.batch) for card in cards.values()] == [
        (256, 384, 1), (512, 768, 4),
    ]  # fmt: skip


# --- room -----------------------------------------------------------------------------------------------


def test_the_one_not_used_for_longest_makes_room(house):
    a, b, c = Loader("a"), Loader("b"), Loader("c")
    free = Loader("free", memory_mb=0)
    rooms = house(a, b, c, free, budget_mb=250)
    for name in ("free", "a", "b", "a", "c"):
        rooms.fill(name)
    assert [loader.closed for loader in (a, b, c, free)] == [0, 1, 0, 0]
    assert rooms.pool.memory_mb("a") == 100
    assert rooms.pool.memory_mb("b") == 0


def test_one_larger_than_all_the_room_is_refused_clearly(house):
    rooms = house(Loader("a", memory_mb=300), budget_mb=250)
    with pytest.raises(OutOfMemory, match="takes 300 MiB, and models may take 250 MiB"):
        rooms.fill()


def test_a_load_waits_for_leases_to_end_but_not_longer_than_its_deadline(house):
    a, b = Loader("a", seconds=0.6), Loader("b")
    rooms = house(a, b, budget_mb=150)
    busy = rooms.begin("a")
    wait_for(lambda: rooms.pool.state("a") is ModelState.READY)
    with pytest.raises(DeadlineExceeded):
        rooms.fill("b", Watch(0.1))
    assert b.setups == []
    rooms.fill("b")
    assert a.closed == 1
    busy.result(timeout=5)  # its thread may be told a moment later


def test_two_that_take_turns_in_one_place_both_get_on(house):
    a, b = Loader("a", seconds=0.01), Loader("b", seconds=0.01)
    rooms = house(a, b, budget_mb=150)
    for job in [rooms.begin("ab"[k % 2]) for k in range(40)]:
        job.result()


def test_unloading_waits_for_the_leases_and_newcomers_load_again(house):
    a = Loader("a", seconds=0.3)
    rooms = house(a)
    busy = rooms.begin()
    wait_for(lambda: rooms.pool.state("a") is ModelState.READY)
    going = rooms.callers.submit(lambda: asyncio.run(rooms.pool.unload("a")))
    wait_for(lambda: rooms.pool.state("a") is ModelState.UNLOADING)
    assert not a.closed
    rooms.fill()
    going.result()
    assert busy.done()
    assert a.closed == 1
    assert len(a.setups) == 2


def test_nothing_holds_on_to_one_that_was_let_go(house):
    a = Loader("a")
    rooms = house(a)
    rooms.fill()
    gc.collect()
    assert a.last() is not None
    asyncio.run(rooms.pool.unload("a"))
    gc.collect()
    assert a.last() is None
    assert rooms.pool.state("a") is ModelState.ABSENT


def test_one_that_nobody_uses_goes_and_others_stay(house):
    a, b, free = Loader("a"), Loader("b"), Loader("free", memory_mb=0)
    rooms = house(a, b, free, idle_seconds=0.2, idle_seconds_of={"b": 0.0})
    for name in ("a", "b", "free"):
        rooms.fill(name)
    wait_for(lambda: rooms.pool.state("a") is ModelState.ABSENT, 2)
    assert rooms.pool.state("b") is rooms.pool.state("free") is ModelState.READY
    rooms.fill("a")
    assert len(a.setups) == 2


def test_use_puts_it_off(house):
    a = Loader("a", seconds=0.1)
    rooms = house(a, idle_seconds=0.4)
    start = time.monotonic()
    while time.monotonic() - start < 1:
        rooms.fill()
    assert len(a.setups) == 1


def test_nobody_keeps_watch_where_nothing_is_to_go(house):
    rooms = house(Loader("free", memory_mb=0), Loader("a"))
    rooms.fill("free")
    rooms.fill("a")
    assert not [thread for thread in threading.enumerate() if thread.name == "model-keeper"]


def test_networks_take_turns_and_others_do_not(house):
    network, plain = Loader("a", seconds=0.15, isolated=True), Loader("b", seconds=0.15)
    rooms = house(network, plain)
    models = {}
    for name in ("a", "b"):
        rooms.fill(name)
        models[name] = rooms.pool._models[name]
    for job in [rooms.begin(name) for name in "aabb"]:
        job.result()
    assert models["a"]._model.most_running == 1  # inside the ladder
    assert models["b"].most_running == 2


# --- the end --------------------------------------------------------------------------------------------


def test_closing_lets_all_go_and_nothing_comes_any_more(house):
    a, b = Loader("a"), Loader("b")
    rooms = house(a, b)
    rooms.fill("a")
    rooms.fill("b")
    asyncio.run(rooms.pool.close())
    assert (a.closed, b.closed) == (1, 1)
    with pytest.raises(Draining):
        rooms.fill("a")


def test_one_that_is_loading_when_the_pool_is_closed_is_closed_too(house):
    a = Loader("a")
    a.gate.clear()
    rooms = house(a)
    job = rooms.begin()
    a.begun.acquire()
    ending = rooms.callers.submit(lambda: asyncio.run(rooms.pool.close()))
    with pytest.raises(Draining):
        job.result()
    a.gate.set()
    ending.result()
    assert a.closed == 1

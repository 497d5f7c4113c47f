"""Models in processes of their own: their memory, their descriptors and they themselves go when they are let go."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from checkpoints import lama
from child_house import HOLE, IMAGE, children, wait_for
from child_models import puppet
from magic_eraser.hosting.options import HostingOptions
from magic_eraser.hosting.pool import LocalPool, ModelState
from magic_eraser.hosting.workers import Workers
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.watch import Watch


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


def tree_mb() -> float:
    """MiB of this process and all below it."""
    me = psutil.Process()
    return sum(process.memory_info().rss for process in [me, *me.children(recursive=True)]) / (1 << 20)


def test_a_network_that_nobody_uses_goes_though_its_state_is_asked_for_and_leaves_nothing(tmp_path):
    weights = lama.save_torchscript(lama.make(width=16, blocks=2), tmp_path / "big-lama.pt")
    workers = Workers(2)
    pool = LocalPool(
        workers,
        {"lama": CATALOG["lama"]},
        options=HostingOptions(isolation="process", network_threads=1, idle_seconds=0.3),
        why_not=lambda _: None,
        weights=lambda _: (weights,),
    )
    before = tree_mb()
    try:
        for _ in range(10):
            asyncio.run(pool.inpaint("lama", [IMAGE], [HOLE], InpaintOptions(), Watch(60)))
            assert pool.memory_mb("lama") > 100
            assert tree_mb() > before + 100
            wait_for(lambda: pool.state("lama") is ModelState.ABSENT and pool.memory_mb("lama") == 0, 5)
            assert children() == []
            assert tree_mb() - before < 40
    finally:
        asyncio.run(pool.close())
        workers.close()


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

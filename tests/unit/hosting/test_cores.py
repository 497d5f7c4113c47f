"""Cores: what there is, what each fill gets, and OpenCV with it."""

from __future__ import annotations

import os
import threading
import time

import cv2
import pytest
from fastapi.testclient import TestClient

from magic_eraser.api.app import create_app
from magic_eraser.errors import DeadlineExceeded
from magic_eraser.hosting.cores import Turn, share, usable_cores
from magic_eraser.library import Eraser
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.entry import Entry
from magic_eraser.models.watch import Watch
from magic_eraser.settings import ModelSettings, QueueSettings, Settings


@pytest.fixture(autouse=True)
def opencv_as_it_was():
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


@pytest.mark.parametrize("text", ["max 100000", "", "many", "100000 0"])
def test_without_a_quota_they_are_those_that_the_system_gives(tmp_path, text):
    limit = tmp_path / "cpu.max"
    limit.write_text(text)
    assert usable_cores(limit) == usable_cores(tmp_path / "none") == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("text", ["100000 100000", "20000 100000"])
def test_a_containers_quota_counts(tmp_path, text):
    limit = tmp_path / "cpu.max"
    limit.write_text(text)
    assert usable_cores(limit) == 1


@pytest.mark.parametrize(("cores", "slots", "each"), [(2, 3, 1), (8, 3, 2), (8, 1, 8), (1, 256, 1)])
def test_they_are_shared_out_between_the_slots(cores, slots, each):
    assert share(cores, slots) == each


@pytest.fixture
def loaded_with(tmp_path, coffee_png, dot_png):
    """`loaded_with(**sections)`: the threads that a server of these settings loads a model with."""

    def load(**sections) -> int:
        seen = []

        def telea(setup):
            seen.append(setup.threads)
            return CATALOG["telea"].load(setup)

        settings = Settings(data_dir=tmp_path, **sections)
        app = create_app(settings, catalog={**CATALOG, "telea": Entry(CATALOG["telea"].card, telea)})
        with TestClient(app) as client:
            files = {"image": coffee_png, "mask": dot_png}
            assert client.post("/v1/erase", files=files, data={"model": "telea"}).status_code == 200
        return seen[0]

    return load


def test_the_setting_reaches_the_models_and_opencv(loaded_with):
    assert loaded_with(models=ModelSettings(threads=2)) == 2
    assert cv2.getNumThreads() == 2


def test_by_default_every_slot_has_its_share(loaded_with):
    assert loaded_with(queue=QueueSettings(slots=256)) == 1
    assert cv2.getNumThreads() == 1


def test_the_library_leaves_the_hosts_opencv_alone_unless_told():
    cv2.setNumThreads(2)
    Eraser().close()
    assert cv2.getNumThreads() == 2
    Eraser(threads=1).close()
    assert cv2.getNumThreads() == 1


def test_turns_come_in_the_order_of_arrival():
    turn, order, threads = Turn(), [], []

    def take(number):
        with turn.taken(Watch(10)):
            order.append(number)

    with turn.taken(Watch()):
        for number in range(5):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            while len(turn._line) < number + 2:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_who_waits_for_a_turn_may_leave_and_is_not_waited_for():
    turn = Turn()
    with turn.taken(Watch()):
        start = time.monotonic()
        with pytest.raises(DeadlineExceeded), turn.taken(Watch(0.05)):
            raise AssertionError
        assert time.monotonic() - start < 0.15
    with turn.taken(Watch(0.05)):
        pass

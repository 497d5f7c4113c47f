"""Threads change the time of a fill and nothing else."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from magic_eraser.errors import Cancelled
from magic_eraser.models.patch.fill import fill
from magic_eraser.models.patch.parallel import Crew, pieces
from magic_eraser.models.watch import Watch


def test_pieces_cover_everything_once():
    assert [(p.start, p.stop) for p in pieces(10, 4)] == [(0, 4), (4, 8), (8, 10)]
    assert pieces(0, 4) == []


@pytest.mark.parametrize("threads", [1, 3])
def test_every_part_is_worked_on_once_and_drawn_in_the_caller_s_thread(threads):
    drawn, done = [], []

    def parts():
        for part in range(50):
            drawn.append(threading.get_ident())
            yield part

    with Crew(threads, Watch()) as crew:
        crew.each(done.append, parts())
    assert sorted(done) == list(range(50))
    assert set(drawn) == {threading.get_ident()}


@pytest.mark.parametrize("threads", [1, 3])
def test_what_goes_wrong_in_a_part_reaches_the_caller(threads):
    def work(part):
        if part == 7:
            raise ValueError(part)

    with Crew(threads, Watch()) as crew, pytest.raises(ValueError, match="7"):
        crew.each(work, range(50))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_cancelled_watch_stops_before_the_next_part(threads):
    watch, done = Watch(), []

    def work(part):
        done.append(part)
        watch.cancel()

    with Crew(threads, watch) as crew, pytest.raises(Cancelled):
        crew.each(work, range(50))
    assert len(done) <= 2 * threads


def test_the_number_of_threads_does_not_change_the_fill(texture, square_hole):
    image, hole = texture(220, 260), square_hole(220, 260, 90)
    image[hole] = 0
    one, three = (fill(image, hole, np.random.default_rng(5), Watch(), threads=n) for n in (1, 3))
    assert one is not None
    assert three is not None
    assert (one.labels == three.labels).all()

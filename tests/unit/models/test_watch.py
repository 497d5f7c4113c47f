"""The watch that a request carries."""

from __future__ import annotations

import time

import pytest

from magic_eraser.errors import Cancelled, DeadlineExceeded
from magic_eraser.models.watch import Watch


def test_without_a_limit_it_lets_everything_pass():
    watch = Watch()
    watch.check()
    assert watch.remaining() is None


def test_past_its_deadline_it_stops_the_work():
    watch = Watch(seconds=0)
    assert watch.remaining() == 0
    with pytest.raises(DeadlineExceeded):
        watch.check()


def test_a_cancel_comes_before_a_deadline():
    watch = Watch(seconds=0)
    watch.cancel()
    with pytest.raises(Cancelled):
        watch.check()


def test_progress_is_told_within_0_and_1_and_checks():
    told = []
    watch = Watch(on_progress=told.append)
    watch.progress(-1)
    watch.progress(0.5)
    watch.progress(2)
    assert told == [0, 0.5, 1]
    watch.cancel()
    with pytest.raises(Cancelled):
        watch.progress(0.9)


def test_three_quarters_into_its_time_it_says_hurry():
    assert not Watch().hurry()
    assert not Watch(seconds=60).hurry()
    watch = Watch(seconds=0.2)
    time.sleep(0.16)
    assert watch.hurry()
    watch.check()  # hurrying is not late


def test_a_part_tells_its_share_of_the_whole():
    told = []
    watch = Watch(on_progress=told.append)
    part = watch.part(0.5, 0.9)
    part.progress(0.5)
    part.part(0, 0.5).progress(1)
    part.progress(3)
    assert told == pytest.approx([0.7, 0.7, 0.9])


def test_a_part_shares_everything_else():
    watch = Watch(seconds=60)
    part = watch.part(0, 0.5)
    assert part.deadline == watch.deadline
    part.mark_rough()
    assert watch.rough
    watch.cancel()
    with pytest.raises(Cancelled):
        part.progress(0)

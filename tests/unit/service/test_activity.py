"""Idle for how long, asleep or not, and who woke it."""

from __future__ import annotations

import pytest

from magic_eraser.service.activity import Activity


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_work_inside_is_never_idle_and_never_sleeps(clock):
    activity = Activity(clock)
    with activity.busy():
        clock.now += 5000
        assert activity.idle_seconds == 0
        assert not activity.fall_asleep()
    clock.now += 7
    assert activity.idle_seconds == 7


def test_the_first_work_after_a_sleep_is_told_how_long_it_was_and_no_other_is(clock):
    woken = []
    activity = Activity(clock, lambda: woken.append(clock.now))
    assert activity.fall_asleep()
    clock.now += 1800
    with activity.busy() as first, activity.busy() as second:
        assert (first, second) == (1800, None)
        assert not activity.asleep
    assert woken == [1900]


def test_work_that_fails_is_over_as_well(clock):
    activity = Activity(clock)
    with pytest.raises(RuntimeError), activity.busy():
        raise RuntimeError
    clock.now += 3
    assert activity.idle_seconds == 3

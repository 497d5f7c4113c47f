"""Callers of the last five minutes, each counted once."""

from __future__ import annotations

from magic_eraser.telemetry import active
from magic_eraser.telemetry.active import ActiveUsers


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_caller_counts_once_and_until_five_minutes_after_it_asked_last():
    clock = Clock()
    users = ActiveUsers(clock)
    for caller in ("a", "b", "a"):
        users.saw(caller)
    assert users.count() == 2
    clock.now = 299
    users.saw("a")
    clock.now = 301
    assert users.count() == 1
    clock.now = 600
    assert users.count() == 0


def test_a_flood_of_callers_takes_no_memory_without_end():
    users = ActiveUsers(Clock())
    for k in range(active.MOST + 10):
        users.saw(str(k))
    assert users.count() == active.MOST

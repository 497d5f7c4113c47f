"""What is known of a model's speed."""

from __future__ import annotations

import pytest

from magic_eraser.hosting.pace import Pace


def test_nothing_is_known_at_first():
    pace = Pace()
    assert pace.fill_seconds(1_000_000) is None
    assert pace.load_seconds() is None


def test_a_fill_is_expected_to_take_what_others_took_for_their_pixels():
    pace = Pace()
    pace.filled(250_000, 0.5)
    assert pace.fill_seconds(1_000_000) == pytest.approx(2.0)


def test_the_last_ones_count_most_and_small_crops_little():
    pace = Pace()
    for _ in range(20):
        pace.filled(1_000_000, 1.0)
    pace.filled(10_000, 0.5)  # fifty times as long for its size
    assert pace.fill_seconds(1_000_000) < 1.2
    for _ in range(3):
        pace.filled(1_000_000, 3.0)
    assert 1.9 < pace.fill_seconds(1_000_000) < 2.3
    for _ in range(20):
        pace.filled(1_000_000, 3.0)
    assert pace.fill_seconds(1_000_000) == pytest.approx(3.0, rel=0.05)


def test_one_that_was_stopped_tells_only_that_it_takes_longer():
    pace = Pace()
    pace.stopped(1_000_000, 1.0)
    assert pace.fill_seconds(1_000_000) == pytest.approx(1.0)
    pace.stopped(1_000_000, 0.2)
    assert pace.fill_seconds(1_000_000) == pytest.approx(1.0)
    pace.stopped(1_000_000, 4.0)
    assert pace.fill_seconds(1_000_000) > 2.0


def test_loads_are_averaged():
    pace = Pace()
    pace.loaded(2.0)
    assert pace.load_seconds() == 2.0
    pace.loaded(7.0)
    assert pace.load_seconds() == pytest.approx(3.0)

"""What an upgrade in the middle of a period costs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.accounts.money import MOST
from magic_eraser.billing.subscriptions.proration import prorated

START, END = 1_790_000_000.0, 1_790_000_000.0 + 30 * 86_400
BASIC, PRO = 2_900_000, 9_900_000
PRICES = st.integers(0, MOST)
MOMENTS = st.floats(0, 4e9, allow_nan=False)


def at(days: float) -> int:
    return prorated(BASIC, PRO, start=START, end=END, at=START + days * 86_400)


def test_an_upgrade_costs_the_difference_for_the_days_that_are_left():
    assert [at(days) for days in (0, 10, 15, 29, 30)] == [7_000_000, 4_666_666, 3_500_000, 233_333, 0]


def test_before_the_period_it_costs_all_of_it_and_after_it_nothing():
    assert (at(-3), at(31)) == (7_000_000, 0)


def test_it_is_rounded_down_in_the_users_favour():
    assert prorated(0, 2, start=0, end=3, at=1) == 1  # 1.33
    assert prorated(0, 1, start=0, end=3, at=1) == 0


def test_a_period_of_no_length_costs_nothing():
    assert prorated(BASIC, PRO, start=START, end=START, at=START) == 0


def test_a_cheaper_plan_gives_nothing_back():
    assert prorated(PRO, BASIC, start=START, end=END, at=START) == 0


@given(PRICES, PRICES, MOMENTS, MOMENTS, MOMENTS)
def test_it_is_never_below_nothing_nor_above_the_difference(one, other, start, end, now):
    old, new = sorted((one, other))
    assert 0 <= prorated(old, new, start=start, end=end, at=now) <= new - old


@given(PRICES, PRICES, MOMENTS, st.floats(0.01, 1e8))
def test_the_whole_period_costs_the_whole_difference(one, other, start, seconds):
    old, new = sorted((one, other))
    assert prorated(old, new, start=start, end=start + seconds, at=start) == new - old


@given(PRICES, PRICES, st.floats(0, 30), st.floats(0, 30))
def test_who_upgrades_later_pays_no_more(one, other, day, another):
    old, new = sorted((one, other))
    costs = [
        prorated(old, new, start=START, end=END, at=START + days * 86_400) for days in sorted((day, another))
    ]
    assert costs[0] >= costs[1]


@given(st.lists(PRICES, min_size=3, max_size=3), st.floats(0, 30))
def test_two_upgrades_cost_no_more_than_one(prices, day):
    low, middle, high = sorted(prices)
    when = {"start": START, "end": END, "at": START + day * 86_400}
    steps = prorated(low, middle, **when) + prorated(middle, high, **when)
    assert steps <= prorated(low, high, **when) <= steps + 1

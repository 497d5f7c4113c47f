"""The line: classes, turns between parties, age, and who makes room."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magic_eraser.accounts.priority import Priority
from magic_eraser.service.line import REMEMBERED, Line, Waiter

BATCH, NORMAL, FIRST = Priority
AGING = 4.0
DEPTH = 12
BOUND = 3 * AGING + DEPTH + 1
"""Turns, one a second, after which the head of any queue has had its own: until it is above every newcomer's class,
and then one for each of the others."""

parties = st.sampled_from("abcd")
arrivals = st.tuples(parties, st.sampled_from(Priority))


def waiter(party: str, priority: Priority = NORMAL, since: float = 0.0, name: str = "") -> Waiter[str]:
    return Waiter(party, priority, since, name or party)


def line_of(*waiters: Waiter[str], aging: float = AGING) -> Line[str]:
    line: Line[str] = Line(aging)
    for each in waiters:
        line.join(each)
    return line


def served(line: Line[str], now: float = 0.0) -> list[str]:
    names = []
    while (each := line.next(now)) is not None:
        names.append(each.ticket)
    return names


def test_of_one_party_the_first_to_come_is_the_first_served():
    assert served(line_of(*(waiter("a", name=name) for name in "123"))) == ["1", "2", "3"]


def test_parties_take_turns_however_many_each_has_waiting():
    line = line_of(*(waiter("a") for _ in range(4)), waiter("b"), waiter("b"), waiter("c"))
    assert served(line) == ["a", "b", "c", "a", "b", "a", "a"]


def test_a_higher_class_goes_first():
    line = line_of(waiter("a", BATCH), waiter("b", NORMAL), waiter("c", FIRST))
    assert served(line) == ["c", "b", "a"]


def test_a_party_that_has_just_been_served_comes_after_one_that_has_not():
    line = line_of(waiter("a"), waiter("b"))
    line.served("a")
    assert served(line) == ["b", "a"]


@pytest.mark.parametrize("age", [0.0, 5.0, 30.0, 1000.0])
def test_a_hundred_waiting_however_old_delay_another_party_by_one_turn_at_most(age):
    line = line_of(*(waiter("a", since=now / 10) for now in range(100)))
    now = 10.0 + age
    while len(line) > 50:  # half of them go through meanwhile, none faster than one in two seconds
        line.next(now)
        now += 2.0
    line.served("b")  # as unlucky as can be: its own last turn was later than theirs
    line.join(waiter("b", since=now))
    assert "b" in [line.next(now).ticket, line.next(now).ticket]


def test_waiting_without_a_turn_raises_by_a_class():
    line = line_of(waiter("a", BATCH, since=0), waiter("b", NORMAL, since=2 * AGING))
    assert line.next(2 * AGING).ticket == "a"


def test_a_turn_ends_the_age_of_those_behind():
    line = line_of(*(waiter("a", BATCH) for _ in range(3)), waiter("b", NORMAL, since=2 * AGING))
    assert [line.next(2 * AGING).ticket for _ in range(2)] == ["a", "b"]


def test_nobody_starves_behind_ever_new_parties_of_the_highest_class():
    line = line_of(waiter("old", BATCH))
    turns = 0
    while True:
        now = float(turns)
        for newcomer in range(DEPTH - len(line)):
            line.join(waiter(f"{turns}/{newcomer}", FIRST, since=now))
        turns += 1
        if line.next(now).ticket == "old":
            break
    assert turns <= BOUND


@settings(deadline=None)
@given(
    st.lists(arrivals, max_size=DEPTH - 1),
    arrivals,
    st.lists(st.lists(arrivals, max_size=4), min_size=20, max_size=60),
)
def test_everybody_is_served_within_a_bound_whatever_comes_after(before, victim, after):
    line = line_of(*(waiter(party, priority) for party, priority in before))
    its_queue = 1 + sum(each == victim for each in before)
    line.join(waiter(*victim, name="victim"))
    bound = its_queue * BOUND
    for turn in range(math.ceil(bound)):
        for party, priority in after[turn % len(after)][: DEPTH - len(line)]:
            line.join(waiter(party, priority, since=float(turn)))
        if line.next(float(turn)).ticket == "victim":
            return
    pytest.fail(f"not served within {bound} turns")


@given(st.lists(parties), st.lists(parties), parties)
def test_the_place_told_to_a_newcomer_is_how_many_go_before(turns, waiting, newcomer):
    line = line_of(*(waiter(each, since=at, name="other") for at, each in enumerate(waiting)), aging=math.inf)
    for party in turns:
        line.served(party)
    ahead = line.ahead(newcomer, NORMAL, 0.0)
    line.join(waiter(newcomer, since=len(waiting), name="newcomer"))
    assert served(line).index("newcomer") == ahead


def test_the_place_counts_all_of_higher_classes_and_none_of_lower_ones():
    line = line_of(waiter("a", FIRST), waiter("b", FIRST), waiter("c", NORMAL), waiter("d", BATCH))
    assert [line.ahead("e", priority, 0.0) for priority in Priority] == [4, 3, 2]


def test_the_largest_party_makes_room_with_its_last():
    line = line_of(waiter("a"), waiter("b"), waiter("a", name="last"))
    assert line.crowder("c", NORMAL, 0.0).ticket == "last"
    assert line.crowder("b", NORMAL, 0.0) is None  # it would have as many itself then


def test_one_party_alone_has_nobody_to_push_out():
    line = line_of(waiter("a"), waiter("a"), waiter("a"))
    assert line.crowder("a", NORMAL, 0.0) is None


def test_a_lower_class_makes_room_whoever_it_is():
    line = line_of(waiter("a", NORMAL), waiter("a", NORMAL), waiter("b", BATCH))
    assert line.crowder("a", NORMAL, 0.0).ticket == "b"
    assert line.crowder("c", BATCH, 0.0) is None


def test_a_lower_class_that_has_grown_old_stays_and_the_largest_party_makes_room():
    line = line_of(waiter("a"), waiter("a"), waiter("b", BATCH))
    assert line.crowder("c", NORMAL, AGING).ticket == "a"


def test_a_party_that_fills_the_line_makes_room_however_long_it_has_waited():
    line = line_of(*(waiter("a") for _ in range(5)))
    assert line.crowder("b", NORMAL, 100 * AGING).ticket == "a"


@given(st.lists(arrivals), st.lists(st.integers(0, 30)))
def test_whoever_leaves_is_gone_and_the_counts_are_right(joining, leaving):
    line = line_of()
    inside = [waiter(*each) for each in joining]
    for each in inside:
        line.join(each)
    for index in leaving:
        if index < len(inside):
            gone = inside.pop(index)
            assert line.leave(gone)
            assert not line.leave(gone)
    assert len(line) == len(inside) == sum(line.counts().values())
    assert set(line) == set(inside)
    assert line.counts() == {each: sum(one.priority == each for one in inside) for each in Priority}
    assert len(served(line)) == len(inside)


def test_turns_of_parties_that_are_gone_are_forgotten_in_the_end():
    line = line_of()
    for number in range(10 * REMEMBERED):
        line.served(str(number))
    assert len(line._served) <= REMEMBERED + 1


def test_a_turn_is_remembered_by_when_it_was_last_and_not_first():
    line = line_of(waiter("a"), waiter("newcomer"))
    line.served("a")
    for number in range(REMEMBERED // 2):
        line.served(str(number))
    line.served("a")
    for number in range(REMEMBERED // 2, REMEMBERED + 10):
        line.served(str(number))
    assert served(line) == ["newcomer", "a"]

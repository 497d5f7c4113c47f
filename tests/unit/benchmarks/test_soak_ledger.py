"""What the soak takes for a fault of the servers, and what it lets pass."""

from __future__ import annotations

import time

import pytest

from soak_ledger import AROUND, Absences, Ledger

OK = frozenset({200})


@pytest.fixture
def ledger():
    return Ledger(absences={"first": Absences(), "second": Absences()})


@pytest.mark.parametrize("status", [429, 503, 507])
def test_a_server_may_say_come_again(ledger, status):
    ledger.answered("erase", status, OK, said="", patient=True)
    assert not ledger.wrong
    assert ledger.answers == {f"erase {status}": 1}


def test_it_may_not_do_so_without_a_time(ledger):
    ledger.answered("erase", 503, OK, said="", patient=False)
    assert ledger.wrong == ["erase: 503 without Retry-After"]


@pytest.mark.parametrize("status", [400, 404, 500, 502])
def test_other_answers_are_wrong_where_they_are_not_expected(ledger, status):
    ledger.answered("erase", status, OK, said="why", patient=True)
    assert ledger.wrong == [f"erase: {status} why"]


def test_500_is_never_expected(ledger):
    ledger.answered("broken file", 500, frozenset({400, 500}), said="", patient=True)
    assert ledger.wrong


def test_a_refusal_that_was_asked_for_passes(ledger):
    ledger.answered("broken file", 400, frozenset({400, 415}), said="", patient=False)
    assert not ledger.wrong


def test_connections_may_break_while_their_server_is_away(ledger):
    begun = time.monotonic()
    ledger.absences["first"].begin()
    ledger.cut_off("erase", "first", begun, "reset")
    ledger.absences["first"].end()
    assert ledger.unexplained() == []


def test_they_may_not_while_another_is(ledger):
    ledger.absences["first"].begin()
    ledger.cut_off("erase", "second", time.monotonic(), "reset")
    assert ledger.unexplained() == ["second, erase: reset"]


def test_an_absence_explains_what_was_open_then_and_nothing_later():
    absences = Absences([[100.0, 103.0]])
    assert absences.explains(90.0, 100.5)
    assert absences.explains(102.0, 110.0)
    assert absences.explains(103.0 + AROUND - 0.1, 110.0)
    assert not absences.explains(103.0 + AROUND + 0.1, 110.0)
    assert not absences.explains(90.0, 100.0 - AROUND - 0.1)


def test_a_job_that_is_accepted_twice_is_one(ledger):
    first = ledger.accept("abc", 3, "sqlite")
    assert ledger.accept("abc", 3, "sqlite") is first
    assert len(ledger.jobs) == 1

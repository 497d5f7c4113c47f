"""The books of models in memory: whatever happens in whatever order, they stay right."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from magic_eraser.errors import Draining, ModelUnavailable, OutOfMemory
from magic_eraser.hosting.residency import Action, Residency, Resident
from magic_eraser.hosting.states import ModelState

SIZES = {"a": 60, "b": 60, "c": 30, "d": 90, "free": 0, "huge": 500}
BUDGET = 100
names = st.sampled_from(sorted(SIZES))


class Books(RuleBasedStateMachine):
    """Requests come and go, loads end well or badly, models are sent away."""

    def __init__(self):
        super().__init__()
        residents = {name: Resident(size, free=size == 0, idle_seconds=50) for name, size in SIZES.items()}
        self.residency = Residency(residents, BUDGET)
        self.now = 0.0
        self.tickets = []
        self.begun: dict[str, Action] = {}

    def step(self):
        for action, name in self.residency.step():
            assert name not in self.begun
            self.begun[name] = action

    @rule(name=names)
    def request(self, name):
        ticket = self.residency.request(name, self.now)
        if name == "huge" and not self.residency.closed:
            assert isinstance(ticket.error, OutOfMemory)
        self.tickets.append(ticket)
        self.step()

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def leave(self, data):
        ticket = data.draw(st.sampled_from(self.tickets))
        self.tickets.remove(ticket)
        self.residency.leave(ticket, self.now)
        self.step()

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), well=st.integers(0, 4))
    def end(self, data, well):
        name = data.draw(st.sampled_from(sorted(self.begun)))
        if self.begun.pop(name) is Action.UNLOAD:
            self.residency.unloaded(name)
        elif well == 0:
            self.residency.failed(name, ModelUnavailable("broken"), self.now)
        elif well == 1:
            self.residency.lacking(name, ModelUnavailable("lacking"))
        else:
            self.residency.loaded(name, self.now)
        self.step()

    @rule(name=names)
    def unload(self, name):
        self.residency.unload(name)
        self.step()

    @rule(seconds=st.sampled_from([0.1, 3.0, 60.0, 400.0]))
    def pass_time(self, seconds):
        self.now += seconds
        self.residency.expire(self.now)
        self.step()

    @invariant()
    def leases_are_those_of_the_tickets(self):
        for name, model in self.residency.models.items():
            mine = [ticket for ticket in self.tickets if ticket.model == name]
            assert model.leases == sum(ticket.granted for ticket in mine)
            assert len(model.waiting) == sum(ticket.waits for ticket in mine)
            assert not model.leases or model.state is ModelState.READY

    @invariant()
    def all_that_is_held_fits(self):
        assert sum(model.held_mb for model in self.residency.models.values()) <= BUDGET

    @invariant()
    def what_was_begun_is_what_the_states_say(self):
        doing = {ModelState.LOADING: Action.LOAD, ModelState.UNLOADING: Action.UNLOAD}
        for name, model in self.residency.models.items():
            assert self.begun.get(name) is doing.get(model.state)

    @invariant()
    def who_waits_waits_for_something(self):
        """For what was begun, or for a lease to end."""
        waits = any(ticket.waits for ticket in self.tickets)
        assert not waits or self.begun or any(ticket.granted for ticket in self.tickets)

    def teardown(self):
        """When everybody leaves in the end and all that was begun ends well, everybody has been served."""
        for _ in range(300):
            for ticket in [ticket for ticket in self.tickets if not ticket.waits]:
                self.tickets.remove(ticket)
                self.residency.leave(ticket, self.now)
                self.step()
            for name in sorted(self.begun):
                action = self.begun.pop(name)
                done = self.residency.unloaded if action is Action.UNLOAD else self._loaded
                done(name)
                self.step()
        assert not self.tickets
        self.residency.close()
        self.step()
        for name in sorted(self.begun):
            self.residency.unloaded(name)
        gone = {ModelState.ABSENT, ModelState.FAILED}
        assert all(model.state in gone for model in self.residency.models.values())

    def _loaded(self, name):
        self.residency.loaded(name, self.now)


Books.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestBooks = Books.TestCase


def loaded(residency, name, now=0.0, measured=None):
    ticket = residency.request(name, now)
    assert list(residency.step()) == [(Action.LOAD, name)]
    residency.loaded(name, now, measured)
    residency.leave(ticket, now)


def test_pauses_after_failures_double_up_to_five_minutes():
    residency = Residency({"a": Resident(10)}, BUDGET)
    now, pauses = 0.0, []
    for _ in range(9):
        residency.request("a", now)
        assert list(residency.step()) == [(Action.LOAD, "a")]
        residency.failed("a", ModelUnavailable("broken", "坏了"), now)
        error = residency.request("a", now + 1).error
        assert (error.detail, error.detail_zh) == ("broken", "坏了")
        pauses.append(error.retry_after + 1)
        now = residency.models["a"].retry_at
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_success_forgets_them():
    residency = Residency({"a": Resident(10)}, BUDGET)
    residency.request("a", 0.0)
    list(residency.step())
    residency.failed("a", ModelUnavailable("broken"), 0.0)
    loaded(residency, "a", 5.0)
    assert residency.models["a"].failures == 0


def test_those_larger_than_believed_make_others_go_but_never_the_last_one_used():
    residency = Residency({"a": Resident(40), "b": Resident(40)}, BUDGET)
    loaded(residency, "a", 1.0, measured=45)
    assert list(residency.step()) == []
    loaded(residency, "b", 2.0, measured=400)
    assert list(residency.step()) == [(Action.UNLOAD, "a")]
    residency.unloaded("a")
    assert list(residency.step()) == []
    assert residency.models["b"].held_mb == 400


def test_a_waiting_model_is_not_overtaken_by_a_smaller_one_unless_that_takes_nothing():
    sizes = {"a": Resident(60), "b": Resident(90), "c": Resident(30), "free": Resident(0, free=True)}
    residency = Residency(sizes, BUDGET)
    busy = residency.request("a", 0.0)
    list(residency.step())
    residency.loaded("a", 0.0)
    residency.request("b", 1.0)
    residency.request("c", 1.0)
    residency.request("free", 1.0)
    assert list(residency.step()) == [(Action.LOAD, "free")]
    residency.leave(busy, 2.0)
    assert list(residency.step()) == [(Action.UNLOAD, "a")]
    residency.unloaded("a")
    assert list(residency.step()) == [(Action.LOAD, "b")]


def test_the_next_expiry_is_that_of_the_least_recently_used():
    residency = Residency({"a": Resident(10, idle_seconds=50), "b": Resident(10)}, BUDGET)
    assert residency.next_expiry() is None
    loaded(residency, "a", 3.0)
    loaded(residency, "b", 1.0)
    assert residency.next_expiry() == 53.0
    residency.expire(52.9)
    assert list(residency.step()) == []
    residency.expire(53.0)
    assert list(residency.step()) == [(Action.UNLOAD, "a")]


@pytest.mark.parametrize("state", ["absent", "ready"])
def test_closed_books_take_no_requests(state):
    residency = Residency({"a": Resident(10)}, BUDGET)
    if state == "ready":
        loaded(residency, "a")
    waiting = residency.request("a", 0.0)
    residency.close()
    assert waiting.granted or isinstance(waiting.error, Draining)
    assert isinstance(residency.request("a", 0.0).error, Draining)

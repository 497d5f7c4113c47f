"""Whatever happens in whatever order, the database and a model in plain Python tell the same story."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from billing_house import HOLD, house
from magic_eraser.accounts.plans import Charging
from magic_eraser.billing.calls.reaper import KEPT_SECONDS, prune
from magic_eraser.billing.quota import Reservation
from magic_eraser.errors import Conflict, PaymentRequired, QuotaExhausted, ValidationFailed

NAMES = ("alice", "bob")
PLANS = ("free", "basic", "open", "none", "prepaid", "gift")
NUMBER = st.integers(0, 10**6)


class Crash(Exception):
    """The server died before its transaction was committed."""


@dataclass
class Hold:
    who: str
    plan: str
    day: str
    units: int
    price: int
    on_credit: bool
    until: float
    state: str = "held"

    @property
    def credit(self) -> int:
        return self.units * self.price if self.on_credit else 0


@dataclass
class Charge:
    """`hold` is the one that was settled; `id` of its entry."""

    id: int
    hold: Hold
    amount: int
    given: int = 0
    call_given: bool = False


class Story(RuleBasedStateMachine):
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = shutil.copy(self.template, Path(self.folder.name) / "eraser.db")
        self.runner = asyncio.Runner()
        self.open = house(f"sqlite:///{path}")
        self.house = self.run(self.open.__aenter__())
        self.plans = dict.fromkeys(NAMES, "basic")
        self.who = {name: self.run(self.house.user(name)) for name in NAMES}
        self.holds: dict[str, Hold] = {}
        self.charges: list[Charge] = []
        self.held, self.used = Counter(), Counter()
        self.credit, self.credit_held, self.owed = Counter(), Counter(), Counter()
        self.references = 0

    def run(self, work):
        return self.runner.run(work)

    def teardown(self) -> None:
        try:
            self.run(self.open.__aexit__(None, None, None))
        finally:
            self.runner.close()
            self.folder.cleanup()

    # --- what happens

    @rule(name=st.sampled_from(NAMES), units=st.integers(0, 4), crashes=st.booleans())
    def reserve(self, name, units, crashes) -> None:
        plan = self.house.plans.of(self.plans[name])
        day = self.house.plans.book.day(self.house.clock.at)
        stands = self.held[name, day] + self.used[name, day]
        on_credit, price = plan.charging is Charging.CREDIT, units * plan.cost_a_call
        expected: type[Exception] | None = None
        if plan.calls_a_day is not None and stands >= plan.calls_a_day:
            expected = QuotaExhausted
        elif on_credit and self.credit[name] - self.credit_held[name] < price:
            expected = PaymentRequired
        elif crashes:
            expected = Crash
        if expected is not None:
            with pytest.raises(expected):
                self.run(self._in_one(lambda within: self.house.quota.reserve(self.who[name], units, within)))
            return
        got = self.run(self.house.quota.reserve(self.who[name], units))
        until = self.house.clock.at + HOLD
        hold = Hold(name, plan.id, day, units, plan.cost_a_call, on_credit, until)
        assert (got.day, got.plan, got.unit_price) == (day, plan, plan.cost_a_call)
        assert got.left == (None if plan.calls_a_day is None else plan.calls_a_day - stands - 1)
        self.holds[got.id] = hold
        self.held[name, day] += 1
        self.credit_held[name] += hold.credit

    @precondition(lambda self: self.holds)
    @rule(which=NUMBER, units=st.integers(0, 5), crashes=st.booleans(), times=st.integers(1, 2))
    def end(self, which, units, crashes, times) -> None:
        """Settled or released: the first time, again, or too late."""
        key, hold = list(self.holds.items())[which % len(self.holds)]
        if crashes:
            with pytest.raises(Crash):
                self.run(self._in_one(lambda within: self.house.quota.settle(_by(key), units, within)))
            return
        for _ in range(times):
            self.run(self.house.quota.settle(_by(key), units))
        if hold.state != "held":
            return
        self._let_go(hold, "settled" if units else "released")
        if units:
            amount = min(units, hold.units) * hold.price
            self.used[hold.who, hold.day] += 1
            if hold.on_credit:
                self.credit[hold.who] -= amount
            else:
                self.owed[hold.who] += amount
            entry = self.run(self.house.ledger.entries(hold.who, limit=1))[0]
            assert (entry.source_id, entry.amount, entry.day) == (key, amount, hold.day)
            self.charges.append(Charge(entry.id, hold, amount))

    @rule(seconds=st.sampled_from([1, 300, 700, 20_000, 90_000, 9 * 86400, -5_000]))
    def time_passes(self, seconds) -> None:
        """Or the clock is set back."""
        self.run(self.house.clock.pass_by(seconds + 0.5))

    @rule()
    def reap(self) -> None:
        at = self.house.clock.at
        over = [
            hold
            for hold in self.holds.values()
            if hold.state == "held" and not at < hold.until <= at + 2 * HOLD
        ]
        assert self.run(self.house.reap()) == len(over)
        for hold in over:
            self._let_go(hold, "expired")

    @rule()
    def prune(self) -> None:
        self.run(prune(self.house.database))
        kept = self.run(self.house.states())
        for key, hold in self.holds.items():
            old = hold.until <= self.house.clock.at - KEPT_SECONDS
            assert kept.get(key) == (None if old and hold.state != "held" else hold.state)

    @rule(name=st.sampled_from(NAMES), amount=st.integers(1, 100_000), paid=st.booleans())
    def money_comes(self, name, amount, paid) -> None:
        self.references += 1
        move = self.house.ledger.payment if paid else self.house.ledger.grant
        for _told_twice in range(2):
            self.run(move(name, amount, reference=f"r{self.references}", actor="cli:root"))
        if paid:
            self.owed[name] -= amount
        else:
            self.credit[name] += amount

    @precondition(lambda self: self.charges)
    @rule(which=NUMBER, amount=st.sampled_from([None, 0, 1, 10_000, 10**9]), call=st.booleans())
    def refund(self, which, amount, call) -> None:
        charge = self.charges[which % len(self.charges)]
        left = charge.amount - charge.given
        given = left if amount is None else amount
        self.references += 1
        values = {"amount": amount, "call": call, "reference": f"r{self.references}", "actor": "cli:root"}
        if not call and (amount == 0 or charge.amount == 0):
            expected = ValidationFailed
        elif given > left or (call and charge.call_given) or (given == 0 and not call):
            expected = Conflict
        else:
            entry = self.run(self.house.ledger.refund(charge.id, **values))
            assert (entry.amount, entry.calls, entry.day) == (given, -int(call), charge.hold.day)
            charge.given += given
            charge.call_given |= call
            self.used[charge.hold.who, charge.hold.day] -= int(call)
            if charge.hold.on_credit:
                self.credit[charge.hold.who] += given
            else:
                self.owed[charge.hold.who] -= given
            return
        with pytest.raises(expected):
            self.run(self.house.ledger.refund(charge.id, **values))

    @rule(name=st.sampled_from(NAMES), plan=st.sampled_from(PLANS))
    def another_plan(self, name, plan) -> None:
        self.run(self.house.change(name, plan=plan))
        self.plans[name] = plan

    # --- what must be

    def check_invariants(self, *arguments, **options) -> None:
        super().check_invariants(*arguments, **options)
        self.run(self._agrees())

    async def _agrees(self) -> None:
        await self.house.sound()
        for name, day in {*self.held, *self.used}:
            assert await self.house.day(name, day) == (self.held[name, day], self.used[name, day])
        for name in NAMES:
            wallet = (self.credit[name], self.credit_held[name], self.owed[name])
            assert await self.house.wallet(name) == wallet

    async def _in_one(self, work) -> None:
        """A transaction whose server dies at its end."""
        async with self.house.database.write() as connection:
            await work(connection)
            raise Crash

    def _let_go(self, hold: Hold, state: str) -> None:
        hold.state = state
        self.held[hold.who, hold.day] -= 1
        self.credit_held[hold.who] -= hold.credit


def _by(id: str) -> Reservation:
    """All that a server knows which took the work over."""
    return Reservation(id, 0)


def test_whatever_happens_in_whatever_order_nothing_is_lost_or_charged_twice(sqlite_template):
    class OnTemplate(Story):
        template = sqlite_template

    run_state_machine_as_test(
        OnTemplate,
        settings=settings(
            max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

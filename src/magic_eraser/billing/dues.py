"""What the time that passes does to a subscription. Decides only."""

from __future__ import annotations

from dataclasses import replace

from magic_eraser.accounts.plans import PlanBook
from magic_eraser.billing.subscription import MANUAL, Subscription
from magic_eraser.billing.subscription_changes import Change, Subscriber, ended
from magic_eraser.billing.tables import SubscriptionState

PROVIDER_SILENT = 86_400.0
"""Seconds after the end of a period in which a provider says nothing: it renews by itself and tells within minutes."""


def next_change(who: Subscriber, book: PlanBook, grace: float) -> Change | None:
    """What is due by now; None for nothing. After it is made, more may be due.

    Args:
        grace: seconds that a plan stays when its payment is late. They count from now, not from the end of the period,
            so that nobody loses a plan who was never told, as no server ran.
    """
    had = who.subscription
    if had is None or not had.begun or had.period_end is None:
        return None
    if had.state is SubscriptionState.PAST_DUE:
        if had.grace_until is None or had.grace_until > who.at:
            return None
        return Change("ended", ended(had), plan=book.default.id, details={"reason": "not paid"})
    if had.provider != MANUAL:
        if had.period_end + PROVIDER_SILENT > who.at:
            return None
        price = (book.find(had.plan) or book.default).price
        late = _late(who, had, had.plan, price, grace)
        return Change("provider_silent", late, amount=price)
    if had.period_end > who.at:
        return None
    return _period_over(who, had, book, grace)


def _period_over(who: Subscriber, had: Subscription, book: PlanBook, grace: float) -> Change:
    """A wish for the next period comes true, one that was not paid in time is dropped; the next period is due."""
    wanted = had.plan if had.wanted_at is None or had.wanted_plan is None else had.wanted_plan
    plan = book.find(wanted)
    if plan is None:
        return Change("plan_gone", ended(had), plan=book.default.id, details={"gone": wanted})
    if plan.price == 0:
        kind = "ended" if plan.id == had.plan else "cancelled"
        return Change(kind, ended(had), plan=plan.id)
    kind = "payment_due" if plan.id == had.plan else "downgraded"
    return Change(
        kind, _late(who, had, plan.id, plan.price, grace), plan=plan.id, amount=plan.price
    )




def _late(who: Subscriber, had: Subscription, plan: str, due: int, grace: float) -> Subscription:
    return replace(
        had,
        plan=plan,
        state=SubscriptionState.PAST_DUE,
        wanted_plan=None,
        wanted_at=None,
        due=due,
        grace_until=who.at + grace,
    )

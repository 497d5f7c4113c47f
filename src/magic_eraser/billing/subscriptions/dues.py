"""What the time that passes does to a subscription. Decides only."""

from __future__ import annotations

from dataclasses import replace

from magic_eraser.accounts.plans import PlanBook
from magic_eraser.billing.subscriptions.changes import Change, Subscriber, costs_nothing, ended
from magic_eraser.billing.subscriptions.subscription import MANUAL, Subscription
from magic_eraser.billing.tables import SubscriptionState
from magic_eraser.errors import NotFound

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
        wanted = book.find(had.wanted_plan or had.plan)
        if had.wanted_at is not None and wanted is not None and costs_nothing(wanted, book):
            return Change("cancelled", ended(had), plan=wanted.id)
        price = (book.find(had.plan) or book.default).price
        late = _late(who, had, had.plan, price, grace)
        return Change("provider_silent", late, amount=price)
    if had.period_end > who.at:
        return None
    return _period_over(who, had, book, grace)


def failed(who: Subscriber, book: PlanBook, grace: float, note: str) -> Change | None:
    """A payment of the running plan came to nothing; None where that is known.

    Args:
        grace: see `next_change`.
        note: for people.

    Raises:
        NotFound: there is no subscription that has begun.
    """
    had = who.subscription
    if had is None or not had.begun:
        raise NotFound(
            f'"{who.user_id}" has no subscription whose payment could fail.',
            f"“{who.user_id}”没有正在进行的订阅。",
        )
    if had.state is SubscriptionState.PAST_DUE:
        return None
    price = (book.find(had.plan) or book.default).price
    late = _late(who, had, had.plan, price, grace)
    if had.wanted_at is not None:  # what comes with the next period still does
        late = replace(late, wanted_plan=had.wanted_plan, wanted_at=had.wanted_at)
    return Change("payment_failed", late, amount=price, details={"note": note})


def charged_by(had: Subscription | None) -> str | None:
    """The provider's name of a subscription that it charges; None where no provider does."""
    return had.provider_ref if had is not None and had.begun and had.provider != MANUAL else None


def unpaid_elsewhere(had: Subscription | None, at: float) -> bool:
    """Whether the grace is over of a subscription that a provider charges: it has to hear of the end first."""
    return (
        had is not None
        and charged_by(had) is not None
        and had.state is SubscriptionState.PAST_DUE
        and had.grace_until is not None
        and had.grace_until <= at
    )


def _period_over(who: Subscriber, had: Subscription, book: PlanBook, grace: float) -> Change:
    """A wish for the next period comes true, one that was not paid in time is dropped; the next period is due."""
    wanted = had.plan if had.wanted_at is None or had.wanted_plan is None else had.wanted_plan
    plan = book.find(wanted)
    if plan is None:
        return Change("plan_gone", ended(had), plan=book.default.id, details={"gone": wanted})
    if costs_nothing(plan, book):
        kind = "ended" if plan.id == had.plan else "cancelled"
        return Change(kind, ended(had), plan=plan.id)
    kind = "payment_due" if plan.id == had.plan else "downgraded"
    return Change(kind, _late(who, had, plan.id, plan.price, grace), plan=plan.id, amount=plan.price)


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

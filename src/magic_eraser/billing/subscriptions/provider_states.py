"""What a provider says of a subscription, made ours: in any order, as often as it is told."""

from __future__ import annotations

from dataclasses import asdict, replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.plans import PlanBook
from magic_eraser.billing.subscriptions.changes import Change, Subscriber, costs_nothing, ended, make
from magic_eraser.billing.subscriptions.subscription import ProviderState, Subscription
from magic_eraser.billing.tables import SubscriptionState, subscription_events
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

HEARD = "provider_state"
"""Kind of the event that keeps what the provider said, and as of when."""
SAME_MOMENT = 1.0
"""Seconds by which two ends of one period may differ."""


async def apply(
    within: AsyncConnection,
    who: Subscriber,
    state: ProviderState,
    book: PlanBook,
    *,
    provider: str,
    grace: float,
) -> Subscriber:
    """Make it ours. Older news than the last is ignored.

    Args:
        provider: whose word it is.
        grace: seconds.
    """
    if await _older(within, who.user_id, state, provider):
        log.info("provider_state_ignored", user=who.user_id, provider_ref=state.provider_ref)
        return who
    after, kind = _become(who, state, book, provider, grace)
    heard = Change(HEARD, None, to_plan=state.plan_id, details=asdict(state), audited=False)
    who = await make(within, who, heard, provider)
    had = who.subscription
    if after is None or (had is not None and replace(after, version=had.version) == had):
        return who
    plan = _leaving_to(had, book) if kind == "ended" else after.plan
    waits = not after.begun and kind != "ended"
    details = {"provider_ref": state.provider_ref, "period_end": after.period_end}
    change = Change(
        kind, after, plan=None if waits else plan, to_plan=after.wanted_plan or plan, details=details
    )
    return await make(within, who, change, provider)


async def _older(within: AsyncConnection, user_id: str, state: ProviderState, provider: str) -> bool:
    column = subscription_events.c
    query = (
        sa.select(column.details)
        .where(column.user_id == user_id, column.kind == HEARD, column.actor == provider)
        .order_by(column.id.desc())
        .limit(1)
    )
    last = (await within.execute(query)).scalar_one_or_none()
    return last is not None and state.as_of < float(last["as_of"])


def _become(
    who: Subscriber, state: ProviderState, book: PlanBook, provider: str, grace: float
) -> tuple[Subscription | None, str]:
    """The subscription as it is then, and the kind of the change; None where nothing is to change."""
    had = who.subscription
    ours = had is not None and had.begun and had.provider == provider
    other = ours and had is not None and had.provider_ref not in {None, state.provider_ref}
    if state.status is SubscriptionState.AWAITING:
        if had is None or had.begun:
            return None, ""
        return replace(had, customer_ref=state.customer_ref), "customer_known"
    if state.status is SubscriptionState.ENDED:
        if not ours or other or had is None:
            return None, ""
        return ended(had), "ended"
    if other:
        assert had is not None
        log.warning("second_subscription", user=who.user_id, known=had.provider_ref, told=state.provider_ref)
        if had.period_start is not None and state.period_start <= had.period_start:
            return None, ""
    if not ours or other or had is None:
        return _begin(who, state, book, provider, grace)
    return _go_on(who, had, state, book, grace)


def _begin(
    who: Subscriber, state: ProviderState, book: PlanBook, provider: str, grace: float
) -> tuple[Subscription | None, str]:
    plan = book.find(state.plan_id)
    if plan is None:
        log.error("provider_plan_unknown", user=who.user_id, plan=state.plan_id)
        return None, ""
    had = who.subscription
    bare = Subscription(
        user_id=who.user_id,
        plan=plan.id,
        state=state.status,
        provider=provider,
        updated_at=0.0 if had is None else had.updated_at,
    )
    return _moments(who, bare, state, book, grace), "started"


def _go_on(
    who: Subscriber, had: Subscription, state: ProviderState, book: PlanBook, grace: float
) -> tuple[Subscription, str]:
    """Dearer plans are in force once they are paid for, cheaper ones with the next period."""
    now, told = book.find(had.plan), book.find(state.plan_id)
    renewed = had.period_start is None or state.period_start > had.period_start + SAME_MOMENT
    if told is None:
        log.error("provider_plan_unknown", user=who.user_id, plan=state.plan_id)
    plan, later = had.plan, None
    if told is not None and told.id != had.plan:
        dearer = now is not None and told.price > now.price
        if dearer:
            plan = told.id if state.status is SubscriptionState.ACTIVE else had.plan
        elif renewed or now is None:
            plan = told.id
        else:
            later = told.id
    wish: dict[str, str | float | None] = {}
    if later is not None:
        wish = {"wanted_plan": later, "wanted_at": state.period_end}
    elif state.as_of > had.updated_at or had.wanted_plan == plan or renewed:
        wish = {"wanted_plan": None, "wanted_at": None}  # what was asked before is answered by this
    after = replace(had, plan=plan, **wish)  # type: ignore[arg-type]
    after = _moments(who, after, state, book, grace)
    if state.cancel_at_end:
        after = replace(after, wanted_plan=_leaving_to(had, book))
    return after, _kind(had, after, renewed=renewed, book=book)


def _moments(
    who: Subscriber, bare: Subscription, state: ProviderState, book: PlanBook, grace: float
) -> Subscription:
    """The provider's status, period and names."""
    late = state.status is SubscriptionState.PAST_DUE
    waits = not late and bare.wanted_plan is not None and bare.wanted_at is None
    due = (book.find(bare.plan) or book.default).price if late else bare.due if waits else 0
    after = replace(
        bare,
        state=SubscriptionState.AWAITING if waits else state.status,
        due=due,
        period_start=state.period_start,
        period_end=state.period_end,
        grace_until=(bare.grace_until or who.at + grace) if late else None,
        customer_ref=state.customer_ref,
        provider_ref=state.provider_ref,
    )
    if state.cancel_at_end:
        after = replace(after, state=state.status, wanted_plan=book.default.id, wanted_at=state.period_end)
    return after


def _leaving_to(had: Subscription | None, book: PlanBook) -> str:
    """The plan after this one: the one that the user chose, where it costs nothing."""
    wanted = None if had is None or had.wanted_plan is None else book.find(had.wanted_plan)
    return wanted.id if wanted is not None and costs_nothing(wanted, book) else book.default.id


def _kind(had: Subscription, after: Subscription, *, renewed: bool, book: PlanBook) -> str:
    if after.plan != had.plan:
        old, new = book.find(had.plan), book.find(after.plan)
        return "upgraded" if old and new and new.price > old.price else "downgraded"
    if after.state is SubscriptionState.PAST_DUE and had.state is not SubscriptionState.PAST_DUE:
        return "payment_failed"
    if had.state is SubscriptionState.PAST_DUE and after.state is not SubscriptionState.PAST_DUE:
        return "recovered"
    if renewed:
        return "renewed"
    if after.wanted_plan != had.wanted_plan:
        if after.wanted_plan is None:
            return "resumed"
        wanted = book.find(after.wanted_plan)
        leaves = wanted is not None and costs_nothing(wanted, book)
        return "cancel_requested" if leaves else "downgrade_requested"
    return "provider_changed"

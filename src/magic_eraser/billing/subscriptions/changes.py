"""Changes of a subscription and of a user's plan: each with its event and its line of the audit log, in one
transaction. Nothing else writes `users.plan` once the user is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts import audit
from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plans import Plan, PlanBook
from magic_eraser.accounts.tables import users
from magic_eraser.billing.subscriptions.subscription import Subscription, of_row
from magic_eraser.billing.tables import SubscriptionState, subscription_events, subscriptions
from magic_eraser.db.base import now
from magic_eraser.db.upsert import insert_into
from magic_eraser.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A user whose subscription nobody else changes until the transaction is over.

    Attributes:
        at: the present, seconds since 1970.
        email: where it is known.
        plan: in force, as `users` has it.
        subscription: None where there never was one.
    """

    at: float
    user_id: str
    email: str | None
    plan: str
    subscription: Subscription | None


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a subscription.

    Attributes:
        kind: of the event: started, upgraded, ...
        after: as it is then; None: there is none, and none is made.
        plan: of the user from now on; None: it stays.
        to_plan: for the event; `plan` where None.
        amount: milli-cents that it is about.
        details: JSON values; never a secret.
        audited: whether it is a deed; what a provider tells again and again is none.
    """

    kind: str
    after: Subscription | None
    plan: str | None = None
    to_plan: str | None = None
    amount: int = 0
    details: dict[str, Any] | None = None
    audited: bool = True


async def lock(within: AsyncConnection, user_id: str) -> Subscriber:
    """The user, locked.

    Raises:
        NotFound: no such user.
    """
    query = sa.select(users.c.email).where(users.c.id == user_id)
    if (await within.execute(query.with_for_update(key_share=True))).first() is None:
        raise NotFound(f'There is no user "{user_id}".', f"没有用户“{user_id}”。")
    # The lock may have been waited for: what it guards, and the time, are read after it.
    query = sa.select(now().label("at"), users.c.email, users.c.plan).where(users.c.id == user_id)
    user = (await within.execute(query)).one()
    return Subscriber(user.at, user_id, user.email, user.plan, await find(within, user_id))


async def find(within: AsyncConnection, user_id: str) -> Subscription | None:
    """The user's subscription, not locked."""
    row = (await within.execute(sa.select(subscriptions).where(subscriptions.c.user_id == user_id))).first()
    return None if row is None else of_row(row)


async def make(within: AsyncConnection, before: Subscriber, change: Change, actor: str) -> Subscriber:
    """Make a change of somebody who is locked.

    Raises:
        Conflict: somebody else changed the subscription meanwhile.
    """
    kept = None if change.after is None else await _save(within, before, change.after)
    if change.plan is not None and change.plan != before.plan:
        await within.execute(users.update().where(users.c.id == before.user_id).values(plan=change.plan))
    to_plan = change.to_plan or change.plan
    details = change.details or {}
    await within.execute(
        subscription_events.insert().values(
            at=now(),
            user_id=before.user_id,
            kind=change.kind,
            from_plan=before.plan,
            to_plan=to_plan,
            amount=change.amount,
            actor=actor,
            details=details,
        )
    )
    if change.audited:
        told = {"from_plan": before.plan, "to_plan": to_plan, "amount": to_text(change.amount)} | details
        await audit.record(within, actor, f"subscription.{change.kind}", before.user_id, **told)
    return replace(before, plan=change.plan or before.plan, subscription=kept or before.subscription)


async def _save(within: AsyncConnection, before: Subscriber, after: Subscription) -> Subscription:
    had = before.subscription
    values: dict[str, Any] = {
        "plan": after.plan,
        "state": after.state,
        "wanted_plan": after.wanted_plan,
        "wanted_at": after.wanted_at,
        "due": after.due,
        # nothing was paid for yet: a period of no length
        "period_start": before.at if after.period_start is None else after.period_start,
        "period_end": before.at if after.period_end is None else after.period_end,
        "grace_until": after.grace_until,
        "provider": after.provider,
        "customer_ref": after.customer_ref,
        "provider_ref": after.provider_ref,
        "version": 0 if had is None else had.version + 1,
        "updated_at": now(),
    }
    statement: Any
    if had is None:
        first = insert_into(subscriptions, is_sqlite=within.dialect.name == "sqlite")
        statement = first.values(user_id=before.user_id, **values).on_conflict_do_nothing()
    else:
        mine = (subscriptions.c.user_id == before.user_id, subscriptions.c.version == had.version)
        statement = subscriptions.update().where(*mine).values(values)
    row = (await within.execute(statement.returning(subscriptions))).first()
    if row is None:
        raise Conflict(
            f'The subscription of "{before.user_id}" was changed by somebody else at this moment.',
            f"“{before.user_id}”的订阅刚刚被他人修改。",
        )
    return of_row(row)


def costs_nothing(plan: Plan, book: PlanBook) -> bool:
    """Whether a plan needs no subscription. The default one never does: who pays for nothing is on it."""
    return plan.price == 0 or plan.id == book.default.id


def ended(had: Subscription) -> Subscription:
    """The same, over: nothing is due or wanted any more."""
    return replace(
        had,
        state=SubscriptionState.ENDED,
        wanted_plan=None,
        wanted_at=None,
        due=0,
        grace_until=None,
    )

"""Payments that somebody tells of: posted once by their reference, and what they put in force."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plans import PlanBook
from magic_eraser.billing import entries, wallets
from magic_eraser.billing.entries import Entry
from magic_eraser.billing.ledger import Ledger
from magic_eraser.billing.subscriptions.changes import Change, Subscriber, make
from magic_eraser.billing.subscriptions.periods import first_period, next_period
from magic_eraser.billing.subscriptions.subscription import MANUAL, Subscription
from magic_eraser.billing.tables import Account, SubscriptionState, ledger_entries
from magic_eraser.errors import Conflict, ValidationFailed

FEE, PRORATION = "fee", "proration"
"""Sources in the ledger: a whole period, and the rest of one at a higher price."""


@dataclass(frozen=True, slots=True)
class Told:
    """A payment as it is told.

    Attributes:
        amount: milli-cents; None for all that is due.
        reference: the name by which it counts once for a user, 1..60 characters.
        actor: who tells it.
        note: for people.
    """

    amount: int | None
    reference: str
    actor: str
    note: str


async def known(within: AsyncConnection, user_id: str, told: Told) -> Entry | None:
    """The entry of a payment that was told before.

    Raises:
        Conflict: it was told with another amount.
    """
    column = ledger_entries.c
    begins = column.source_id.startswith(f"{told.reference}/", autoescape=True)
    query = sa.select(ledger_entries).where(
        column.tenant_id == user_id, column.source == entries.PAYMENT, begins
    )
    for row in await within.execute(query):
        if row.source_id.rpartition("/")[0] != told.reference:
            continue
        if told.amount not in {None, row.amount}:
            raise Conflict(
                f'The payment "{told.reference}" is known with the amount {to_text(row.amount)}.',
                f"付款“{told.reference}”已登记，金额为 {to_text(row.amount)}。",
            )
        return entries.of_row(row)
    return None


async def post(
    within: AsyncConnection,
    ledger: Ledger,
    user_id: str,
    told: Told,
    amount: int,
    fee: int,
    source: str,
    plan: str,
) -> None:
    """The payment, and of it what a plan costs.

    Args:
        amount: milli-cents that came.
        fee: of them, for the plan; the rest is for calls.
        source: `FEE` or `PRORATION`.
        plan: that it is for.
    """
    entry = await ledger.payment(
        user_id, amount, reference=told.reference, actor=told.actor, note=told.note, within=within
    )
    if fee:
        await ledger.post(
            within,
            tenant_id=user_id,
            source=source,
            source_id=entry.source_id,
            from_account=Account.OWED,
            to_account=Account.FEES,
            amount=fee,
            plan=plan,
            note=told.note,
        )


async def mark(
    within: AsyncConnection, ledger: Ledger, who: Subscriber, told: Told, book: PlanBook
) -> Subscriber:
    """Somebody paid what is due: the plan that it was for is in force. Pays calls where nothing else is due.

    Raises:
        ValidationFailed: less than what is due, or more than that and all calls that are to be paid.
        Conflict: nothing is due; or the plan is not in the book any more.
    """
    had = who.subscription
    due = 0
    if had is not None and had.provider == MANUAL and had.state in _PAYABLE:
        due = had.due
    owed = max(0, (await wallets.lock(within, who.user_id)).owed)
    amount = _amount(told, due, owed)
    if had is None or due == 0:
        await post(within, ledger, who.user_id, told, amount, 0, FEE, who.plan)
        return who
    change, source = _in_force(who, had, book, told)
    await post(within, ledger, who.user_id, told, amount, due, source, change.plan or who.plan)
    return await make(within, who, change, told.actor)


_PAYABLE = (SubscriptionState.AWAITING, SubscriptionState.PAST_DUE)


def _amount(told: Told, due: int, owed: int) -> int:
    amount = (due or owed) if told.amount is None else told.amount
    if amount == 0 or due + owed == 0:
        raise Conflict("Nothing is due and no calls are to be paid.", "当前没有应付款项。")
    least, most = due or 1, due + owed
    if not least <= amount <= most:
        raise ValidationFailed(
            f"amount: {to_text(amount)} is not what is due: {to_text(due)} for the plan and {to_text(owed)} for calls.",
            f"amount：{to_text(amount)} 与应付金额不符：套餐 {to_text(due)}，调用 {to_text(owed)}。",
            extra={"due": to_text(due), "owed": to_text(owed)},
        )
    return amount


def _in_force(who: Subscriber, had: Subscription, book: PlanBook, told: Told) -> tuple[Change, str]:
    """What the payment does, and as what it is posted."""
    later = had.wanted_at is not None  # a wish for the next period, which this does not pay
    wanted = had.plan if later or had.wanted_plan is None else had.wanted_plan
    plan = book.find(wanted)
    if plan is None:
        raise Conflict(
            f'The plan "{wanted}" is not on offer any more. Another one must be chosen first.',
            f"套餐“{wanted}”已下架，请先选择其他套餐。",
        )
    keeps = had.runs(who.at)
    start, end = had.period_start, had.period_end
    if not keeps or start is None or end is None:
        start, end = (
            first_period(who.at, book.zone)
            if start is None or end is None
            else next_period(start, end, book.zone, who.at)
        )
    upgrades = had.state is SubscriptionState.AWAITING and keeps
    after = replace(
        had,
        plan=plan.id,
        state=SubscriptionState.ACTIVE,
        wanted_plan=had.wanted_plan if later else None,
        wanted_at=had.wanted_at if later else None,
        due=0,
        period_start=start,
        period_end=end,
        grace_until=None,
    )
    kind = "upgraded" if upgrades else "started" if not had.begun else "recovered" if keeps else "renewed"
    details = {"reference": told.reference, "period_end": end}
    change = Change(kind, after, plan=plan.id, amount=had.due, details=details)
    return change, PRORATION if upgrades else FEE

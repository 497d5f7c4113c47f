"""Charges taken back: never more than was charged, and each call once."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plans import Plans
from magic_eraser.billing import entries, wallets
from magic_eraser.billing.entries import REFUND, Entry
from magic_eraser.billing.posting import NewEntry, known, post
from magic_eraser.billing.tables import Account, ledger_entries, quota_days
from magic_eraser.errors import Conflict, NotFound, ValidationFailed

CHARGES = (Account.REVENUE, Account.FEES)
"""Where the money of a charge went."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A refund that is asked for.

    Attributes:
        entry_id: of the charge.
        amount: milli-cents; None for all that is left.
        call: its call as well.
        source_id: by which the refund is known.
        note: for people.
    """

    entry_id: int
    amount: int | None
    call: bool
    source_id: str
    note: str


async def refund(within: AsyncConnection, plans: Plans, asked: Asked) -> tuple[Entry, bool]:
    """See `Ledger.refund`. Also whether the entry is new."""
    original = await entries.find(within, ledger_entries.c.id == asked.entry_id)
    if original is None:
        raise NotFound(
            f"There is no entry {asked.entry_id} in the ledger.",
            f"账本中没有编号为 {asked.entry_id} 的记录。",
        )
    _check(original, asked)
    if asked.call:  # the day before the wallet, as everywhere
        await _lock_day(within, original)
    await wallets.lock(within, original.tenant_id)  # of two at once, the second sees what the first took
    there = await known(within, REFUND, asked.source_id)
    if there is not None:
        return _same(there, asked), False
    money_left, calls_left = await _left(within, original)
    amount = money_left if asked.amount is None else asked.amount
    _check_left(original, asked, amount, money_left, calls_left)
    if asked.call:
        await within.execute(quota_days.update().where(*_day_of(original)).values(used=quota_days.c.used - 1))
    new = NewEntry(
        tenant_id=original.tenant_id,
        source=REFUND,
        source_id=asked.source_id,
        from_account=original.to_account,
        to_account=original.from_account,
        amount=amount,
        plan=original.plan,
        note=asked.note,
        day=original.day,
        calls=-1 if asked.call else 0,
        original_id=original.id,
    )
    return await post(within, plans, new)


def _check(original: Entry, asked: Asked) -> None:
    if original.to_account not in CHARGES:
        raise ValidationFailed(
            f"Entry {original.id} is no charge but a {original.source}: only charges can be refunded.",
            f"记录 {original.id} 不是扣费（{original.source}），只有扣费才能退款。",
        )
    if asked.amount is not None and asked.amount < 0:
        raise ValidationFailed(
            f"A refund cannot be negative: {to_text(asked.amount)}.",
            f"退款金额不能为负：{to_text(asked.amount)}。",
        )
    if asked.call and original.calls != 1:
        raise ValidationFailed(
            f"Entry {original.id} counted no call that could be given back.",
            f"记录 {original.id} 未计调用次数，无法退还。",
        )
    if not asked.call and (asked.amount == 0 or original.amount == 0):
        raise ValidationFailed(
            "This would give back neither money nor a call.", "此退款既不退金额，也不退调用次数。"
        )


def _check_left(original: Entry, asked: Asked, amount: int, money_left: int, calls_left: int) -> None:
    if amount > money_left or (amount == 0 and not asked.call):
        raise Conflict(
            f"Of entry {original.id} over {to_text(original.amount)}, {to_text(money_left)} is left to refund.",
            f"记录 {original.id} 金额为 {to_text(original.amount)}，可退余额为 {to_text(money_left)}。",
        )
    if asked.call and calls_left < 1:
        raise Conflict(
            f"The call of entry {original.id} was given back before.",
            f"记录 {original.id} 的调用次数此前已退还。",
        )


def _same(there: Entry, asked: Asked) -> Entry:
    """Raises `Conflict` where the reference was used for another refund."""
    if asked.amount not in {None, there.amount} or asked.call != (there.calls == -1):
        reference = asked.source_id.partition("/")[2]
        raise Conflict(
            f'"{reference}" was used for another refund of entry {asked.entry_id}.',
            f"“{reference}”已用于记录 {asked.entry_id} 的另一笔退款。",
        )
    return there


async def _left(within: AsyncConnection, original: Entry) -> tuple[int, int]:
    """Money and calls of it that were not given back."""
    column = ledger_entries.c
    given = sa.select(
        sa.func.coalesce(sa.func.sum(column.amount), 0), sa.func.coalesce(sa.func.sum(column.calls), 0)
    ).where(column.original_id == original.id)
    amount, calls = (await within.execute(given)).one()
    return original.amount - int(amount), original.calls + int(calls)


async def _lock_day(within: AsyncConnection, original: Entry) -> None:
    await within.execute(sa.select(quota_days.c.used).where(*_day_of(original)).with_for_update())


def _day_of(original: Entry) -> tuple[sa.ColumnElement[bool], ...]:
    return quota_days.c.tenant_id == original.tenant_id, quota_days.c.day == original.day

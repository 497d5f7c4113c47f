"""An entry and what it means for the wallet, once."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.plans import Plans
from magic_eraser.billing import entries, wallets
from magic_eraser.billing.entries import Entry
from magic_eraser.billing.tables import Account, ledger_entries
from magic_eraser.db.base import now
from magic_eraser.db.upsert import insert_into
from magic_eraser.errors import Conflict, ValidationFailed


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What is to be written; see `Entry`. Without a `day`, it is today's."""

    tenant_id: str
    source: str
    source_id: str
    from_account: Account
    to_account: Account
    amount: int
    subject: str = ""
    plan: str = ""
    note: str = ""
    day: str = ""
    calls: int = 0
    original_id: int | None = None

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValidationFailed(
                "An amount is never negative: the accounts say which way it goes.",
                "金额不能为负：方向由账户决定。",
            )
        if self.from_account is self.to_account:
            raise ValidationFailed(
                f'Nothing can go from the account "{self.from_account}" to itself.',
                f"不能从账户“{self.from_account}”转入其自身。",
            )


async def post(within: AsyncConnection, plans: Plans, new: NewEntry) -> tuple[Entry, bool]:
    """Write an entry and move the wallet by it.

    Returns:
        The entry, and whether it is new: told again, it is the one that is there.

    Raises:
        Conflict: another is known by that source and id.
        PaymentRequired: see `wallets.move`.
    """
    wallet = await wallets.lock(within, new.tenant_id)  # of the same entry told twice, one waits here
    there = await known(within, new.source, new.source_id)
    if there is not None:
        return _same(there, new), False
    await wallets.move(within, new.tenant_id, wallet, new.from_account, new.to_account, new.amount)
    at = float((await within.execute(sa.select(now()))).scalar_one())
    first = insert_into(ledger_entries, is_sqlite=within.dialect.name == "sqlite")
    values = asdict(new) | {"at": at, "day": new.day or plans.book.day(at)}
    statement = first.values(values).on_conflict_do_nothing().returning(ledger_entries)
    row = (await within.execute(statement)).first()
    if row is None:  # another tenant's, a moment ago
        raise _used(new)
    return entries.of_row(row), True


async def known(within: AsyncConnection, source: str, source_id: str) -> Entry | None:
    """The entry by what it is known by."""
    column = ledger_entries.c
    return await entries.find(within, column.source == source, column.source_id == source_id)


def _same(there: Entry, new: NewEntry) -> Entry:
    """Raises `Conflict` where it says another thing. The note may differ: it is for people."""
    named = ("tenant_id", "from_account", "to_account", "amount", "calls", "original_id")
    if any(getattr(there, name) != getattr(new, name) for name in named):
        raise _used(new)
    return there


def _used(new: NewEntry) -> Conflict:
    reference = new.source_id.rpartition("/")[0] or new.source_id
    return Conflict(
        f'"{reference}" was used for another entry of the kind "{new.source}".',
        f"“{reference}”已用于另一条“{new.source}”记录。",
    )

"""Entries of the ledger: one amount from one account to another, and whose call it was for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.billing.tables import Account, ledger_entries
from magic_eraser.db.base import now

CALL, REFUND, GRANT, PAYMENT = "call", "refund", "grant", "payment"
"""Sources of this room's own; subscriptions have more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line, as it was written; see `billing.tables.ledger_entries`.

    Attributes:
        at: seconds since 1970.
        day: whose calls it counts, `2026-11-24`.
        calls: 1 for a call, -1 for one given back, else 0.
        amount: milli-cents, 0 or more.
        original_id: the entry that it takes back, wholly or in part.
    """

    id: int
    at: float
    tenant_id: str
    subject: str
    source: str
    source_id: str
    day: str
    calls: int
    from_account: Account
    to_account: Account
    amount: int
    plan: str
    original_id: int | None
    note: str


def of_row(row: Any) -> Entry:
    """An entry as it was read."""
    values = dict(row._mapping)  # noqa: SLF001 (documented; its name only cannot clash with columns)
    return Entry(
        **{
            **values,
            "from_account": Account(row.from_account),
            "to_account": Account(row.to_account),
        }
    )


CALL_ENTRY = (
    ledger_entries.insert()
    .inline()
    .values(
        at=now(),
        tenant_id=sa.bindparam("the_tenant"),
        subject=sa.bindparam("the_subject"),
        source=CALL,
        source_id=sa.bindparam("the_id"),
        day=sa.bindparam("the_day"),
        calls=1,
        from_account=sa.bindparam("the_account"),
        to_account=Account.REVENUE,
        amount=sa.bindparam("the_amount"),
        plan=sa.bindparam("the_plan"),
        note="",
    )
)
"""The entry of a settled call; built once, as every request executes it."""


async def find(within: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> Entry | None:
    """The first entry of which they are true."""
    row = (await within.execute(sa.select(ledger_entries).where(*conditions).limit(1))).first()
    return None if row is None else of_row(row)

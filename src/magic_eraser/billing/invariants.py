"""Whether counters, wallets, reservations and ledger tell the same story."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plans import Charging
from magic_eraser.billing.entries import CALL
from magic_eraser.billing.tables import (
    Account,
    ReservationState,
    ledger_entries,
    quota_days,
    reservations,
    wallets,
)
from magic_eraser.db.database import Database

MOST = 20
"""Sentences of one kind: where so much is wrong, the rest is too."""

_entry, _held = ledger_entries.c, reservations.c


async def check(database: Database) -> list[str]:
    """One readable sentence for each thing that does not add up; none where all is well. Reads one snapshot, so that
    calls which go on meanwhile do not disturb it.

    Raises:
        StorageUnavailable: see `Database.read`.
    """
    async with _snapshot(database) as connection:
        sentences = []
        for query, sentence in _questions():
            rows = (await connection.execute(query.limit(MOST))).all()
            sentences += [sentence.format(**_readable(row._mapping)) for row in rows]  # noqa: SLF001 (documented)
        return sentences + await _sums_to_nothing(connection)


def _questions() -> list[tuple[Any, str]]:
    """What must have no rows, and what one of them means."""
    return [
        (_calls_used(), "{tenant_id} on {day}: {mine} calls are counted as used, the ledger has {truth}."),
        (_calls_held(), "{tenant_id} on {day}: {mine} calls are counted as held, {truth} are."),
        (
            _credit_held(),
            "{tenant_id}: {mine_money} of the credit is held, calls under way hold {truth_money}.",
        ),
        (
            _balances(Account.CREDIT),
            "{tenant_id}: the wallet has a credit of {mine_money}, by the ledger it is {truth_money}.",
        ),
        (
            _balances(Account.OWED),
            "{tenant_id}: the wallet owes {mine_money}, by the ledger it is {truth_money}.",
        ),
        (
            _charged_once(),
            "{tenant_id} on {day}: reservation {id} is {state}, and the ledger has {entries} entries of it.",
        ),
        (
            _charged_right(),
            (
                "{tenant_id} on {day}: reservation {id} held {most_money}, entry {entry_id} of {whose} on "
                "{charged_day} charges {amount_money} for {calls} calls."
            ),
        ),
        (
            _refunds(),
            (
                "{tenant_id}: of entry {id} over {amount_money} and {calls} calls, {given_money} and "
                "{calls_given} calls were given back."
            ),
        ),
    ]


def _readable(row: Any) -> dict[str, Any]:
    """Each value, and as `NAME_money` each number as an amount."""
    money = {
        f"{name}_money": _text(value) for name, value in row.items() if isinstance(value, (int, Decimal))
    }
    return {**row, **money}


@asynccontextmanager
async def _snapshot(database: Database) -> AsyncIterator[AsyncConnection]:
    async with database.read() as connection:
        if not database.is_sqlite:  # whose transactions that read are of one moment anyway
            await connection.execution_options(isolation_level="REPEATABLE READ")
        async with connection.begin():
            yield connection


def _text(amount: Any) -> str:
    return to_text(int(amount))  # PostgreSQL's sums are decimals


def _differences(*sides: Any, per: tuple[str, ...]) -> Any:
    """Rows of `mine` and `truth`, summed `per` something, where the two differ: no table is read into memory."""
    both = sa.union_all(*sides).subquery()
    by = [both.c[name] for name in per]
    mine, truth = sa.func.sum(both.c.mine), sa.func.sum(both.c.truth)
    return (
        sa.select(*by, mine.label("mine"), truth.label("truth"))
        .group_by(*by)
        .having(mine != truth)
        .order_by(*by)
    )


_NOTHING: sa.ColumnElement[int] = sa.literal_column("0", sa.Integer)


def _calls_used() -> Any:
    day = quota_days.c
    return _differences(
        sa.select(day.tenant_id, day.day, day.used.label("mine"), _NOTHING.label("truth")),
        sa.select(_entry.tenant_id, _entry.day, _NOTHING, _entry.calls).where(_entry.calls != 0),
        per=("tenant_id", "day"),
    )


def _calls_held() -> Any:
    day = quota_days.c
    return _differences(
        sa.select(day.tenant_id, day.day, day.held.label("mine"), _NOTHING.label("truth")),
        sa.select(_held.tenant_id, _held.day, _NOTHING, sa.literal_column("1")).where(
            _held.state == ReservationState.HELD
        ),
        per=("tenant_id", "day"),
    )


def _credit_held() -> Any:
    return _differences(
        sa.select(wallets.c.tenant_id, wallets.c.held.label("mine"), _NOTHING.label("truth")),
        sa.select(_held.tenant_id, _NOTHING, _held.units * _held.unit_price).where(
            _held.state == ReservationState.HELD, _held.charging == Charging.CREDIT
        ),
        per=("tenant_id",),
    )


def _balances(account: Account) -> Any:
    """Credit grows by what comes in; what is owed grows by what goes out."""
    grows, shrinks = (
        (_entry.to_account, _entry.from_account)
        if account is Account.CREDIT
        else (_entry.from_account, _entry.to_account)
    )
    counted = wallets.c.credit if account is Account.CREDIT else wallets.c.owed
    return _differences(
        sa.select(wallets.c.tenant_id, counted.label("mine"), _NOTHING.label("truth")),
        sa.select(_entry.tenant_id, _NOTHING, _entry.amount).where(grows == account),
        sa.select(_entry.tenant_id, _NOTHING, -_entry.amount).where(shrinks == account),
        per=("tenant_id",),
    )


def _charged() -> Any:
    return reservations.outerjoin(
        ledger_entries, sa.and_(_entry.source == CALL, _entry.source_id == _held.id)
    )


def _charged_once() -> Any:
    """Settled and without an entry, or the other way round. Two entries the key of the ledger does not allow."""
    entries = sa.func.count(_entry.id)
    return (
        sa.select(_held.tenant_id, _held.day, _held.id, _held.state, entries.label("entries"))
        .select_from(_charged())
        .group_by(_held.tenant_id, _held.day, _held.id, _held.state)
        .having(entries != sa.case((_held.state == ReservationState.SETTLED, 1), else_=0))
        .order_by(_held.id)
    )


def _charged_right() -> Any:
    """To whom it was reserved for, on that day, and not more."""
    most = _held.units * _held.unit_price
    return (
        sa.select(
            _held.tenant_id,
            _held.day,
            _held.id,
            most.label("most"),
            _entry.id.label("entry_id"),
            _entry.tenant_id.label("whose"),
            _entry.day.label("charged_day"),
            _entry.amount,
            _entry.calls,
        )
        .select_from(_charged())
        .where(
            sa.or_(
                _entry.tenant_id != _held.tenant_id,
                _entry.day != _held.day,
                _entry.amount > most,
                _entry.calls != 1,
            )
        )
        .order_by(_held.id)
    )


def _refunds() -> Any:
    refund = ledger_entries.alias("refund")
    given, calls = sa.func.sum(refund.c.amount), -sa.func.sum(refund.c.calls)
    return (
        sa.select(
            _entry.tenant_id,
            _entry.id,
            _entry.amount,
            _entry.calls,
            given.label("given"),
            calls.label("calls_given"),
        )
        .join_from(ledger_entries, refund, refund.c.original_id == _entry.id)
        .group_by(_entry.tenant_id, _entry.id, _entry.amount, _entry.calls)
        .having(sa.or_(given > _entry.amount, calls > _entry.calls))
        .order_by(_entry.id)
    )


async def _sums_to_nothing(connection: AsyncConnection) -> list[str]:
    """What came from outside and what calls and plans brought, by the ledger, against what lies in all wallets."""
    ours = (Account.OUTSIDE, Account.REVENUE, Account.FEES)
    gone = sa.case((_entry.to_account.in_(ours), _entry.amount), else_=0)
    come = sa.case((_entry.from_account.in_(ours), _entry.amount), else_=0)
    outside = await _sum(connection, gone - come)
    inside = await _sum(connection, wallets.c.credit - wallets.c.owed)
    if outside + inside == 0:
        return []
    return [
        (
            f"All accounts together must be nothing and are {to_text(outside + inside)}: by the ledger "
            f"{to_text(outside)} lies outside of wallets, and {to_text(inside)} in them."
        )
    ]


async def _sum(connection: AsyncConnection, of: sa.ColumnElement[int]) -> int:
    return int((await connection.execute(sa.select(sa.func.sum(of)))).scalar() or 0)

"""Holds of servers that are gone end here, and what is long over leaves the tables."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.billing.calls.counting import Counters, Held
from magic_eraser.billing.calls.database_quota import OnEvent, nobody_counts
from magic_eraser.billing.tables import ReservationState, quota_days, reservations
from magic_eraser.db.base import has_come, now
from magic_eraser.db.database import Database
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

AT_ONCE = 50
"""Holds in one transaction, which all other calls of SQLite wait for."""
PRUNED_AT_ONCE = 1000
STEPS = 50
"""Most transactions in one round; the next one is a minute later."""
KEPT_SECONDS = 7 * 86400.0
"""That a reservation stays once it ended, to be looked at, and so that a late duplicate finds what became of it."""
EMPTY_DAYS = 3
"""After which a day without a call goes: of each address that only looked, there is one."""


async def reap(database: Database, *, hold_seconds: float, on_event: OnEvent = nobody_counts) -> int:
    """End the holds whose time is over; several servers may do so at once.

    Args:
        hold_seconds: see `DatabaseQuota`.
        on_event: told `(plan, "expired")` of each.

    Returns:
        How many there were.

    Raises:
        StorageUnavailable: see `Database.write`; the rest is done the next time.
    """
    counters = Counters(is_sqlite=database.is_sqlite)
    ended = 0
    for _step in range(STEPS):
        async with database.write() as connection:
            over = await _end_some(connection, counters, hold_seconds)
        for held in over:
            on_event(held.plan, ReservationState.EXPIRED)
        ended += len(over)
        if len(over) < AT_ONCE:
            break
    if ended:
        log.warning("holds_expired", count=ended)
    return ended


async def prune(database: Database) -> int:
    """Remove reservations that ended a week ago, and days on which nothing was counted. How many rows.

    Days on which something was counted stay: the ledger's entries, which stay too, are compared with them.

    Raises:
        StorageUnavailable: see `Database.write`; the rest is done the next time.
    """
    gone = 0
    for _step in range(STEPS):
        removed = await _remove_some(database)
        gone += removed
        if removed < PRUNED_AT_ONCE:
            break
    return gone


async def _end_some(connection: AsyncConnection, counters: Counters, hold_seconds: float) -> list[Held]:
    column = reservations.c
    due = (
        sa.select(column.id)
        .where(column.state == ReservationState.HELD, has_come(column.expires_at, hold_seconds))
        .order_by(column.id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)  # who settles one right now has it; SQLite has one writer anyway
    )
    over = []
    for which in (await connection.execute(due)).scalars().all():
        held = await counters.end(connection, which, ReservationState.EXPIRED)
        over += [held] if held is not None else []
    calls = Counter((held.tenant_id, held.day) for held in over)
    credit: Counter[tuple[str, str]] = Counter()
    for held in over:
        credit[held.tenant_id, held.day] += held.held_credit
    for tenant_id, day in sorted(calls):  # in one order, so that no two wait for each other
        await counters.give_back_calls(connection, tenant_id, day, calls[tenant_id, day])
    for tenant_id, day in sorted(calls):
        await counters.give_back_credit(connection, tenant_id, credit[tenant_id, day])
    return over


async def _remove_some(database: Database) -> int:
    column = reservations.c
    ended = [state for state in ReservationState if state is not ReservationState.HELD]
    over = (
        sa.select(column.id)
        .where(column.state.in_(ended), column.expires_at <= now() - KEPT_SECONDS)
        .limit(PRUNED_AT_ONCE)
    )
    async with database.write() as connection:
        at = float((await connection.execute(sa.select(now()))).scalar_one())
        removed = (await connection.execute(reservations.delete().where(column.id.in_(over)))).rowcount
        before = (datetime.fromtimestamp(at, UTC) - timedelta(days=EMPTY_DAYS)).date().isoformat()
        key = sa.tuple_(quota_days.c.tenant_id, quota_days.c.day)
        empty = (
            sa.select(quota_days.c.tenant_id, quota_days.c.day)
            .where(quota_days.c.day < before, quota_days.c.used == 0, quota_days.c.held == 0)
            .limit(PRUNED_AT_ONCE)
        )
        emptied = (
            await connection.execute(
                quota_days.delete().where(key.in_(empty), quota_days.c.used == 0, quota_days.c.held == 0)
            )
        ).rowcount
    return max(removed, 0) + max(emptied, 0)

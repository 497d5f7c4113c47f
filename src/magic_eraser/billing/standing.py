"""Where a tenant stands: its calls of today and its money."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.plans import Plan, PlanBook
from magic_eraser.billing.tables import quota_days, wallets
from magic_eraser.db.base import now


@dataclass(frozen=True, slots=True)
class Standing:
    """What the next call will find.

    Attributes:
        day: today in the zone of the plans, `2026-11-24`.
        used: calls that were charged.
        held: calls under way, which count as well until they end.
        limit: calls a day; None for no limit.
        left: calls that would be taken now; None for no limit.
        resets_at: when the next day begins, seconds since 1970.
        credit: milli-cents bought that no call under way holds.
        owed: milli-cents to be paid; below 0 where more was paid than was owed.
    """

    day: str
    used: int
    held: int
    limit: int | None
    left: int | None
    resets_at: float
    credit: int
    owed: int


async def read(within: AsyncConnection, book: PlanBook, tenant_id: str, plan: Plan) -> Standing:
    """Calls and money by one statement, so that they are of one moment."""
    at = float((await within.execute(sa.select(now()))).scalar_one())
    day = book.day(at)
    whose = sa.select(sa.literal(tenant_id).label("tenant_id")).subquery()
    query = sa.select(
        sa.func.coalesce(quota_days.c.used, 0).label("used"),
        sa.func.coalesce(quota_days.c.held, 0).label("held"),
        sa.func.coalesce(wallets.c.credit - wallets.c.held, 0).label("credit"),
        sa.func.coalesce(wallets.c.owed, 0).label("owed"),
    ).select_from(
        whose.outerjoin(
            quota_days, sa.and_(quota_days.c.tenant_id == whose.c.tenant_id, quota_days.c.day == day)
        ).outerjoin(wallets, wallets.c.tenant_id == whose.c.tenant_id)
    )
    row = (await within.execute(query)).one()
    limit = plan.calls_a_day
    return Standing(
        day=day,
        used=row.used,
        held=row.held,
        limit=limit,
        left=None if limit is None else max(0, limit - row.used - row.held),
        resets_at=book.next_day(at),
        credit=row.credit,
        owed=row.owed,
    )

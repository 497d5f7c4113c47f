"""Whose turn it is: tenants first, then their jobs, then items in order."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.db.base import has_come
from magic_eraser.jobs.endings import OPEN
from magic_eraser.jobs.tables import ItemState, job_items, jobs

LONGEST_PAUSE = 600.0
"""Seconds, before an item is begun again."""
JOBS_LOOKED_AT = 20
"""Other servers may hold the items of those before; what they leave comes with the next look."""


def due(lease_seconds: float) -> sa.ColumnElement[bool]:
    """Items to be begun: those that wait, and those whose server is gone."""
    item = job_items.c
    waited = has_come(item.run_at, LONGEST_PAUSE)
    lost = has_come(item.lease_until, lease_seconds)
    return sa.or_(
        sa.and_(item.state == ItemState.QUEUED, waited),
        sa.and_(item.state == ItemState.LEASED, lost),
    )


async def next_due(connection: AsyncConnection, lease_seconds: float) -> tuple[Any, Any] | None:
    """The rows of the next item's job and of the item, which is locked until the transaction ends; None where nothing
    is due. First comes whoever has the fewest items under way, then whoever was not served for longest (of callers
    without a name each address takes turns with the others), then the job of which that is true, then its first item.
    """
    turns = await connection.execute(_turns(lease_seconds))
    for job_id in turns.scalars().all():
        item = (
            sa.select(job_items)
            .where(job_items.c.job_id == job_id, due(lease_seconds))
            .order_by(job_items.c.index)
            .limit(1)
            .with_for_update(skip_locked=True)  # SQLite has the whole database locked already
        )
        row = (await connection.execute(item)).first()
        if row is not None:
            job = (await connection.execute(sa.select(jobs).where(jobs.c.id == job_id))).one()
            return job, row
    return None


def _turns(lease_seconds: float) -> sa.Select[Any]:
    under_way = (
        sa.select(jobs.c.tenant_id, jobs.c.address, sa.func.count().label("items"))
        .join(job_items, job_items.c.job_id == jobs.c.id)
        .where(job_items.c.state == ItemState.LEASED)
        .group_by(jobs.c.tenant_id, jobs.c.address)
        .subquery()
    )
    served = (  # by jobs that are over as well, or many small ones would always come before a large one
        sa.select(jobs.c.tenant_id, jobs.c.address, sa.func.max(jobs.c.claimed_at).label("last"))
        .group_by(jobs.c.tenant_id, jobs.c.address)
        .subquery()
    )
    waiting = sa.exists().where(job_items.c.job_id == jobs.c.id, due(lease_seconds))
    return (
        sa.select(jobs.c.id)
        .outerjoin(under_way, _same_party(under_way))
        .outerjoin(served, _same_party(served))
        .where(jobs.c.state.in_(OPEN), waiting)
        .order_by(
            sa.func.coalesce(under_way.c["items"], 0),
            sa.func.coalesce(served.c.last, 0.0),
            sa.func.coalesce(jobs.c.claimed_at, 0.0),
            jobs.c.created_at,
        )
        .limit(JOBS_LOOKED_AT)
    )


def _same_party(parties: sa.Subquery) -> sa.ColumnElement[bool]:
    return sa.and_(parties.c.tenant_id == jobs.c.tenant_id, parties.c.address == jobs.c.address)

"""What is due by the clock, for all users; run every hour by every server."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa

from magic_eraser.billing.subscriptions.dues import PROVIDER_SILENT
from magic_eraser.billing.subscriptions.subscription import MANUAL
from magic_eraser.billing.subscriptions.subscriptions import Subscriptions
from magic_eraser.billing.tables import SubscriptionState, subscriptions
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.errors import EraserError
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

PAGE = 200
"""Users looked up at a time."""


async def renew_due(database: Database, all_of_them: Subscriptions) -> Counter[str]:
    """Do what is due: downgrades and cancellations at the end of a period, payments that are late, plans whose grace is
    over. Each user in a transaction of its own: one who fails keeps nobody waiting, and several servers may do it at
    once.

    Returns:
        How many of each kind of event; `failed` are tried again the next time.

    Raises:
        StorageUnavailable: see `Database.read`.
    """
    counts: Counter[str] = Counter()
    last = ""
    while page := await _due(database, last):
        for user_id in page:
            try:
                counts.update(await all_of_them.renew(user_id))
            except EraserError as error:
                log.warning("renewal_failed", user=user_id, code=error.code)
                counts["failed"] += 1
            except Exception:  # one whom nobody can renew must not keep the others from it
                log.exception("renewal_failed", user=user_id)
                counts["failed"] += 1
        last = page[-1]
    return counts


async def _due(database: Database, after: str) -> list[str]:
    """The next users for whom something is due."""
    column = subscriptions.c
    own = sa.case((column.provider == MANUAL, 0.0), else_=PROVIDER_SILENT)
    over = sa.and_(
        column.state.in_([SubscriptionState.ACTIVE, SubscriptionState.AWAITING]),
        column.period_end > column.period_start,
        column.period_end + own <= now(),
    )
    late = sa.and_(column.state == SubscriptionState.PAST_DUE, column.grace_until <= now())
    query = (
        sa.select(column.user_id)
        .where(column.user_id > after, sa.or_(over, late))
        .order_by(column.user_id)
        .limit(PAGE)
    )
    async with database.read() as connection:
        return list((await connection.execute(query)).scalars())

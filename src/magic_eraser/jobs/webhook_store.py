"""The outbox of webhooks: written in the transaction that ends a job, emptied afterwards, by any server."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.db.base import has_come, now
from magic_eraser.db.database import Database
from magic_eraser.jobs.tables import DeliveryState, jobs, webhook_deliveries

WAITS = (5.0, 30.0, 120.0, 600.0, 3600.0, 6 * 3600.0)
"""Seconds after the first attempt that failed, the second, and so on; the one after the last is not tried again."""
LEASE_SECONDS = 60.0
"""Six times what an attempt may take."""
KEPT_SECONDS = 7 * 86_400.0
"""That what was sent, or given up, stays to be looked into."""
Clock = Callable[[], sa.ColumnElement[float]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to be sent, leased.

    Attributes:
        id: the same at every attempt, so that a receiver knows what it had already.
        attempts: this one counted.
        fence: of this lease.
    """

    id: str
    job_id: str
    url: str
    body: str
    attempts: int
    fence: int


class WebhookStore:
    """The outbox.

    Args:
        database: where it lies, beside the jobs.
        clock: of the database; tests bring their own.
    """

    def __init__(self, database: Database, clock: Clock = now) -> None:
        self._database = database
        self._clock = clock

    async def on_over(self, connection: AsyncConnection, job_id: str) -> bool:
        """A job is over: have it told, where it asked for that; whether it did. An `endings.OnOver`, for the
        transaction that ends it."""
        job = (await connection.execute(sa.select(jobs).where(jobs.c.id == job_id))).one()
        if job.webhook_url is None:
            return False
        at = self._clock()
        await connection.execute(
            webhook_deliveries.insert().values(
                id=secrets.token_urlsafe(16),
                job_id=job_id,
                url=job.webhook_url,
                body=json.dumps(message(job), separators=(",", ":")),
                state=DeliveryState.PENDING,
                run_at=at,
                created_at=at,
            )
        )
        return True

    async def claim(self, owner: str) -> Delivery | None:
        """One that is due, leased to `owner`; None where none is."""
        rows = webhook_deliveries
        at = self._clock()
        free = sa.or_(rows.c.lease_until.is_(None), has_come(rows.c.lease_until, LEASE_SECONDS, at))
        due = has_come(rows.c.run_at, WAITS[-1], at)
        first = (
            sa.select(rows.c.id)
            .where(rows.c.state == DeliveryState.PENDING, due, free)
            .order_by(rows.c.run_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as connection:
            found = await connection.scalar(first)
            if found is None:
                return None
            claimed = await connection.execute(
                rows.update()
                .where(rows.c.id == found)
                .values(
                    owner=owner,
                    lease_until=at + LEASE_SECONDS,
                    fence=rows.c.fence + 1,
                    attempts=rows.c.attempts + 1,
                )
                .returning(rows)
            )
            row = claimed.one()
        return Delivery(row.id, row.job_id, row.url, row.body, row.attempts, row.fence)

    async def delivered(self, delivery: Delivery) -> None:
        """It arrived."""
        await self._end(delivery, {"state": DeliveryState.DELIVERED, "last_error": None})

    async def failed(self, delivery: Delivery, reason: str, *, for_good: bool = False) -> bool:
        """It did not; whether it will be tried again.

        Args:
            reason: for the operator.
            for_good: another attempt would not help.
        """
        again = not for_good and delivery.attempts <= len(WAITS)
        values: dict[str, Any] = {"last_error": reason[:500]}
        if again:
            values["run_at"] = self._clock() + WAITS[delivery.attempts - 1]
        else:
            values["state"] = DeliveryState.FAILED
        await self._end(delivery, values)
        return again

    async def give_back(self, delivery: Delivery) -> None:
        """It was not tried to the end: the next server may at once, and the attempt does not count."""
        await self._end(delivery, {"attempts": webhook_deliveries.c.attempts - 1})

    async def sweep(self) -> None:
        """What is over for a week goes."""
        rows = webhook_deliveries
        old = rows.c.created_at < self._clock() - KEPT_SECONDS
        async with self._database.write() as connection:
            await connection.execute(rows.delete().where(rows.c.state != DeliveryState.PENDING, old))

    async def _end(self, delivery: Delivery, values: dict[str, Any]) -> None:
        rows = webhook_deliveries
        async with self._database.write() as connection:
            await connection.execute(
                rows.update()
                .where(rows.c.id == delivery.id, rows.c.fence == delivery.fence)
                .values(owner=None, lease_until=None, **values)
            )


def message(job: Any) -> dict[str, Any]:
    """What is sent of a row of `jobs`: where it stands, and nothing of its pictures."""
    return {
        "type": f"job.{job.state}",
        "timestamp": _iso(job.finished_at),
        "data": {
            "id": job.id,
            "state": job.state,
            "total": job.total,
            "succeeded": job.succeeded,
            "failed": job.failed,
            "created_at": _iso(job.created_at),
            "finished_at": _iso(job.finished_at),
            "expires_at": _iso(job.expires_at),
        },
    }


def _iso(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Items from the queue to their end, by whichever server: claimed for a while, renewed, ended once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.principal import Principal, Priority
from magic_eraser.billing.quota import Quota, Reservation
from magic_eraser.db.base import now
from magic_eraser.db.blobs import Blobs
from magic_eraser.db.database import Database
from magic_eraser.errors import Cancelled, Draining, EraserError, InternalError, QueueFull, StorageUnavailable
from magic_eraser.jobs.endings import OPEN, OnOver, due, end_item, nobody_waits
from magic_eraser.jobs.options import from_json
from magic_eraser.jobs.tables import ItemState, JobState, job_items, jobs
from magic_eraser.service.request import EraseOptions, EraseResult
from magic_eraser.usage.events import record

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 600.0
"""Seconds before an item is begun again: 2, 8, 32 ..."""
ORPHAN_SECONDS = 3600.0
"""After which pictures without a job are those of one that was never accepted."""
SWEPT_AT_ONCE = 50
NOT_ITS_FAULT = (QueueFull, Draining, StorageUnavailable, Cancelled)
"""The item was not looked at: it is begun again, and the attempt does not count."""


Key = tuple[str, int, int]
"""Job, index, fence: one claim."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An item that belongs to this server for `lease_seconds`, or until it is renewed.

    Attributes:
        fence: counts its claims; whoever has an older one is too late.
        attempts: this one included.
        options: see `jobs.options`.
        reservation: held for it, settled or released by its end.
    """

    job_id: str
    index: int
    fence: int
    attempts: int
    name: str
    image_blob: str
    mask_blob: str
    principal: Principal
    options: dict[str, Any]
    reservation: Reservation

    @property
    def key(self) -> Key:
        return self.job_id, self.index, self.fence


class Claims:
    """The queue of items, of all tenants and all servers on one database.

    Args:
        database, blobs: see `JobStore`.
        quota: the item is paid for in the transaction that claims it, and settled in the one that ends it.
        units: what options cost.
        lease_seconds: that an item belongs to a server which is not heard of.
        attempts: most beginnings of one item.
        ttl_seconds, on_over: see `JobStore`.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        *,
        quota: Quota,
        units: Callable[[EraseOptions], int],
        lease_seconds: float,
        attempts: int,
        ttl_seconds: float,
        on_over: OnOver = nobody_waits,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._quota = quota
        self._units = units
        self.lease_seconds = lease_seconds
        self._attempts = attempts
        self._ttl = ttl_seconds
        self._on_over = on_over

    async def claim(self, owner: str) -> Claimed | None:
        """The next item for `owner`; None where nothing is due. Tenants take turns (the one with the fewest items
        under way first), then jobs, then items by index.

        Raises:
            StorageUnavailable: see `Database.write`.
        """
        while True:
            async with self._database.write() as connection:
                row = await self._next(connection)
                if row is None:
                    return None
                claimed = await self._take(connection, row, owner)
            if claimed is not None:
                return claimed

    async def _next(self, connection: AsyncConnection) -> Any:
        under_way = (
            sa.select(jobs.c.tenant_id, sa.func.count().label("items"))
            .join(job_items, job_items.c.job_id == jobs.c.id)
            .where(job_items.c.state == ItemState.LEASED)
            .group_by(jobs.c.tenant_id)
            .subquery()
        )
        waiting = sa.exists().where(job_items.c.job_id == jobs.c.id, due(self.lease_seconds))
        turns = (
            sa.select(jobs)
            .outerjoin(under_way, under_way.c.tenant_id == jobs.c.tenant_id)
            .where(jobs.c.state.in_(OPEN), waiting)
            .order_by(
                sa.func.coalesce(under_way.c["items"], 0),
                sa.func.coalesce(jobs.c.claimed_at, 0.0),
                jobs.c.created_at,
            )
            .limit(20)
        )
        for job in (await connection.execute(turns)).all():
            item = (
                sa.select(job_items)
                .where(job_items.c.job_id == job.id, due(self.lease_seconds))
                .order_by(job_items.c.index)
                .limit(1)
                .with_for_update(skip_locked=True)  # SQLite has the whole database locked already
            )
            row = (await connection.execute(item)).first()
            if row is not None:
                return job, row
        return None

    async def _take(self, connection: AsyncConnection, found: Any, owner: str) -> Claimed | None:
        job, item = found
        principal = Principal(job.tenant_id, job.subject, job.address, Priority.BATCH)
        if item.attempts >= self._attempts:  # each time, whoever had it was never heard of again
            gone = InternalError(
                f"The server ended {item.attempts} times while it worked on this picture.",
                f"处理这张图片时服务器意外中止了 {item.attempts} 次。",
            )
            await self._end(connection, job.id, item.index, _failure(gone))
            return None
        try:
            units = self._units(from_json(job.options)[0])
            reservation = await self._quota.reserve(principal, units, within=connection)
        except EraserError as error:
            if isinstance(error, NOT_ITS_FAULT):
                raise
            await self._end(connection, job.id, item.index, _failure(error))
            return None
        await connection.execute(
            job_items.update()
            .where(job_items.c.job_id == job.id, job_items.c.index == item.index)
            .values(
                state=ItemState.LEASED,
                owner=owner,
                lease_until=now() + self.lease_seconds,
                fence=item.fence + 1,
                attempts=item.attempts + 1,
            )
        )
        await connection.execute(
            jobs.update().where(jobs.c.id == job.id).values(state=JobState.RUNNING, claimed_at=now())
        )
        return Claimed(
            job_id=job.id,
            index=item.index,
            fence=item.fence + 1,
            attempts=item.attempts + 1,
            name=item.name,
            image_blob=item.image_blob,
            mask_blob=item.mask_blob,
            principal=principal,
            options=job.options,
            reservation=reservation,
        )

    async def renew(self, owner: str) -> set[Key]:
        """All that `owner` has is its own for longer; which they are, by `Claimed.key`. What is missing is not its own
        any more: cancelled, or taken over."""
        async with self._database.write() as connection:
            kept = await connection.execute(
                job_items.update()
                .where(job_items.c.owner == owner, job_items.c.state == ItemState.LEASED)
                .values(lease_until=now() + self.lease_seconds)
                .returning(job_items.c.job_id, job_items.c.index, job_items.c.fence)
            )
            return {(row.job_id, row.index, row.fence) for row in kept}

    async def held(self, owner: str) -> set[Key]:
        """The same, without renewing it."""
        async with self._database.read() as connection:
            found = await connection.execute(
                sa.select(job_items.c.job_id, job_items.c.index, job_items.c.fence).where(
                    job_items.c.owner == owner, job_items.c.state == ItemState.LEASED
                )
            )
            return {(row.job_id, row.index, row.fence) for row in found}

    async def finish(self, claimed: Claimed, result: EraseResult, result_blob: str) -> bool:
        """The item succeeded: its end, its charge, its usage event and, with the last one, the job's end are one
        transaction. Whether it was still ours to end; the blob is of no use where it was not."""
        assert result.encoded is not None
        units = 0 if result.cache == "hit" else claimed.reservation.units
        async with self._database.write() as connection:
            if not await self._ours(connection, claimed):
                return False
            await self._quota.settle(claimed.reservation, units, within=connection)
            source_id = f"{claimed.job_id}/{claimed.index}"
            await record(connection, "job", source_id, claimed.principal, result.model, units)
            done = {
                "state": ItemState.SUCCEEDED,
                "result_blob": result_blob,
                "format": result.encoded.format,
                "width": result.width,
                "height": result.height,
                "model": result.model,
                "seconds": sum(result.seconds.values()),
                "notices": [notice.code for notice in result.notices],
            }
            await self._end(connection, claimed.job_id, claimed.index, done)
            return True

    async def fail(self, claimed: Claimed, error: EraserError) -> None:
        """It failed: for good where its caller has to mend something or it was begun often enough, else it is begun
        again later. Nothing is charged."""
        uncounted = isinstance(error, NOT_ITS_FAULT)
        passing = uncounted or error.status >= 500
        async with self._database.write() as connection:
            if not await self._ours(connection, claimed):
                return
            await self._quota.release(claimed.reservation, within=connection)
            if passing and (uncounted or claimed.attempts < self._attempts):
                pause = (error.retry_after or 0.0) if uncounted else _pause(claimed.attempts)
                await self._again(connection, claimed, pause, counted=not uncounted)
            else:
                await self._end(connection, claimed.job_id, claimed.index, _failure(error))

    async def give_back(self, claimed: Claimed) -> None:
        """It was begun and not ended, by no fault of its own: the next server may have it at once."""
        await self.fail(claimed, Cancelled())

    async def let_go(self, claimed: Claimed) -> None:
        """It is not ours any more: what was held for it is released."""
        await self._quota.release(claimed.reservation)

    async def sweep(self) -> None:
        """Remove jobs whose time is over, and pictures of jobs that were never accepted."""
        async with self._database.write() as connection:
            over = (
                (
                    await connection.execute(
                        sa.select(jobs.c.id).where(jobs.c.expires_at <= now()).limit(SWEPT_AT_ONCE)
                    )
                )
                .scalars()
                .all()
            )
            await connection.execute(jobs.delete().where(jobs.c.id.in_(over)))
        for job_id in over:
            await self._blobs.delete_folder(job_id)
        old = set(await self._blobs.folders(older_than=ORPHAN_SECONDS))
        async with self._database.read() as connection:
            known = set((await connection.execute(sa.select(jobs.c.id))).scalars())
        for folder in [name for name in old - known if not name.startswith("idem-")][:SWEPT_AT_ONCE]:
            await self._blobs.delete_folder(folder)

    async def _ours(self, connection: AsyncConnection, claimed: Claimed) -> bool:
        """Whether the claim still holds; the row is locked from here on."""
        query = sa.select(job_items.c.index).where(
            job_items.c.job_id == claimed.job_id,
            job_items.c.index == claimed.index,
            job_items.c.fence == claimed.fence,
            job_items.c.state == ItemState.LEASED,
        )
        return (await connection.execute(query.with_for_update())).first() is not None

    async def _end(
        self, connection: AsyncConnection, job_id: str, index: int, values: dict[str, Any]
    ) -> None:
        await end_item(connection, job_id, index, values, self._ttl, self._on_over)

    async def _again(
        self, connection: AsyncConnection, claimed: Claimed, pause: float, *, counted: bool
    ) -> None:
        await connection.execute(
            job_items.update()
            .where(job_items.c.job_id == claimed.job_id, job_items.c.index == claimed.index)
            .values(
                state=ItemState.QUEUED,
                owner=None,
                lease_until=None,
                run_at=now() + pause,
                attempts=claimed.attempts if counted else claimed.attempts - 1,
            )
        )


def _failure(error: EraserError) -> dict[str, Any]:
    return {
        "state": ItemState.FAILED,
        "error_code": error.code,
        "error": error.sentence("en"),
        "error_zh": error.sentence("zh"),
    }


def _pause(attempts: int) -> float:
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 4 ** (attempts - 1))
    return longest * random.uniform(0.8, 1.2)  # noqa: S311 (no secret)

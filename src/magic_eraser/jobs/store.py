"""Jobs as their owners see them: begun, looked at, cancelled, removed. Another tenant's are not there."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.principal import Principal
from magic_eraser.db.base import now
from magic_eraser.db.blobs import Blobs
from magic_eraser.db.database import Database
from magic_eraser.errors import Cancelled, NotFound
from magic_eraser.jobs.allowance import Allowance
from magic_eraser.jobs.endings import OnOver, end_job, failure, nobody_waits
from magic_eraser.jobs.job import Item, Job, NewJob
from magic_eraser.jobs.tables import ItemState, JobState, job_items, jobs

ROWS = 500
"""Items in one statement: SQLite takes 32,766 values."""


def new_id() -> str:
    """128 random bits, 22 characters."""
    return secrets.token_urlsafe(16)


class JobStore:
    """The jobs of all tenants, in the database.

    Args:
        database: the one truth.
        blobs: where their pictures lie, in a folder for each job.
        ttl_seconds: that a job stays once it is over.
        on_over: called in the transaction that ends a job.
        allowance: of each party; None for no bounds.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        *,
        ttl_seconds: float,
        on_over: OnOver = nobody_waits,
        allowance: Allowance | None = None,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._ttl = ttl_seconds
        self._on_over = on_over
        self._allowance = allowance

    async def create(self, principal: Principal, new: NewJob) -> Job:
        """Accept a job: once this returns, it will be worked through.

        Raises:
            TooManyJobs: see `Allowance`.
            StorageUnavailable, StorageFull: it was not accepted; its blobs are the caller's to delete.
        """
        async with self._database.write() as connection:
            if self._allowance is not None:
                await self._allowance.check(connection, principal, new.size)
            at = (await connection.execute(sa.select(now()))).scalar_one()
            await connection.execute(
                jobs.insert().values(
                    id=new.id,
                    tenant_id=principal.tenant_id,
                    subject=principal.subject,
                    address=principal.address,
                    state=JobState.QUEUED,
                    options=new.options,
                    total=len(new.items),
                    bytes=new.size,
                    created_at=at,
                    webhook_url=new.webhook_url,
                )
            )
            rows = [
                {
                    "job_id": new.id,
                    "index": index,
                    "name": item.name,
                    "image_blob": item.image_blob,
                    "mask_blob": item.mask_blob,
                    "state": ItemState.QUEUED,
                    "run_at": at,
                }
                for index, item in enumerate(new.items)
            ]
            for start in range(0, len(rows), ROWS):
                await connection.execute(job_items.insert(), rows[start : start + ROWS])
            return await _job(connection, principal.tenant_id, new.id)

    async def check_room(self, principal: Principal) -> None:
        """Refuse now what `create` would refuse whatever the job brings: before its pictures are read.

        Raises:
            TooManyJobs: see `Allowance`.
            StorageUnavailable: see `Database.read`.
        """
        if self._allowance is not None:
            async with self._database.read() as connection:
                await self._allowance.check(connection, principal)

    async def get(self, tenant_id: str, job_id: str) -> Job:
        """Where it stands.

        Raises:
            NotFound: there is none of that id, or it is another tenant's.
        """
        async with self._database.read() as connection:
            return await _job(connection, tenant_id, job_id)

    async def newest(self, tenant_id: str, *, limit: int, after: Job | None = None) -> list[Job]:
        """A tenant's, newest first; those that come after one of them."""
        query = sa.select(jobs).where(jobs.c.tenant_id == tenant_id)
        if after is not None:
            place = sa.tuple_(sa.literal(after.created_at), sa.literal(after.id))
            query = query.where(sa.tuple_(jobs.c.created_at, jobs.c.id) < place)
        order = query.order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
        async with self._database.read() as connection:
            found = await connection.execute(order.limit(limit))
            return [_as_job(row) for row in found]

    async def items(self, tenant_id: str, job_id: str) -> list[Item]:
        """All of its items, by index. Raises `NotFound` as `get`."""
        async with self._database.read() as connection:
            await _job(connection, tenant_id, job_id)
            found = await connection.execute(
                sa.select(job_items).where(job_items.c.job_id == job_id).order_by(job_items.c.index)
            )
            return [as_item(row) for row in found]

    async def item(self, tenant_id: str, job_id: str, index: int) -> Item:
        """One of them. Raises `NotFound` as `get`, or where it has no such item."""
        async with self._database.read() as connection:
            await _job(connection, tenant_id, job_id)
            found = await connection.execute(
                sa.select(job_items).where(job_items.c.job_id == job_id, job_items.c.index == index)
            )
            row = found.first()
        if row is None:
            raise NotFound(f"The job has no item {index}.", f"该任务没有第 {index} 项。")
        return as_item(row)

    async def events(self, tenant_id: str, job_id: str, after: int) -> list[Item | Job]:
        """What ended after the event of that number, in order: items, at last the job itself, once it is over. Its
        number is each one's `sequence`. Raises `NotFound` as `get`."""
        async with self._database.read() as connection:
            job = await _job(connection, tenant_id, job_id)
            found = await connection.execute(
                sa.select(job_items)
                .where(job_items.c.job_id == job_id, job_items.c.sequence > after)
                .order_by(job_items.c.sequence)
            )
            ended: list[Item | Job] = [as_item(row) for row in found]
        if job.over and job.sequence > after:
            ended.append(job)
        return ended

    async def cancel(self, tenant_id: str, job_id: str) -> Job:
        """No open item is begun any more; what runs is stopped where it runs. One that is over stays as it is.

        Raises:
            NotFound: as `get`.
        """
        stopped = failure(
            Cancelled(
                "The job was cancelled before this picture was done.", "任务在处理这张图片之前已取消。"
            ),
            ItemState.CANCELLED,
        )
        async with self._database.write() as connection:
            job = await _job(connection, tenant_id, job_id)
            if job.over:
                return job
            await connection.execute(
                job_items.update()
                .where(
                    job_items.c.job_id == job_id,
                    job_items.c.state.in_((ItemState.QUEUED, ItemState.LEASED)),
                )
                .values(owner=None, lease_until=None, fence=job_items.c.fence + 1, **stopped)
            )
            await end_job(connection, job_id, JobState.CANCELLED, self._ttl, self._on_over)
            return await _job(connection, tenant_id, job_id)

    async def remove(self, tenant_id: str, job_id: str) -> None:
        """Let a job that is over go, with all its pictures; an open one is cancelled first.

        Raises:
            NotFound: as `get`.
        """
        await self.cancel(tenant_id, job_id)
        async with self._database.write() as connection:
            await connection.execute(jobs.delete().where(jobs.c.id == job_id))
        await self._blobs.delete_folder(job_id)

    async def counts(self) -> dict[JobState, int]:
        """How many jobs of all tenants are in each state."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state))
            return {JobState(state): count for state, count in found}


async def _job(connection: AsyncConnection, tenant_id: str, job_id: str) -> Job:
    query = sa.select(jobs).where(jobs.c.id == job_id, jobs.c.tenant_id == tenant_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise NotFound(
            "There is no such job: it is not yours, or its time is over.",
            "没有这个任务：它不属于您，或已过期。",
        )
    return _as_job(row)


def _as_job(row: Any) -> Job:
    return Job(
        id=row.id,
        tenant_id=row.tenant_id,
        state=JobState(row.state),
        total=row.total,
        succeeded=row.succeeded,
        failed=row.failed,
        sequence=row.sequence,
        created_at=row.created_at,
        finished_at=row.finished_at,
        expires_at=row.expires_at,
    )


def as_item(row: Any) -> Item:
    """A row of `job_items`."""
    notices: Sequence[str] = row.notices or ()
    return Item(
        index=row.index,
        name=row.name,
        state=ItemState(row.state),
        attempts=row.attempts,
        sequence=row.sequence,
        error_code=row.error_code,
        error=row.error,
        error_zh=row.error_zh,
        result_blob=row.result_blob,
        format=row.format,
        width=row.width,
        height=row.height,
        model=row.model,
        seconds=row.seconds,
        notices=tuple(notices),
    )

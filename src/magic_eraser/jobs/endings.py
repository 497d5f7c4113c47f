"""How items and jobs end, inside somebody's transaction: item first, then job, so that no two wait for each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.db.base import now
from magic_eraser.errors import EraserError
from magic_eraser.jobs.tables import ItemState, JobState, job_items, jobs

OPEN = (JobState.QUEUED, JobState.RUNNING)
OnOver = Callable[[AsyncConnection, str], Awaitable[None]]
"""Told the id of a job that is over, in the transaction that ends it: what it writes is there exactly if the end is."""


async def nobody_waits(_connection: AsyncConnection, _job_id: str) -> None:
    """Nobody is told."""


def failure(error: EraserError, state: ItemState = ItemState.FAILED) -> dict[str, Any]:
    """The columns of an item that came to nothing."""
    return {
        "state": state,
        "error_code": error.code,
        "error": error.sentence("en"),
        "error_zh": error.sentence("zh"),
    }


async def end_job(
    connection: AsyncConnection, job_id: str, state: JobState, ttl_seconds: float, on_over: OnOver
) -> None:
    """The job is over, unless it is already."""
    ended = await connection.execute(
        jobs.update()
        .where(jobs.c.id == job_id, jobs.c.state.in_(OPEN))
        .values(
            state=state,
            sequence=jobs.c.sequence + 1,
            finished_at=now(),
            expires_at=now() + ttl_seconds,
        )
    )
    if ended.rowcount:
        await on_over(connection, job_id)


async def end_item(
    connection: AsyncConnection,
    job_id: str,
    index: int,
    values: dict[str, Any],
    ttl_seconds: float,
    on_over: OnOver,
) -> None:
    """The item is over, and with the last one the job. The caller holds the item's row.

    Args:
        values: of its row: at least `state`, succeeded or failed.
    """
    good = values["state"] == ItemState.SUCCEEDED
    counter = jobs.c.succeeded if good else jobs.c.failed
    told = await connection.execute(
        jobs.update()
        .where(jobs.c.id == job_id)
        .values({counter: counter + 1, jobs.c.sequence: jobs.c.sequence + 1})
        .returning(jobs.c.sequence, jobs.c.succeeded, jobs.c.failed, jobs.c.total)
    )
    job = told.one()
    await connection.execute(
        job_items.update()
        .where(job_items.c.job_id == job_id, job_items.c.index == index)
        .values(owner=None, lease_until=None, sequence=job.sequence, **values)
    )
    if job.succeeded + job.failed == job.total:
        state = JobState.FAILED if job.failed else JobState.SUCCEEDED
        await end_job(connection, job_id, state, ttl_seconds, on_over)

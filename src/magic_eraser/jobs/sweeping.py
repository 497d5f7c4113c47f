"""What is over its time goes, a few rows at once, so that nobody waits long for the database."""

from __future__ import annotations

import sqlalchemy as sa

from magic_eraser.db.base import now
from magic_eraser.db.blobs import Blobs
from magic_eraser.db.database import Database
from magic_eraser.jobs.tables import jobs
from magic_eraser.service.idempotency.keys import PREFIX as OF_ANSWERS

ORPHAN_SECONDS = 180.0
"""After the last of its pictures came, a job without a row was never accepted: the next one takes a second, the row
after the last one less."""
JOBS_AT_ONCE = 10
"""In one transaction: their items, a thousand each, go with them."""
STEPS = 50
"""Most transactions in one sweep; the next one is a minute later."""
FOLDERS_AT_ONCE = 500


async def sweep(database: Database, blobs: Blobs) -> None:
    """Remove jobs whose time is over with their pictures, and pictures of jobs that were never accepted.

    The row goes first: what a crash leaves between the two is a folder without a job.

    Raises:
        StorageUnavailable: see `Database.write`; the rest is done the next time.
    """
    for _step in range(STEPS):
        over = await _remove_expired(database)
        for job_id in over:
            await blobs.delete_folder(job_id)
        if len(over) < JOBS_AT_ONCE:
            break
    await _remove_orphans(database, blobs)


async def _remove_expired(database: Database) -> list[str]:
    async with database.write() as connection:
        expired = sa.select(jobs.c.id).where(jobs.c.expires_at <= now()).limit(JOBS_AT_ONCE)
        over = list((await connection.execute(expired)).scalars())
        if over:
            await connection.execute(jobs.delete().where(jobs.c.id.in_(over)))
    return over


async def _remove_orphans(database: Database, blobs: Blobs) -> None:
    old = [name for name in await blobs.folders(older_than=ORPHAN_SECONDS) if not name.startswith(OF_ANSWERS)]
    for start in range(0, len(old), FOLDERS_AT_ONCE):
        asked = old[start : start + FOLDERS_AT_ONCE]
        async with database.read() as connection:
            known = set(
                (await connection.execute(sa.select(jobs.c.id).where(jobs.c.id.in_(asked)))).scalars()
            )
        for folder in asked:
            if folder not in known:
                await blobs.delete_folder(folder)

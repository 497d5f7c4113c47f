"""Answers by `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): the same request is done once.

What is kept: answers of 2xx, and no others. A failure is charged nothing here, and its cause (a full queue, a model
that is missing, a time limit) may be gone a second later, so that its key is free again at once. The draft leaves this
to the server; Stripe keeps every answer after the work began, failures among them, since there a failed charge may have
moved money.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.db.base import has_come, now
from magic_eraser.db.blobs import Blobs
from magic_eraser.db.database import Database
from magic_eraser.db.upsert import insert_into
from magic_eraser.errors import IdempotencyInFlight, IdempotencyMismatch, NotFound, StorageFull
from magic_eraser.service.idempotency.tables import idempotency_keys as table

PREFIX = "idem-"
"""Of the folders in which answers' bodies lie."""
FIRST_FENCE = 2**30
"""A key's first attempt has a random fence below it: a row that went and came again is not taken for the old one."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Leave to do the work; to be ended by `finish` or `abandon`.

    Attributes:
        tenant_id, route, key: as given to `begin`.
        fence: tells this attempt from one that was before, or took over.
    """

    tenant_id: str
    route: str
    key: str
    fence: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered.

    Attributes:
        status: of HTTP, 2xx.
        headers: (name, value) in order, without the Content-Type.
        media_type: the whole Content-Type.
        body: all of it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    media_type: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class _Found:
    """What the transaction of `begin` saw: an attempt, or where the answer lies."""

    attempt: Attempt | None
    row: Any = None
    stale: Attempt | None = None


class IdempotencyKeys:
    """The keys of all tenants, in the database; safe with several servers on it.

    Args:
        database: where the keys lie.
        blobs: where the bodies lie, in folders `idem-...`.
        ttl_seconds: that an answer is kept.
        lease_seconds: that an attempt may take, unless it is renewed, before its server counts as dead: the longest
            time limit of a request and a margin.
    """

    def __init__(self, database: Database, blobs: Blobs, *, ttl_seconds: float, lease_seconds: float) -> None:
        self._database = database
        self._blobs = blobs
        self._ttl = ttl_seconds
        self.lease_seconds = lease_seconds

    async def begin(self, tenant_id: str, route: str, key: str, fingerprint: str) -> Attempt | Answer:
        """An attempt where the work is to be done, or the answer that it had.

        Args:
            tenant_id: whose key it is, at most 100 characters.
            route: method and template, at most 100 characters; a key means something else on another one.
            key: 1..255 characters.
            fingerprint: SHA-256 of the request, hex.

        Raises:
            IdempotencyInFlight: it is being worked on.
            IdempotencyMismatch: the key came with another request.
            StorageUnavailable: see `Database.write`.
        """
        asked = Attempt(tenant_id, route, key, 0)
        while True:
            async with self._database.write() as connection:
                found = await self._find(connection, asked, fingerprint)
            if found.stale is not None:
                await self._blobs.delete_folder(_folder(found.stale))
            if found.attempt is not None:
                return found.attempt
            row = found.row
            try:
                body = await self._blobs.get(row.body_blob)
            except NotFound:  # swept a moment ago, or lost with its disk: the work is done anew
                await self._remove(replace(asked, fence=row.fence))
                continue
            headers = tuple((name, value) for name, value in row.headers)
            return Answer(row.status, headers, row.media_type, body)

    async def _find(self, connection: AsyncConnection, asked: Attempt, fingerprint: str) -> _Found:
        """The row is locked from here on (by `FOR UPDATE`, on SQLite by the transaction), so that of several only one
        sees it free."""
        at = (await connection.execute(sa.select(now()))).scalar_one()
        fresh: dict[str, Any] = {
            "fingerprint": fingerprint,
            "lease_until": at + self.lease_seconds,
            "status": None,
            "headers": sa.null(),
            "media_type": None,
            "body_blob": None,
            "expires_at": at + self._ttl,
        }
        while True:
            fence = secrets.randbelow(FIRST_FENCE)
            inserted = await connection.execute(
                insert_into(table, is_sqlite=self._database.is_sqlite)
                .values(tenant_id=asked.tenant_id, route=asked.route, key=asked.key, fence=fence, **fresh)
                .on_conflict_do_nothing()
                .returning(table.c.fence)
            )
            if inserted.first() is not None:
                return _Found(replace(asked, fence=fence))
            row = (await connection.execute(sa.select(table).where(_is(asked)).with_for_update())).first()
            if row is not None:
                break  # else it was removed between the two
        at = (await connection.execute(sa.select(now()))).scalar_one()  # the lock may have been waited for
        running = row.lease_until is not None and at < row.lease_until <= at + 2 * self.lease_seconds
        ran_out = row.expires_at <= at and not running
        if row.fingerprint != fingerprint and not ran_out:
            raise IdempotencyMismatch
        if running:
            usual = IdempotencyInFlight.usual_wait or 1.0
            raise IdempotencyInFlight(retry_after=min(usual, row.lease_until - at))
        if row.lease_until is None and not ran_out:
            return _Found(None, row)
        fresh |= {"lease_until": at + self.lease_seconds, "expires_at": at + self._ttl}
        await connection.execute(sa.update(table).where(_is(asked)).values(fence=row.fence + 1, **fresh))
        return _Found(replace(asked, fence=row.fence + 1), stale=replace(asked, fence=row.fence))

    async def renew(self, attempt: Attempt) -> None:
        """It is still worked on; nothing happens where it was taken over.

        Raises:
            StorageUnavailable: see `Database.write`.
        """
        async with self._database.write() as connection:
            await connection.execute(
                sa.update(table)
                .where(_is(attempt), table.c.fence == attempt.fence, table.c.lease_until.is_not(None))
                .values(lease_until=now() + self.lease_seconds)
            )

    async def finish(self, attempt: Attempt, answer: Answer) -> bool:
        """Keep the answer; False where the attempt had been taken over, and another's answer is the one that counts.

        Raises:
            StorageFull, StorageUnavailable: it is not kept; the key stays taken until it is abandoned, or its lease is
                over.
        """
        blob = await self._blobs.put(_folder(attempt), answer.body)
        try:
            kept = await self._settle(attempt, answer, blob)
        except StorageFull:  # what could not be noted must not take the room that is left
            await self._blobs.delete_folder(_folder(attempt))
            raise
        if not kept:
            await self._blobs.delete_folder(_folder(attempt))
        return kept

    async def _settle(self, attempt: Attempt, answer: Answer, blob: str) -> bool:
        async with self._database.write() as connection:
            done = await connection.execute(
                sa.update(table)
                .where(_is(attempt), table.c.fence == attempt.fence, table.c.lease_until.is_not(None))
                .values(
                    lease_until=None,
                    status=answer.status,
                    headers=[list(pair) for pair in answer.headers],
                    media_type=answer.media_type,
                    body_blob=blob,
                    expires_at=now() + self._ttl,
                )
            )
        return done.rowcount == 1

    async def abandon(self, attempt: Attempt) -> None:
        """The key is free again, unless somebody took it over.

        Raises:
            StorageUnavailable: see `Database.write`; the key is free once its lease is over.
        """
        async with self._database.write() as connection:
            await connection.execute(
                sa.delete(table).where(
                    _is(attempt), table.c.fence == attempt.fence, table.c.lease_until.is_not(None)
                )
            )

    async def sweep(self) -> None:
        """Let go what is over its time, and bodies that a crash left without a row."""
        at = now()
        async with self._database.write() as connection:
            over = sa.or_(table.c.lease_until.is_(None), has_come(table.c.lease_until, self.lease_seconds))
            removed = await connection.execute(
                sa.delete(table)
                .where(table.c.expires_at <= at, over)
                .returning(table.c.tenant_id, table.c.route, table.c.key, table.c.fence)
            )
            gone = [Attempt(*row) for row in removed]
        for attempt in gone:
            await self._blobs.delete_folder(_folder(attempt))
        # A body is put before its row says for how long: older than this, no row can name it.
        for folder in await self._blobs.folders(older_than=self._ttl + 2 * self.lease_seconds):
            if folder.startswith(PREFIX):
                await self._blobs.delete_folder(folder)

    async def _remove(self, attempt: Attempt) -> None:
        async with self._database.write() as connection:
            await connection.execute(sa.delete(table).where(_is(attempt), table.c.fence == attempt.fence))


def _is(attempt: Attempt) -> sa.ColumnElement[bool]:
    return sa.and_(
        table.c.tenant_id == attempt.tenant_id,
        table.c.route == attempt.route,
        table.c.key == attempt.key,
    )


def _folder(attempt: Attempt) -> str:
    """One for each attempt, so that what is swept is never what a later one keeps."""
    parts = "\n".join((attempt.tenant_id, attempt.route, attempt.key, str(attempt.fence)))
    return PREFIX + hashlib.sha256(parts.encode()).hexdigest()[:40]

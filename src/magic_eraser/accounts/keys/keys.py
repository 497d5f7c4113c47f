"""API keys: made, shown once, rotated, revoked, and asked for at every call."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts import audit
from magic_eraser.accounts.identity import Identity
from magic_eraser.accounts.keys import key_format, rows, rules
from magic_eraser.accounts.keys.api_key import ApiKey, of_row
from magic_eraser.accounts.keys.check import KeyCheck
from magic_eraser.accounts.keys.pepper import Pepper
from magic_eraser.accounts.principal import Scope
from magic_eraser.accounts.tables import api_keys as table
from magic_eraser.db.base import now
from magic_eraser.db.database import Database

__all__ = ["ApiKey", "Keys", "foreign_keys"]

USUAL_OVERLAP = 86_400
"""Seconds, a day."""
MOST_LISTED = 200


class Keys:
    """All keys of a database; a `Handler` of credentials.

    Args:
        database: where they lie, digested.
        pepper: with which.
        clock: of the memory of half a second, for tests.
    """

    def __init__(
        self, database: Database, pepper: Pepper, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._check = KeyCheck(database, pepper, clock)

    async def __call__(self, credential: str) -> Identity | None:
        """See `identity.Handler`."""
        return await self._check(credential)

    async def create(
        self,
        user_id: str,
        *,
        name: str,
        scopes: Collection[Scope],
        expires_in: float | None = None,
        actor: str,
        most: int | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key, and how it reads, which nobody can tell again.

        Args:
            user_id: whose it is.
            name: 1 to 100 characters.
            scopes: at least one.
            expires_in: seconds, up to a hundred years; None: for ever.
            actor: see `audit.actor_of`; where it is the user itself, the key is one of its own.
            most: keys of its own that the user may have, this one included, see `count_own`; None for no limit.

        Raises:
            NotFound: there is no such user.
            ValidationFailed: name, scopes or `expires_in` are out of range.
            InsufficientScope: `admin` for a user who is none.
            Conflict: the user has `most` already.
        """
        name = name.strip()
        rules.check_new(name, scopes, expires_in)
        made_by = actor.partition("/")[0][:100]
        async with self._database.write() as connection:
            rules.check_role(user_id, await rows.lock_user(connection, user_id), scopes)
            if most is not None and made_by == user_id:
                rules.check_count(await rows.count_own(connection, user_id), most)
            end = None if expires_in is None else now() + expires_in
            made, text = await self._insert(connection, user_id, name, scopes, end, made_by)
            told = {"key": made.id, "name": name, "scopes": sorted(made.scopes)}
            await audit.record(connection, actor, "key.create", user_id, **told)
        return made, text

    async def listing(self, user_id: str) -> list[ApiKey]:
        """The user's keys, those that are good first, then the newest; at most `MOST_LISTED`."""
        query = (
            sa.select(table)
            .where(table.c.user_id == user_id)
            .order_by(sa.case((rows.LIVE, 0), else_=1), table.c.created_at.desc(), table.c.id)
            .limit(MOST_LISTED)
        )
        async with self._database.read() as connection:
            return [of_row(row) for row in await connection.execute(query)]

    async def get(self, key_id: str, *, user_id: str | None) -> ApiKey:
        """One key.

        Args:
            user_id: whose it must be; None for anybody's.

        Raises:
            NotFound: there is none, or it is another's.
        """
        async with self._database.read() as connection:
            return of_row(await rows.find(connection, key_id, user_id))

    async def count_own(self, user_id: str) -> int:
        """Good keys that the user made: without those of an operator's making, and without those that were rotated."""
        async with self._database.read() as connection:
            return await rows.count_own(connection, user_id)

    async def revoke(self, key_id: str, *, user_id: str | None, actor: str) -> ApiKey:
        """It works no more: here at once, on other servers within half a second. One that was revoked before stays as
        it is.

        Args:
            user_id: whose it must be; None for anybody's.

        Raises:
            NotFound: there is none, or it is another's.
        """
        async with self._database.write() as connection:
            row = await rows.find(connection, key_id, user_id, lock=True)
            if row.revoked_at is None:
                row = await rows.update(connection, key_id, revoked_at=now())
                await audit.record(connection, actor, "key.revoke", row.user_id, key=key_id)
        self._check.forget(key_id)
        return of_row(row)

    async def rotate(
        self,
        key_id: str,
        *,
        user_id: str | None,
        overlap_seconds: float = USUAL_OVERLAP,
        actor: str,
        may: Collection[Scope] | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key in the place of one, with its name, scopes and length of life; and how it reads. The old one works
        for a while.

        Args:
            user_id: whose it must be; None for anybody's.
            overlap_seconds: 0 to a week that the old one still works, if its own end does not come first.
            may: scopes of the caller, who must not get a key that can do more; None for an operator.

        Raises:
            NotFound: there is none, or it is another's.
            Conflict: it was revoked, has expired, or was rotated before.
            InsufficientScope: it can do what the caller cannot.
            ValidationFailed: `overlap_seconds` is out of range.
        """
        rules.check_overlap(overlap_seconds)
        async with self._database.write() as connection:
            old = await rows.find(connection, key_id, user_id, lock=True)
            rules.check_rotatable(old, may)
            made, text = await self._replace(connection, old, overlap_seconds)
            told = {"key": key_id, "replaced_by": made.id, "overlap_seconds": overlap_seconds}
            await audit.record(connection, actor, "key.rotate", old.user_id, **told)
        self._check.forget(key_id)
        return made, text

    async def write_uses(self) -> None:
        """When keys were last used; see `KeyCheck.write_uses`."""
        await self._check.write_uses()

    async def _replace(self, within: AsyncConnection, old: Any, overlap: float) -> tuple[ApiKey, str]:
        end = old.at + overlap
        life = None
        if old.expires_at is not None:
            life = old.at + (old.expires_at - old.created_at)
            end = min(end, old.expires_at)
        scopes = of_row(old).scopes
        made, text = await self._insert(within, old.user_id, old.name, scopes, life, old.made_by)
        await rows.update(within, old.id, expires_at=end, replaced_by=made.id)
        return made, text

    async def _insert(
        self,
        within: AsyncConnection,
        user_id: str,
        name: str,
        scopes: Collection[Scope],
        expires_at: sa.ColumnElement[float] | float | None,
        made_by: str,
    ) -> tuple[ApiKey, str]:
        text = key_format.make()
        made = await within.execute(
            table.insert()
            .values(
                id=key_format.random_text(rows.ID_LENGTH),
                user_id=user_id,
                name=name,
                digest=self._pepper.digest(text),
                pepper_id=self._pepper.id,
                ending=key_format.ending(text),
                scopes=sorted(str(scope) for scope in scopes),
                made_by=made_by,
                created_at=now(),
                expires_at=expires_at,
            )
            .returning(table)
        )
        return of_row(made.one()), text


async def foreign_keys(database: Database, pepper: Pepper) -> int:
    """How many keys would be good, had they not been made with another pepper: nobody can use them now."""
    query = sa.select(sa.func.count()).select_from(table).where(rows.LIVE, table.c.pepper_id != pepper.id)
    async with database.read() as connection:
        return int(await connection.scalar(query) or 0)

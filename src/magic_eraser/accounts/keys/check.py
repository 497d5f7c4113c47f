"""Whether a key is good, asked at every call: once from the database, then from memory for half a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from magic_eraser.accounts.identity import Identity
from magic_eraser.accounts.keys import key_format
from magic_eraser.accounts.keys.api_key import known_scopes
from magic_eraser.accounts.keys.pepper import Pepper
from magic_eraser.accounts.short_cache import ShortCache
from magic_eraser.accounts.tables import api_keys as table
from magic_eraser.accounts.tables import users
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.errors import AccountDisabled, EraserError, InvalidToken, TokenExpired

_MINUTE = 60
_LOOK_UP = (
    sa.select(
        now().label("at"),
        table.c.id,
        table.c.user_id,
        table.c.scopes,
        table.c.expires_at,
        table.c.revoked_at,
        users.c.disabled_at,
    )
    .join_from(table, users, users.c.id == table.c.user_id)
    .where(table.c.digest == sa.bindparam("digest"))
)
_USES_AT_ONCE = 500
"""In one transaction: about 10 ms in which nobody else writes to SQLite."""
_WRITE_USE = (
    table.update()
    .where(
        table.c.id == sa.bindparam("the_key"),
        sa.or_(table.c.last_used_at.is_(None), table.c.last_used_at < sa.bindparam("minute")),
    )
    .values(last_used_at=sa.bindparam("minute"))
)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a key is not good; each call gets an error of its own."""

    kind: type[EraserError]
    detail: str
    detail_zh: str

    def error(self) -> EraserError:
        return self.kind(self.detail, self.detail_zh)


_UNKNOWN = _Refusal(InvalidToken, "The API key is not known here.", "此服务器上没有该 API 密钥。")


class KeyCheck:
    """Of the keys of one database.

    Every well-formed key that is not remembered takes the same way: one HMAC, one look-up by it in an index. What is
    compared is a digest that nobody can choose without the pepper, so its time says nothing of any key.

    Args:
        database: where the keys lie.
        pepper: what they were digested with.
        clock: of the memory, for tests.
    """

    def __init__(
        self, database: Database, pepper: Pepper, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._good: ShortCache[Identity] = ShortCache(clock=clock)
        self._bad: ShortCache[_Refusal] = ShortCache(clock=clock)
        """Apart from the good ones, so that whoever tries keys pushes out nothing but the keys tried."""
        self._used: dict[str, float] = {}

    async def __call__(self, credential: str) -> Identity | None:
        """See `identity.Handler`. A user that is disabled is noticed here within half a second."""
        if not credential.startswith(key_format.FAMILY):
            return None
        key_format.check(credential)
        digest = self._pepper.digest(credential)
        known = self._good.get(digest)
        if known is not None:
            return known
        refused = self._bad.get(digest)
        if refused is not None:
            raise refused.error()
        return await self._look_up(digest)

    def forget(self, key_id: str) -> None:
        """It was changed: what is remembered of it is wrong."""
        self._good.forget_all(lambda identity: identity.subject == key_id)

    async def write_uses(self) -> None:
        """When each key was last used, as far as it is not in the database yet. Once a minute, in nobody's way; what is
        not written by a crash is lost.

        Raises:
            StorageUnavailable: see `Database.write`; the next time it is tried again.
        """
        uses, self._used = self._used, {}
        try:
            while uses:
                # Servers that write the same rows take them in the same order, so that none waits for the other.
                some = sorted(uses)[:_USES_AT_ONCE]
                async with self._database.write() as connection:
                    await connection.execute(
                        _WRITE_USE, [{"the_key": key_id, "minute": uses[key_id]} for key_id in some]
                    )
                for key_id in some:
                    del uses[key_id]
        finally:
            self._used = {**uses, **self._used}

    async def _look_up(self, digest: str) -> Identity:
        changes = self._good.changes
        async with self._database.read() as connection:
            row = (await connection.execute(_LOOK_UP, {"digest": digest})).first()
        refusal = _judge(row)
        if refusal is not None:
            if (
                refusal.kind is not AccountDisabled
            ):  # what is refused otherwise stays so, this may be taken back
                self._bad.put(digest, refusal, changes=self._bad.changes)
            raise refusal.error()
        assert row is not None
        identity = Identity(row.user_id, row.id, known_scopes(row.scopes))
        left = None if row.expires_at is None else row.expires_at - row.at
        self._good.put(digest, identity, changes=changes, at_most=left)
        self._used[row.id] = row.at // _MINUTE * _MINUTE
        return identity


def _judge(row: Any) -> _Refusal | None:
    if row is None:
        return _UNKNOWN
    if row.revoked_at is not None:
        return _Refusal(InvalidToken, f'The API key "{row.id}" was revoked.', f"API 密钥“{row.id}”已被撤销。")
    if row.expires_at is not None and row.expires_at <= row.at:
        return _Refusal(TokenExpired, f'The API key "{row.id}" has expired.', f"API 密钥“{row.id}”已过期。")
    if row.disabled_at is not None:
        return _Refusal(
            AccountDisabled,
            f'The account "{row.user_id}" is disabled.',
            f"账户“{row.user_id}”已停用。",
        )
    return None

"""Rows of keys, within a transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.tables import api_keys as table
from magic_eraser.accounts.tables import users
from magic_eraser.db.base import now
from magic_eraser.errors import NotFound

LIVE = sa.and_(
    table.c.revoked_at.is_(None),
    sa.or_(table.c.expires_at.is_(None), table.c.expires_at > now()),
)
"""Neither revoked nor over its time."""


async def find(within: AsyncConnection, key_id: str, user_id: str | None, *, lock: bool = False) -> Any:
    """The row of a key, with the present as `at`.

    Args:
        user_id: whose it must be; None for anybody's.
        lock: until the end of the transaction, so that of two who change it one comes after the other.

    Raises:
        NotFound: there is none, or it is another's.
    """
    query = sa.select(table, now().label("at")).where(table.c.id == key_id)
    if user_id is not None:
        query = query.where(table.c.user_id == user_id)
    if lock:
        query = query.with_for_update()
    row = (await within.execute(query)).first()
    if row is None:
        raise NotFound(f'There is no key "{key_id[:40]}".', f"没有密钥“{key_id[:40]}”。")
    return row


async def update(within: AsyncConnection, key_id: str, **values: Any) -> Any:
    """The row as it is then."""
    changed = await within.execute(table.update().where(table.c.id == key_id).values(values).returning(table))
    return changed.one()


async def count_own(within: AsyncConnection, user_id: str) -> int:
    """See `Keys.count_own`."""
    query = (
        sa.select(sa.func.count())
        .select_from(table)
        .where(table.c.user_id == user_id, table.c.made_by == user_id, table.c.replaced_by.is_(None), LIVE)
    )
    return int(await within.scalar(query) or 0)


async def lock_user(within: AsyncConnection, user_id: str) -> str:
    """Its role. Until the end of the transaction nobody else counts its keys and adds one.

    Raises:
        NotFound: there is no such user.
    """
    query = sa.select(users.c.role).where(users.c.id == user_id).with_for_update(key_share=True)
    role = await within.scalar(query)
    if role is None:
        raise NotFound(f'There is no user "{user_id[:100]}".', f"没有用户“{user_id[:100]}”。")
    return str(role)

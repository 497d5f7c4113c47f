"""Rows of keys, within a transaction."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.tables import api_keys as table
from magic_eraser.accounts.tables import users
from magic_eraser.accounts.user import can_be_id
from magic_eraser.db.base import now
from magic_eraser.errors import NotFound

ID_LENGTH = 22
"""Characters of base 62: 131 bits."""
_ID = re.compile(rf"[0-9A-Za-z]{{{ID_LENGTH}}}")
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
    if not _ID.fullmatch(key_id):  # perhaps the key itself, which is not to be repeated
        raise NotFound("There is no key of that id.", "没有该标识的密钥。")
    query = sa.select(table, now().label("at")).where(table.c.id == key_id)
    if user_id is not None:
        query = query.where(table.c.user_id == user_id)
    if lock:
        query = query.with_for_update()
    row = (await within.execute(query)).first()
    if row is None:
        raise NotFound(f'There is no key "{key_id}".', f"没有密钥“{key_id}”。")
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
    user = user_id if can_be_id(user_id) else None
    query = sa.select(users.c.role).where(users.c.id == user).with_for_update(key_share=True)
    role = await within.scalar(query)
    if role is None:
        raise NotFound(f'There is no user "{user_id[:100]}".', f"没有用户“{user_id[:100]}”。")
    return str(role)

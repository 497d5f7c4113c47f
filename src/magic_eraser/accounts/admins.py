"""That an admin is left: a server without one can only be helped at its machine."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.tables import Role, users
from magic_eraser.errors import Conflict


async def expect_another(within: AsyncConnection, user_id: str) -> None:
    """To be asked before an admin is disabled or made a user, in the same transaction: two admins who remove each other
    at the same time wait for each other here.

    Raises:
        Conflict: the user is the only admin that is not disabled.
    """
    admins = (
        sa.select(users.c.id)
        .where(users.c.role == Role.ADMIN, users.c.disabled_at.is_(None))
        .order_by(users.c.id)
        .with_for_update()
    )
    found = set((await within.execute(admins)).scalars())
    if found == {user_id}:
        raise Conflict(
            f'"{user_id}" is the last admin: make another one first.',
            f"“{user_id}”是最后一位管理员：请先设置另一位管理员。",
        )

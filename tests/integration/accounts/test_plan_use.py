"""Which plans users are on, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio

from magic_eraser.accounts.plan_use import users_by_plan
from magic_eraser.accounts.tables import users
from magic_eraser.db.base import now


def test_users_are_counted_by_their_plan_and_those_who_are_disabled_too(open_database):
    async def story():
        async with open_database() as database:
            assert await users_by_plan(database) == {}
            on = {"alice": "pro", "bob": "free", "carol": "pro", "dave": "gone"}
            async with database.write() as connection:
                for user, plan in on.items():
                    disabled = now() if user == "dave" else None
                    await connection.execute(
                        users.insert().values(
                            id=user, plan=plan, role="user", created_at=now(), disabled_at=disabled
                        )
                    )
            assert await users_by_plan(database) == {"free": 1, "gone": 1, "pro": 2}

    asyncio.run(story())

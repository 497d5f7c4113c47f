"""An admin is left, whoever removes whom at the same time."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from magic_eraser.accounts import admins, deeds
from magic_eraser.accounts.audit import record
from magic_eraser.accounts.tables import Role, users
from magic_eraser.db.base import now
from magic_eraser.errors import Conflict


async def add(database, user_id, role=Role.ADMIN, disabled_at=None):
    async with database.write() as within:
        await within.execute(
            users.insert().values(
                id=user_id, plan="free", role=role, created_at=now(), disabled_at=disabled_at
            )
        )


async def demote(database, user_id):
    async with database.write() as within:
        await admins.expect_another(within, user_id)
        await within.execute(users.update().where(users.c.id == user_id).values(role=Role.USER))


def test_of_two_admins_who_remove_each_other_at_once_one_stays(open_database):
    async def story():
        async with open_database() as database, open_database() as elsewhere:
            for _ in range(5):
                await add(database, "anna")
                await add(database, "bert")
                done = await asyncio.gather(
                    demote(database, "anna"), demote(elsewhere, "bert"), return_exceptions=True
                )
                assert {type(outcome) for outcome in done} == {Conflict, type(None)}
                async with database.write() as within:
                    left = await within.execute(sa.select(users.c.id).where(users.c.role == Role.ADMIN))
                    assert len(left.all()) == 1
                    await within.execute(users.delete())

    asyncio.run(story())


def test_one_who_is_disabled_or_no_admin_does_not_count(open_database):
    async def story():
        async with open_database() as database:
            await add(database, "anna")
            await add(database, "bert", disabled_at=1.0)
            await add(database, "carl", role=Role.USER)
            with pytest.raises(Conflict):
                await demote(database, "anna")
            await demote(database, "bert")  # who was none any more

    asyncio.run(story())


def test_deeds_are_read_newest_first_and_page_by_page(open_database):
    async def story():
        async with open_database() as database:
            async with database.write() as within:
                for number in range(5):
                    await record(within, "cli:test", "user.add", f"user-{number % 2}", number=number)
            first = await deeds.newest(database, limit=2)
            rest = await deeds.newest(database, limit=9, after=first[-1].id)
            assert [deed.details["number"] for deed in [*first, *rest]] == [4, 3, 2, 1, 0]
            only = await deeds.newest(database, limit=9, target="user-1")
            assert [deed.details["number"] for deed in only] == [3, 1]

    asyncio.run(story())

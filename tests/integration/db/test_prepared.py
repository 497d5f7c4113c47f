"""Statements compiled once answer and fail as any other does, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from magic_eraser.billing.tables import quota_days
from magic_eraser.db.prepared import Prepared, first
from magic_eraser.errors import StorageUnavailable

_add = quota_days.insert().values(
    tenant_id=sa.bindparam("the_tenant"), day="2026-11-24", held=0, used=sa.bindparam("the_used")
)
_read = sa.select(quota_days.c.tenant_id, quota_days.c.used).order_by(quota_days.c.tenant_id)


def test_it_writes_and_reads_within_a_transaction(open_database):
    async def story():
        async with open_database() as database:
            add = Prepared(_add, is_sqlite=database.is_sqlite)
            read = Prepared(_read, is_sqlite=database.is_sqlite)
            returning = Prepared(_add.returning(quota_days.c.used), is_sqlite=database.is_sqlite)
            async with database.write() as connection:
                assert first(await read.rows(connection)) is None
                assert list(await add.rows(connection, {"the_tenant": "b", "the_used": 2})) == []
                row = first(await returning.rows(connection, {"the_tenant": "a", "the_used": 2**40}))
                assert tuple(row) == (2**40,)
                assert [tuple(row) for row in await read.rows(connection)] == [("a", 2**40), ("b", 2)]
                await connection.rollback()
            async with database.write() as connection:
                assert list(await read.rows(connection)) == []

    asyncio.run(story())


def test_a_constraint_that_refuses_is_an_answer(open_database):
    async def story():
        async with open_database() as database:
            add = Prepared(_add, is_sqlite=database.is_sqlite)
            with pytest.raises(exc.IntegrityError):
                async with database.write() as connection:
                    await add.rows(connection, {"the_tenant": "a", "the_used": -1})

    asyncio.run(story())


def test_a_database_that_cannot_be_written_to_is_storage_unavailable(open_database):
    async def story():
        async with open_database() as database:
            read_only = "PRAGMA query_only = ON" if database.is_sqlite else "SET TRANSACTION READ ONLY"
            add = Prepared(_add, is_sqlite=database.is_sqlite)
            async with database.write() as connection:
                await connection.execute(sa.text(read_only))
                with pytest.raises(StorageUnavailable):
                    await add.rows(connection, {"the_tenant": "a", "the_used": 1})
                await connection.rollback()

    asyncio.run(story())

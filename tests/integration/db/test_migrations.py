"""The steps of the schema: what they make is what the tables declare, and each can be undone and done again."""

from __future__ import annotations

import asyncio
import importlib
from importlib import resources

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from databases import Open
from magic_eraser.db.base import metadata
from magic_eraser.db.database import Database
from magic_eraser.db.upgrade import MIGRATIONS, revisions
from table_rows import LATER, ROWS

for room in (
    "db.blobs",
    "jobs.tables",
    "usage.tables",
    "service.idempotency.tables",
    "accounts.tables",
    "billing.tables",
):
    importlib.import_module(f"magic_eraser.{room}")


def config(connection: sa.Connection | None = None) -> Config:
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    made.attributes["connection"] = connection
    return made


def test_what_the_steps_make_is_what_the_tables_declare(open_database: Open):
    def differences(connection: sa.Connection) -> list:
        options = {"compare_type": True, "compare_server_default": True}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        flat = [change for each in found for change in (each if isinstance(each, list) else [each])]
        return [change for change in flat if "comment" not in change[0]]  # those are for readers of the code

    async def story():
        async with open_database() as database, database.read() as connection:
            assert await connection.run_sync(differences) == []

    asyncio.run(story())


def test_every_step_is_on_the_one_way_to_the_newest():
    script = ScriptDirectory.from_config(config())
    assert script.get_heads() == [revisions()[-1]]
    walked = [step.revision for step in script.walk_revisions()]
    assert sorted(walked) == revisions()
    assert len(list((MIGRATIONS / "versions").glob("r*.py"))) == len(walked)


def test_a_row_of_every_table_is_kept_by_every_step_up(open_database: Open):
    """Down to nothing, up to each revision, rows into what is there by then, then up to the newest."""

    async def story():
        async with open_database() as database:
            await alembic(database, command.downgrade, "base")
            assert await tables(database) == {"alembic_version"}
            await alembic(database, command.upgrade, revisions()[0])
            await insert(database, ROWS)
            await alembic(database, command.upgrade, "head")
            await insert(database, LATER)
            async with database.read() as connection:
                for name, row in (ROWS | LATER).items():
                    table = metadata.tables[name]
                    found = (await connection.execute(sa.select(*(table.c[column] for column in row)))).one()
                    assert found._asdict() == row

    asyncio.run(story())


def test_down_and_up_again_ends_with_the_same_tables(open_database: Open):
    async def story():
        async with open_database() as database:
            before = await tables(database)
            await insert(database, ROWS | LATER)
            for step in reversed(revisions()):
                await alembic(database, command.downgrade, "base" if step == revisions()[0] else "-1")
            await alembic(database, command.upgrade, "head")
            assert await tables(database) == before

    asyncio.run(story())


def test_every_declared_table_has_a_row_in_these_tests():
    assert set(ROWS | LATER) == set(metadata.tables)


@pytest.mark.parametrize("name", ["audit_log", "ledger_entries", "subscription_events"])
@pytest.mark.parametrize("deed", ["UPDATE {} SET at = 0", "DELETE FROM {}"])
def test_what_is_append_only_cannot_be_changed_by_anybody(open_database: Open, name: str, deed: str):
    async def story():
        async with open_database() as database:
            await insert(database, LATER)
            with pytest.raises(sa.exc.DBAPIError, match="append-only"):
                async with database.write() as connection:
                    await connection.execute(sa.text(deed.format(name)))

    asyncio.run(story())


def test_the_day_of_an_event_told_before_there_were_days_is_its_day(open_database: Open):
    async def story():
        async with open_database() as database:
            await alembic(database, command.downgrade, "0001")
            event = ROWS["usage_events"] | {"at": 1_795_478_400.0}
            await insert(database, {"usage_events": event})
            await alembic(database, command.upgrade, "head")
            async with database.read() as connection:
                events = metadata.tables["usage_events"]
                assert await connection.scalar(sa.select(events.c.day)) == "2026-11-24"

    asyncio.run(story())


def test_the_steps_come_with_the_package():
    package = resources.files("magic_eraser.db")
    for name in ("env.py", "versions/r0001_first.py"):
        assert (package / "migrations" / name).is_file()


async def alembic(database: Database, do, target: str) -> None:
    async with database.write() as connection:
        await connection.run_sync(lambda sync: do(config(sync), target))


async def insert(database: Database, rows: dict) -> None:
    async with database.write() as connection:
        for name, row in rows.items():
            await connection.execute(sa.insert(metadata.tables[name]).values(row))


async def tables(database: Database) -> set[str]:
    async with database.read() as connection:
        return set(await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names()))

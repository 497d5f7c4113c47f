"""What a database is for this program, and how it becomes the newest: on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from magic_eraser.db.database import Database
from magic_eraser.db.upgrade import MIGRATIONS, State, check, prepare, revision, revisions, upgrade
from magic_eraser.errors import SettingsError
from magic_eraser.jobs.tables import job_items, jobs
from table_rows import ROWS

HEAD = revisions()[-1]


async def set_revision(database: Database, value: str) -> None:
    async with database.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = :value"), {"value": value})


def run(url: str, story) -> None:
    async def told():
        database = Database(url, timeout_seconds=1)
        try:
            await story(database)
        finally:
            await database.close()

    asyncio.run(told())


class TestUpgrade:
    def test_an_empty_one_becomes_the_newest_and_then_there_is_nothing_to_do(self, empty_database_url):
        async def story(database: Database):
            assert await revision(database) is None
            assert (await check(database)).state is State.EMPTY
            done = await upgrade(database)
            assert (done.before, done.after, done.copy) == (None, HEAD, None)
            assert await revision(database) == HEAD
            assert (await check(database)).state is State.CURRENT
            again = await upgrade(database)
            assert (again.before, again.after) == (HEAD, HEAD)

        run(empty_database_url, story)

    def test_servers_that_start_at_once_upgrade_it_once(self, empty_database_url):
        context = multiprocessing.get_context("spawn")
        with context.Pool(3) as pool:
            done = pool.map(upgrade_in_a_process, [empty_database_url] * 3)
        assert sorted(done, key=str) == [HEAD, HEAD, None]

    def test_tasks_that_upgrade_at_once_do_it_once(self, empty_database_url):
        async def story(database: Database):
            done = await asyncio.gather(*(upgrade(database) for _ in range(4)))
            assert [each.before for each in done].count(None) == 1

        run(empty_database_url, story)

    def test_a_newer_one_is_refused_and_left_alone(self, database_url):
        async def story(database: Database):
            await set_revision(database, "9999")
            found = await check(database)
            assert (found.state, found.revision, found.head) == (State.NEWER, "9999", HEAD)
            with pytest.raises(SettingsError, match=r"newer version \(9999\).*upgrade magic-eraser"):
                await upgrade(database)
            with pytest.raises(SettingsError, match="newer version"):
                await prepare(database, upgrade_on_start=True)
            assert await revision(database) == "9999"

        run(database_url, story)

    def test_tables_of_something_else_are_told_and_left_alone(self, empty_database_url):
        async def story(database: Database):
            async with database.write() as connection:
                await connection.execute(sa.text("CREATE TABLE usage_events (theirs INTEGER)"))
            with pytest.raises(SettingsError, match=r"cannot be upgraded: .*usage_events.* already exists"):
                await upgrade(database)
            async with database.read() as connection:
                names = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
            assert names == ["usage_events"]  # all of it or nothing

        run(empty_database_url, story)

    def test_to_look_whether_it_is_the_newest_takes_a_moment_and_no_alembic(self, database_url):
        async def story(database: Database):
            await database.ping()
            begin = time.process_time()
            for _ in range(20):
                await prepare(database, upgrade_on_start=True)
            assert (time.process_time() - begin) / 20 < 0.02

        run(database_url, story)
        program = "import sys, magic_eraser.db.upgrade; sys.exit('alembic' in sys.modules)"
        subprocess.run([sys.executable, "-c", program], check=True)


class TestStart:
    def test_an_empty_one_is_made_ready_and_where_that_is_off_the_way_out_is_told(self, empty_database_url):
        async def story(database: Database):
            with pytest.raises(SettingsError, match="is empty; run: magic-eraser db upgrade"):
                await prepare(database, upgrade_on_start=False)
            assert (await prepare(database, upgrade_on_start=True)).before is None
            assert (await prepare(database, upgrade_on_start=False)).before == HEAD

        run(empty_database_url, story)

    def test_an_unreachable_one_is_told_without_its_password_and_within_the_timeout(self, tmp_path):
        async def story(database: Database):
            assert (await check(database)).state is State.UNREACHABLE
            begin = time.monotonic()
            with pytest.raises(SettingsError, match="Connect call failed") as told:
                await prepare(database, upgrade_on_start=True)
            assert time.monotonic() - begin < 4
            assert "secret" not in str(told.value)
            with pytest.raises(SettingsError, match="Connect call failed"):
                await upgrade(database)

        run("postgresql://somebody:secret@127.0.0.1:1/name", story)

        async def broken(database: Database):
            with pytest.raises(SettingsError, match="not a database"):
                await prepare(database, upgrade_on_start=True)

        (tmp_path / "rubbish").write_bytes(b"rubbish" * 1000)
        run(f"sqlite:///{tmp_path / 'rubbish'}", broken)

    def test_one_locked_by_another_process_is_told(self, tmp_path):
        path = tmp_path / "eraser.db"

        async def story(database: Database):
            with pytest.raises(SettingsError, match="locked"):
                await prepare(database, upgrade_on_start=True)

        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("PRAGMA locking_mode=EXCLUSIVE")
            holder.execute("BEGIN EXCLUSIVE")
            run(f"sqlite:///{path}", story)


class TestSqliteFile:
    def test_to_look_at_a_file_that_is_not_there_does_not_make_it(self, tmp_path):
        path = tmp_path / "new" / "eraser.db"

        async def story(database: Database):
            assert (await check(database)).state is State.EMPTY
            assert not path.parent.exists()
            await upgrade(database)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600  # what people sent is in it

        run(f"sqlite:///{path}", story)


STEP = """
import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = "{before}"


def upgrade():
    with op.batch_alter_table("jobs", recreate="always" if op.get_bind().dialect.name == "sqlite" else "auto") as jobs:
        jobs.add_column(sa.Column("note", sa.Text))
    {more}


def downgrade():
    pass
"""


@pytest.fixture
def later_steps(tmp_path) -> Path:
    """A later version of this program: one more step, which on SQLite copies `jobs`, drops it and renames the copy."""
    return steps(tmp_path, "pass")


def steps(tmp_path: Path, more: str) -> Path:
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    number = f"{int(HEAD) + 1:04}"
    text = STEP.format(number=number, before=HEAD, more=more)
    (folder / "versions" / f"r{number}_later.py").write_text(text)
    return folder


async def add_job(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(sa.insert(jobs).values(ROWS["jobs"]))
        await connection.execute(sa.insert(job_items).values(ROWS["job_items"]))


async def count_items(database: Database) -> int | None:
    async with database.read() as connection:
        return await connection.scalar(sa.select(sa.func.count()).select_from(job_items))


class TestOlder:
    def test_it_is_upgraded_with_all_that_is_in_it(self, database_url, later_steps):
        async def story(database: Database):
            await add_job(database)
            assert (await check(database, later_steps)).state is State.BEHIND
            with pytest.raises(SettingsError, match=f"is of version {HEAD}.*run: magic-eraser db upgrade"):
                await prepare(database, upgrade_on_start=False, migrations=later_steps)
            done = await prepare(database, upgrade_on_start=True, migrations=later_steps)
            assert (done.before, int(done.after)) == (HEAD, int(HEAD) + 1)
            assert (done.copy is not None) == database.is_sqlite
            assert await count_items(database) == 1  # dropping `jobs` took no item with it
            async with database.read() as connection:
                assert await connection.scalar(sa.text("SELECT note FROM jobs")) is None
            assert (await check(database)).state is State.NEWER  # for the program as it was

        run(database_url, story)

    def test_of_sqlite_a_copy_is_kept_with_what_was_only_in_the_log(self, sqlite_url, later_steps):
        async def story(database: Database):
            await add_job(database)  # the connection stays open: it is in eraser.db-wal
            done = await upgrade(database, later_steps)
            assert done.copy == Path(f"{database.path}.before-{HEAD}")
            kept = Database(f"sqlite:///{done.copy}")
            try:
                assert (await check(kept)).state is State.CURRENT
                assert await count_items(kept) == 1
            finally:
                await kept.close()

        run(sqlite_url, story)

    def test_a_step_that_fails_changes_nothing(self, database_url, tmp_path):
        folder = steps(tmp_path, 'op.execute("SELECT * FROM no_such_table")')

        async def story(database: Database):
            await add_job(database)
            with pytest.raises(SettingsError, match=r"cannot be upgraded: .*no_such_table"):
                await upgrade(database, folder)
            assert await revision(database) == HEAD
            assert await count_items(database) == 1
            with pytest.raises(sa.exc.DBAPIError):
                async with database.read() as connection:
                    await connection.execute(sa.text("SELECT note FROM jobs"))

        run(database_url, story)

    def test_a_step_that_would_leave_rows_pointing_to_nothing_changes_nothing(self, sqlite_url, tmp_path):
        folder = steps(tmp_path, 'op.execute("DELETE FROM jobs")')

        async def story(database: Database):
            await add_job(database)
            with pytest.raises(SettingsError, match="point to nothing"):
                await upgrade(database, folder)
            assert await count_items(database) == 1
            assert await revision(database) == HEAD

        run(sqlite_url, story)


def upgrade_in_a_process(url: str) -> str | None:
    async def told() -> str | None:
        database = Database(url)
        try:
            return (await upgrade(database)).before
        finally:
            await database.close()

    return asyncio.run(told())

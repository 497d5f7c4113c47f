"""The version of the schema: what it is, and how it becomes the newest.

A revision is a number of four digits; `alembic_version` in the database names the one it is of. What is asked at every
start reads that table alone; alembic (0.2 s to import) is for when there is something to do.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.db.database import WRITES, Database
from magic_eraser.db.faults import reason
from magic_eraser.errors import SettingsError, StorageFull, StorageUnavailable

LONGEST_SECONDS = 600.0
"""Limit of one step of an upgrade, and of waiting for another server's."""

MIGRATIONS = Path(__file__).parent / "migrations"
"""Folder of the steps; every function takes another."""

_ADVISORY_LOCK = 0x6D61676963  # "magic"; held in PostgreSQL by the server that upgrades


class State(StrEnum):
    CURRENT = "current"
    BEHIND = "behind"
    NEWER = "newer"
    EMPTY = "empty"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Check:
    """What a database is, for this program. `reason`: why it is unreachable."""

    database: str
    state: State
    revision: str | None
    head: str
    reason: str = ""

    def sentence(self) -> str:
        """One line for the operator."""
        told = {
            State.CURRENT: f"is up to date (version {self.revision}).",
            State.BEHIND: f"is of version {self.revision}, this program of {self.head}; run: magic-eraser db upgrade",
            State.NEWER: f"is of a newer version ({self.revision}) than this program knows ({self.head}); "
            "upgrade magic-eraser, or restore the copy made before that version",
            State.EMPTY: "is empty; run: magic-eraser db upgrade",
            State.UNREACHABLE: f"cannot be used: {self.reason}",
        }
        return f"The database {self.database} {told[self.state]}"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What was done: from which revision (None: it was empty) to which, and where a copy of the old file is."""

    before: str | None
    after: str
    copy: Path | None = None


def revisions(migrations: Path = MIGRATIONS) -> list[str]:
    """Every revision that this program knows, oldest first."""
    names = (path.name for path in (migrations / "versions").iterdir())
    return sorted(found[1] for name in names if (found := re.fullmatch(r"r(\d{4})_\w+\.py", name)))


async def revision(database: Database) -> str | None:
    """The revision that the database is of; None where it is empty.

    Raises:
        StorageUnavailable: it cannot be read.
    """
    if database.path is not None and not database.path.exists():
        return None  # to connect would make the file
    async with database.read() as connection:
        return await _revision(connection)


async def check(database: Database, migrations: Path = MIGRATIONS) -> Check:
    """Never raises for what a database can be."""
    known = revisions(migrations)
    try:
        found = await revision(database)
    except StorageUnavailable as error:
        return Check(str(database), State.UNREACHABLE, None, known[-1], reason(error))
    if found is None:
        state = State.EMPTY
    elif found == known[-1]:
        state = State.CURRENT
    else:
        state = State.BEHIND if found in known else State.NEWER
    return Check(str(database), state, found, known[-1])


async def upgrade(database: Database, migrations: Path = MIGRATIONS) -> Upgrade:
    """Bring the schema to the newest revision: all of it or nothing. Whoever comes meanwhile waits, then finds it done.
    Before a file of SQLite changes, a copy of it is kept beside it: `eraser.db.before-REVISION`.

    Raises:
        SettingsError: it is of a newer version, out of reach, read-only, or holds tables of something else.
        StorageFull: no room for the copy, or for the new tables.
    """
    found = await check(database, migrations)
    if found.state is State.CURRENT:
        return Upgrade(found.revision, found.head)
    if found.state in {State.NEWER, State.UNREACHABLE}:
        raise SettingsError(found.sentence())
    if database.path is not None:
        database.path.parent.mkdir(parents=True, exist_ok=True)
        database.path.touch(mode=0o600)
    try:
        async with _alone(database) as connection:
            before = await _revision(connection)
            if before is not None and before not in revisions(migrations):
                raise SettingsError(Check(str(database), State.NEWER, before, found.head).sentence())
            copy = None
            if before not in {None, found.head} and database.path is not None:
                copy = await asyncio.to_thread(_copy, database.path, f"{database.path}.before-{before}")
            if before != found.head:
                await connection.run_sync(_to_head, migrations)
    except (exc.DBAPIError, StorageUnavailable) as error:
        raise SettingsError(f"The database {database} cannot be upgraded: {reason(error)}") from error
    return Upgrade(before, found.head, copy)


async def prepare(
    database: Database, *, upgrade_on_start: bool, migrations: Path = MIGRATIONS, apart: bool = False
) -> Upgrade:
    """Make it ready for a server that starts; PostgreSQL that starts beside us is waited for (`timeout_seconds`).

    Args:
        apart: upgrade in a process of its own: what alembic takes (7 MiB) would stay for the server's life.

    Raises:
        SettingsError, StorageFull: see `upgrade`; or it is older and not to be upgraded here. The sentence says what to
            type.
    """
    found = await _check_with_patience(database, migrations)
    if found.state is State.CURRENT:
        return Upgrade(found.revision, found.head)
    if not upgrade_on_start:
        raise SettingsError(found.sentence())
    return await (_upgrade_apart(database, found) if apart else upgrade(database, migrations))


async def _upgrade_apart(database: Database, found: Check) -> Upgrade:
    command = (sys.executable, "-m", "magic_eraser", "db", "upgrade")
    url = database.url.render_as_string(hide_password=False)
    child = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "ERASER_DATABASE__URL": url},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _told, faults = await child.communicate()
    if child.returncode != 0:
        raise SettingsError(faults.decode(errors="replace").strip().removeprefix("magic-eraser: "))
    return Upgrade(found.revision, found.head)


async def _check_with_patience(database: Database, migrations: Path) -> Check:
    end = time.monotonic() + (0 if database.is_sqlite else database.timeout_seconds)
    while True:
        found = await check(database, migrations)
        if found.state is not State.UNREACHABLE or time.monotonic() >= end:
            return found
        await asyncio.sleep(0.5)


async def _revision(connection: AsyncConnection) -> str | None:
    if connection.dialect.name == "sqlite":
        there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    else:
        there = "SELECT to_regclass('alembic_version')::text"
    if await connection.scalar(sa.text(there)) is None:
        return None
    found = await connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[AsyncConnection]:
    """The one transaction at a time that changes tables."""
    url = database.url.render_as_string(hide_password=False)
    own = Database(url, timeout_seconds=LONGEST_SECONDS, pool_size=1)
    try:
        async with own.read() as connection:
            if (
                own.is_sqlite
            ):  # not possible within a transaction, and with them on, a batch deletes what points to it
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                await (await driver.execute("PRAGMA foreign_keys=OFF")).close()
            await connection.execution_options(**{WRITES: True})
            async with connection.begin():
                if not own.is_sqlite:
                    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
                yield connection
    finally:
        await own.close()


def _to_head(connection: sa.Connection, migrations: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise SettingsError("The upgrade would leave rows that point to nothing; please report this.")


def _copy(path: Path, target: str) -> Path:
    """A whole copy, by SQLite itself: what lies in the write-ahead log is in it."""
    part = Path(f"{target}.part")
    part.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        shutil.copymode(path, part)
        os.replace(part, target)
    except (sqlite3.Error, OSError) as error:
        part.unlink(missing_ok=True)
        raise StorageFull(f"A copy of the database cannot be kept at {target}: {error}") from error
    return Path(target)

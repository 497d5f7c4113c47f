"""Fixtures of real databases, for every test (a plugin of tests/conftest.py).

    def test_something(open_database):                    # runs twice: on SQLite and on PostgreSQL
        async def story():
            async with open_database() as database:       # magic_eraser.db.database.Database, schema in place, empty
                async with database.write() as connection:
                    ...
        asyncio.run(story())

- `open_database(**options)`: an async context manager, to be used inside the test's own `asyncio.run` (an engine
  belongs to one event loop). Call it twice in one test for two servers on the same data. `options` go to `Database`.
- `database_url`: the URL of that same database, for a server in a process of its own (`ERASER_DATABASE__URL`).
- `empty_database_url`: the same without a schema.
- `sqlite_url`, `open_sqlite`: SQLite only. The one choice of unit tests, which may open no sockets.
- `postgres_url`: a server's maintenance database; for tests of PostgreSQL only: `new_postgres_url`, a database of the
  test's own, schema in place.
- `redis_url`: a Redis that others use at the same time: never flush or stop it, and name keys by something random.

`ERASER_TEST_DATABASE_URL` and `ERASER_TEST_REDIS_URL` name the servers; else those on the standard ports are used, and
where nobody answers there, private ones are started (tests/private_servers.py). For faults (stop, kill, freeze), tests
start a `PrivatePostgres` or `PrivateRedis` of their own.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from magic_eraser.db.database import Database
from magic_eraser.db.upgrade import upgrade
from private_servers import PrivatePostgres, PrivateRedis, redis_answers

Open = Callable[..., AbstractAsyncContextManager[Database]]


SHAPE = """
SELECT md5(string_agg(what, ',' ORDER BY what)) FROM (
  SELECT concat_ws(' ', 'schema', nspname) AS what FROM pg_namespace WHERE nspname !~ '^pg_'
  UNION ALL SELECT concat_ws(' ', 'relation', relnamespace::regnamespace, relname, relkind::text) FROM pg_class
    WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
  UNION ALL SELECT concat_ws(' ', 'column', attrelid::regclass, attname, atttypid, attnotnull) FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema)' AND attnum > 0
  UNION ALL SELECT concat_ws(' ', 'function', oid::regprocedure, md5(prosrc)) FROM pg_proc
    WHERE pronamespace::regnamespace::text !~ '^(pg_|information_schema)'
  UNION ALL SELECT concat_ws(' ', 'trigger', tgrelid::regclass, tgname, tgenabled::text) FROM pg_trigger
    WHERE NOT tgisinternal
  UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE conrelid <> 0 AND connamespace::regnamespace::text !~ '^(pg_|information_schema)'
  UNION ALL SELECT concat_ws(' ', 'setting', unnest(setconfig)) FROM pg_db_role_setting
    JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()
  UNION ALL SELECT concat_ws(' ', 'version', version_num) FROM alembic_version
) AS everything
"""
"""Of a database: a test that changed it leaves it to nobody else."""
EMPTY = """
DO $$ DECLARE name text; BEGIN
  SET LOCAL session_replication_role = replica;  -- no trigger, not even of what is append-only
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP;
  FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER SEQUENCE %I RESTART', name);
  END LOOP;
END $$
"""
UNCLOCKED = """
ALTER DATABASE {database} RESET ALL;
DROP FUNCTION IF EXISTS public.clock_timestamp();
DROP TABLE IF EXISTS public.test_clock
"""
"""What `database_clock` puts into a database goes."""
OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class PostgresDatabases:
    """Databases made and dropped on one server; those with a schema are copies of a template made once. One that a test
    leaves as it was goes empty to the next: to make and drop one takes half a second, to empty it a few hundredths."""

    def __init__(self, server_url: str) -> None:
        self._server = make_url(server_url).set(drivername="postgresql")
        self._name = f"eraser_test_{secrets.token_hex(5)}"
        self._count = 0
        self._template: str | None = None
        self._shape: str | None = None
        self._free: list[str] = []

    def create(self) -> str:
        """URL of a new, empty one."""
        self._count += 1
        name = f"{self._name}_{self._count}"
        asyncio.run(self._tell(f"CREATE DATABASE {name}"))
        return self._url(name)

    def create_with_schema(self) -> str:
        if self._template is None:
            url = self.create()
            asyncio.run(make_schema(url))
            self._template = make_url(url).database
            self._shape = asyncio.run(self._ask(url, SHAPE))
        if self._free:
            return self._free.pop()
        self._count += 1
        name = f"{self._name}_{self._count}"
        asyncio.run(self._tell(f"CREATE DATABASE {name} TEMPLATE {self._template}"))
        return self._url(name)

    def give_back(self, url: str) -> None:
        """For the next test; dropped where somebody is still in it, or it is not as it was made."""
        try:
            free = asyncio.run(self._emptied(url))
        except (OSError, asyncpg.PostgresError):
            free = False
        if free:
            self._free.append(url)
        else:
            self.drop(url)

    def drop(self, url: str) -> None:
        asyncio.run(self._tell(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)"))

    def close(self) -> None:
        for url in self._free:
            self.drop(url)
        if self._template is not None:
            self.drop(self._url(self._template))

    def _url(self, name: str) -> str:
        return self._server.set(database=name).render_as_string(hide_password=False)

    async def _emptied(self, url: str) -> bool:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(UNCLOCKED.format(database=make_url(url).database))
        finally:
            await connection.close()
        connection = await asyncpg.connect(url)
        try:
            if await connection.fetchval(OTHERS) or await connection.fetchval(SHAPE) != self._shape:
                return False
            await connection.execute(EMPTY)
            return True
        finally:
            await connection.close()

    async def _ask(self, url: str, query: str) -> str | None:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def _tell(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server.render_as_string(hide_password=False))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


async def make_schema(url: str) -> None:
    """What the newest version of the product puts into an empty database."""
    database = Database(url)
    try:
        await upgrade(database)
    finally:
        await database.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    given = os.environ.get("ERASER_TEST_DATABASE_URL")
    if given:
        yield given
        return
    usual = "postgresql://postgres@127.0.0.1:5432/postgres"
    if asyncio.run(_may_create_databases(usual)):
        yield usual
        return
    with PrivatePostgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    given = os.environ.get("ERASER_TEST_REDIS_URL")
    if given:
        yield given
    elif redis_answers(6379):
        yield "redis://127.0.0.1:6379/0"
    else:
        with PrivateRedis() as server:
            yield server.url


@pytest.fixture(scope="session")
def postgres_databases(postgres_url) -> Iterator[PostgresDatabases]:
    databases = PostgresDatabases(postgres_url)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("template") / "eraser.db"
    asyncio.run(make_schema(f"sqlite:///{path}"))
    return path


@pytest.fixture
def sqlite_url(sqlite_template, tmp_path) -> str:
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'eraser.db')}"


@pytest.fixture
def new_postgres_url(postgres_databases) -> Iterator[str]:
    url = postgres_databases.create_with_schema()
    yield url
    postgres_databases.give_back(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request) -> str:
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "new_postgres_url")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request, tmp_path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'eraser.db'}"
        return
    databases = request.getfixturevalue("postgres_databases")
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture
def open_database(database_url) -> Open:
    return _opener(database_url)


@pytest.fixture
def open_sqlite(sqlite_url) -> Open:
    return _opener(sqlite_url)


def _opener(url: str) -> Open:
    @asynccontextmanager
    async def opened(**options) -> AsyncIterator[Database]:
        database = Database(url, **options)
        try:
            yield database
        finally:
            await database.close()

    return opened


async def _may_create_databases(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    try:
        return await connection.fetchval(
            "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
        )
    finally:
        await connection.close()

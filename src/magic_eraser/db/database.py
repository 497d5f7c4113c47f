"""Connections and transactions, the same for SQLite and PostgreSQL; what goes wrong is one of our errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from magic_eraser.errors import SettingsError, StorageFull, StorageUnavailable

WRITES = "magic_eraser_writes"
"""Execution option of a connection whose transaction takes SQLite's write lock at its beginning."""


class Database:
    """One engine. Does no I/O until the first transaction.

    Args:
        url: `sqlite:///path` or `postgresql://...`; without a driver's name, ours is put in.
        timeout_seconds: longest wait for a connection, or for a lock.
        pool_size: connections kept to PostgreSQL.

    Raises:
        SettingsError: the address is of neither, or the driver is not installed.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 10.0, pool_size: int = 10) -> None:
        self.url = _with_driver(url)
        self.timeout_seconds = timeout_seconds
        self.engine = _engine(self.url, timeout_seconds, pool_size)
        self._writing = asyncio.Lock() if self.is_sqlite else None

    @classmethod
    def in_folder(cls, folder: Path, *, timeout_seconds: float = 10.0) -> Database:
        """SQLite in the file `eraser.db` of a folder, which must exist by the first transaction."""
        return cls(f"sqlite:///{folder.absolute() / 'eraser.db'}", timeout_seconds=timeout_seconds)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads.

        Raises:
            StorageUnavailable: the database cannot be reached, or is locked for longer than the timeout.
        """
        async with self._connection() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed at the end of the block, rolled back where it raises. On SQLite it
        holds the write lock from its beginning (`BEGIN IMMEDIATE`), so that it cannot fail half-way for want of it.

        Raises:
            StorageUnavailable: see `read`.
            StorageFull: no room.
        """
        # in turn, where SQLite itself would let everybody try again and again
        async with self._writing or nullcontext(), self._connection() as connection:
            await connection.execution_options(**{WRITES: True})
            async with connection.begin():
                yield connection

    async def ping(self) -> None:
        """Raises `StorageUnavailable` where nobody answers."""
        async with self.read() as connection:
            await connection.execute(sa.select(1))

    async def close(self) -> None:
        """Close every connection; the next transaction opens new ones."""
        await self.engine.dispose()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        try:
            connection = await self.engine.connect()
        except (
            exc.SQLAlchemyError,
            OSError,
            TimeoutError,
        ) as error:  # the drivers let a refused socket through as it is
            raise translate(error) from error
        try:
            yield connection
        except exc.SQLAlchemyError as error:
            raise translate(error) from error
        finally:
            await asyncio.shield(connection.close())


def translate(error: Exception) -> Exception:
    """A driver's failure as `StorageFull` or `StorageUnavailable`; any other (a defect of ours) as it is."""
    if isinstance(error, exc.DBAPIError):
        cause = error.orig
        message = str(cause).lower()
        if "is full" in message or getattr(cause, "sqlstate", None) == DISK_FULL:
            return StorageFull()
        if isinstance(error, (exc.OperationalError, exc.InterfaceError)) or error.connection_invalidated:
            return StorageUnavailable()
        return error
    if isinstance(error, (exc.TimeoutError, OSError, TimeoutError)):
        return StorageUnavailable()
    return error


DISK_FULL = "53100"
"""SQLSTATE of PostgreSQL, class 53: insufficient resources."""


def _with_driver(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise SettingsError("ERASER_DATABASE__URL: not an address of a database") from None
    drivers = {
        "sqlite": "sqlite+aiosqlite",
        "postgresql": "postgresql+asyncpg",
        "postgres": "postgresql+asyncpg",
    }
    driver = drivers.get(parsed.drivername.partition("+")[0])
    if driver is None:
        raise SettingsError(f"ERASER_DATABASE__URL: sqlite or postgresql, not {parsed.drivername}")
    if driver.endswith("asyncpg") and find_spec("asyncpg") is None:
        raise SettingsError("ERASER_DATABASE__URL: PostgreSQL needs: pip install 'magic-eraser[postgres]'")
    return parsed.set(drivername=driver)


def _engine(url: URL, timeout_seconds: float, pool_size: int) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout_seconds,
            pool_pre_ping=True,
            connect_args={"timeout": timeout_seconds, "command_timeout": 3 * timeout_seconds},
        )
    engine = create_async_engine(url, connect_args={"timeout": timeout_seconds}, pool_timeout=timeout_seconds)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin_sqlite` does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

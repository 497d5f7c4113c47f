"""Connections and transactions, the same for SQLite and PostgreSQL; what goes wrong is one of our errors."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from magic_eraser.db.address import parse
from magic_eraser.db.faults import translate
from magic_eraser.errors import EraserError, StorageUnavailable

WRITES = "magic_eraser_writes"
"""Execution option of a connection whose transaction takes SQLite's write lock at its beginning."""


class Database:
    """One engine. Does no I/O until the first transaction; may be built anywhere, and is used in one event loop.

    Args:
        url: `sqlite:///path` or `postgresql://...`; without a driver's name, ours is put in.
        timeout_seconds: longest wait for a connection, for a lock, or for the answer to one statement.
        pool_size: connections kept to PostgreSQL.

    Raises:
        SettingsError: the address is of neither, or the driver is not installed.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 10.0, pool_size: int = 10) -> None:
        self.url = parse(url)
        self.timeout_seconds = timeout_seconds
        self.engine = _engine(self.url, timeout_seconds, pool_size)
        self._writing = asyncio.Lock() if self.is_sqlite else None

    @classmethod
    def in_folder(cls, folder: Path, *, timeout_seconds: float = 10.0) -> Database:
        """SQLite in the file `eraser.db` of a folder, which must exist by the first transaction."""
        path = folder.absolute() / "eraser.db"
        url = URL.create("sqlite", database=str(path)).render_as_string()  # a `?` in the path stays one
        return cls(url, timeout_seconds=timeout_seconds)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path | None:
        """The file of SQLite; None for PostgreSQL."""
        return Path(str(self.url.database)) if self.is_sqlite else None

    def __str__(self) -> str:
        """The address for people, without its password."""
        return str(self.path or self.url.set(drivername="postgresql").render_as_string(hide_password=True))

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
        holds the write lock from its beginning (`BEGIN IMMEDIATE`), so that it cannot fail half-way for want of it;
        a second `write` of the same task within the block would wait for the first until the timeout.

        Raises:
            StorageUnavailable: see `read`.
            StorageFull: no room.
        """
        async with self._turn(), self._connection() as connection:
            await connection.execution_options(**{WRITES: True})
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def joined(self, within: AsyncConnection | None) -> AsyncIterator[AsyncConnection]:
        """The caller's transaction, which the caller ends; one of its own, see `write`, where there is none."""
        if within is not None:
            yield within
            return
        async with self.write() as own:
            yield own

    async def ping(self) -> None:
        """Raises `StorageUnavailable` where nobody answers."""
        async with self.read() as connection:
            await connection.execute(sa.select(1))

    async def close(self) -> None:
        """Close every connection; the next transaction opens new ones."""
        await self.engine.dispose()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Writers of SQLite one after the other, where the library would let everybody try again and again."""
        if self._writing is None:
            yield
            return
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await self._writing.acquire()
        except TimeoutError as error:
            raise StorageUnavailable from error
        try:
            yield
        finally:
            self._writing.release()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        async with (
            AsyncExitStack() as stack
        ):  # closes to the end, however often the task is cancelled meanwhile
            try:
                async with asyncio.timeout(self.timeout_seconds):
                    connection = await stack.enter_async_context(self.engine.connect())
            except (exc.SQLAlchemyError, OSError) as error:  # of a refused socket the driver makes nothing
                raise translate(error) or error from error
            yield connection


class _Connection(sqlite3.Connection):
    """Of SQLite. A statement that was cancelled half-way may still be open when its connection is closed, and keep the
    write lock until it is collected: one cancelled write in twenty locked everybody out until the timeout."""

    def close(self) -> None:
        with suppress(sqlite3.Error):
            if self.in_transaction:
                self.rollback()
        super().close()


def _engine(url: URL, timeout_seconds: float, pool_size: int) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        options = {"timeout": timeout_seconds, "factory": _Connection}
        engine = create_async_engine(url, connect_args=options, pool_timeout=timeout_seconds)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    else:
        limits = {
            "lock_timeout": f"{int(timeout_seconds * 1000)}ms",
            "idle_in_transaction_session_timeout": "60s",  # a server whose machine died holds no lock for ever
        }
        engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout_seconds,
            pool_pre_ping=True,
            connect_args={
                "timeout": timeout_seconds,
                "command_timeout": timeout_seconds + 1,  # what waits for a lock hears that from the server
                "server_settings": {"application_name": "magic-eraser", **limits},
            },
        )
    event.listen(engine.sync_engine, "handle_error", _on_error)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin_sqlite` does
    cursor = connection.cursor()
    # FULL: a job that was accepted is not lost with the power; 0.2 ms a transaction, NORMAL takes 0.01 ms
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _on_error(context: ExceptionContext) -> EraserError | None:
    if context.is_pre_ping:
        return None
    error = context.original_exception
    if isinstance(error, OSError):  # TimeoutError among them: what comes next would be an answer to this
        context.is_disconnect = True
    return translate(context.sqlalchemy_exception or error)

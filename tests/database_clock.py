"""A database's clock that tests set: on SQLite a function in place of its own, on PostgreSQL one that is found before
the system's."""

from __future__ import annotations

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import make_url

from magic_eraser.db.database import Database


class Clock:
    """`await clock.set(seconds)`: what `db.base.now()` is from now on, for every connection of the `Database`s it was
    given to; it stands still between."""

    def __init__(self, url: str, at: float) -> None:
        self._url = make_url(url)
        self.at = at

    async def prepare(self) -> None:
        """Before the first connection."""
        if self._url.get_backend_name() == "sqlite":
            return
        name = self._url.database
        await self._tell(
            "CREATE TABLE IF NOT EXISTS test_clock (at double precision)",
            "DELETE FROM test_clock",
            "INSERT INTO test_clock VALUES (0)",
            "CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
            "$$ SELECT to_timestamp(at) FROM public.test_clock $$",
            f"ALTER DATABASE {name} SET search_path = public, pg_catalog",
        )
        await self.set(self.at)

    def wind(self, database: Database) -> None:
        """Make it that database's."""
        if database.is_sqlite:
            event.listen(database.engine.sync_engine, "connect", self._into)

    async def set(self, at: float) -> None:
        self.at = at
        if self._url.get_backend_name() != "sqlite":
            await self._tell(f"UPDATE test_clock SET at = {at!r}")

    async def pass_by(self, seconds: float) -> None:
        await self.set(self.at + seconds)

    def _into(self, connection, _record) -> None:
        connection.create_function("julianday", 1, lambda _when: self.at / 86400 + 2440587.5)

    async def _tell(self, *statements: str) -> None:
        url = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

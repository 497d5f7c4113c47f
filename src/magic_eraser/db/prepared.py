"""Statements that every request executes: compiled once, and on SQLite one step into the driver's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import exc
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.db.faults import translate


class Prepared:
    """One statement; every value that changes is a `bindparam`.

    SQLAlchemy's cursor goes into the thread of SQLite's driver for each of its steps (make, execute, fetch, close), 50
    µs each, more where cores are busy: to reserve and settle a call took 5.2 ms so, and takes 2.4
    (benchmarks/quota.py).

    Args:
        statement: of Core. On SQLite its types must need no conversion: text, whole numbers and floats.
        is_sqlite: of the database on which it is executed.
    """

    def __init__(self, statement: Any, *, is_sqlite: bool) -> None:
        self._statement = statement
        self._sql: str | None = None
        if is_sqlite:
            compiled = statement.compile(dialect=sqlite.dialect())
            self._sql = str(compiled)
            self._names: list[str] = list(compiled.positiontup or ())
            self._constants: dict[str, Any] = dict(compiled.params)

    async def rows(self, within: AsyncConnection, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Execute it. What it returns, as tuples; nothing where it has no `RETURNING` and is no query.

        Raises:
            StorageUnavailable, StorageFull: as from any statement.
            sqlalchemy.exc.IntegrityError: a constraint of a table refused it.
        """
        if self._sql is None:
            result = await within.execute(self._statement, values)
            return result.all() if result.returns_rows else ()
        given = {**self._constants, **(values or {})}
        driver: Any = (await within.get_raw_connection()).driver_connection
        try:
            rows = await driver.execute_fetchall(self._sql, [given[name] for name in self._names])
        except sqlite3.Error as error:
            told = exc.DBAPIError.instance(self._sql, None, error, sqlite3.Error)
            raise translate(told) or told from error
        return list(rows)


def first(rows: Sequence[Any]) -> Any:
    """The first of them; None where there is none."""
    return rows[0] if rows else None

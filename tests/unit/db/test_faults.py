"""Failures of drivers, told as ours."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import exc

from magic_eraser.db.faults import reason, translate
from magic_eraser.errors import StorageFull, StorageUnavailable


def of_postgres(sqlstate: str) -> exc.DBAPIError:
    cause = Exception("in its words")
    cause.sqlstate = sqlstate
    return exc.DBAPIError(None, None, cause)


def of_sqlite(code: int) -> exc.DBAPIError:
    cause = sqlite3.OperationalError("in its words")
    cause.sqlite_errorcode = code
    return exc.DBAPIError(None, None, cause)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (of_postgres("53100"), StorageFull),
        (of_postgres("53300"), StorageUnavailable),  # too many connections
        (of_postgres("57P03"), StorageUnavailable),  # still starting
        (of_postgres("28P01"), StorageUnavailable),  # its password was changed
        (of_postgres("25006"), StorageUnavailable),  # a replica answers
        (of_postgres("40P01"), StorageUnavailable),  # deadlock
        (of_postgres("23505"), None),  # not unique: an answer
        (of_postgres("42P01"), None),  # no such table: a defect
        (of_sqlite(sqlite3.SQLITE_FULL), StorageFull),
        (of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), StorageUnavailable),
        (of_sqlite(sqlite3.SQLITE_READONLY), StorageUnavailable),
        (of_sqlite(sqlite3.SQLITE_CORRUPT), StorageUnavailable),
        (of_sqlite(sqlite3.SQLITE_IOERR_WRITE), StorageUnavailable),
        (of_sqlite(sqlite3.SQLITE_ERROR), None),
        (exc.DBAPIError(None, None, Exception(), connection_invalidated=True), StorageUnavailable),
        (exc.TimeoutError("no connection free"), StorageUnavailable),
        (TimeoutError(), StorageUnavailable),
        (ConnectionRefusedError(111, "refused"), StorageUnavailable),
        (exc.InvalidRequestError("ours"), None),
        (ZeroDivisionError(), None),
    ],
)
def test_each_is_told_as_what_it_is(error, told):
    found = translate(error)
    assert (type(found) if found is not None else None) is told
    assert found is None or found.retry_after


def test_the_reason_is_the_first_cause_in_one_line():
    first = OSError("no route\nand more")
    last = StorageUnavailable()
    last.__cause__ = RuntimeError("between")
    last.__cause__.__cause__ = first
    assert reason(last) == "no route"
    assert reason(TimeoutError()) == "TimeoutError"

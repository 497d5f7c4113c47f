"""What goes wrong in a database, told as one of our errors, and why, in one line for the operator."""

from __future__ import annotations

from sqlalchemy import exc

from magic_eraser.errors import EraserError, StorageFull, StorageUnavailable

_SQLITE_FULL = frozenset({13, 4874})
"""FULL, and IOERR_SHMSIZE: no room for the few KiB of `eraser.db-shm`, without which a file cannot be opened."""

_SQLITE_AWAY = frozenset({3, 5, 6, 7, 8, 10, 11, 14, 15, 22, 23, 26})
"""sqlite.org/rescode.html: PERM, BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, CANTOPEN, PROTOCOL, NOLFS, AUTH,
NOTADB. Not ERROR, by which it tells a faulty statement: a defect of ours."""

_POSTGRES_FULL = "53100"
_POSTGRES_AWAY = ("08", "28", "3D", "53", "57", "58", "XX001", "XX002", "25006", "40001", "40P01", "55P03")
"""SQLSTATEs, by how they begin: no connection, no entrance, no such database, no resources, the operator stepped in
(or a time limit did), the disk fails, corrupt, read-only (a replica), conflicts, a lock not had in time."""


def translate(error: BaseException) -> EraserError | None:
    """`StorageFull` or `StorageUnavailable` for a failure of the database or of the way to it; None for any other,
    which is a defect of ours or, as `IntegrityError`, an answer."""
    if isinstance(error, exc.DBAPIError) and error.orig is not None:
        return _of_driver(error.orig, invalidated=error.connection_invalidated)
    if isinstance(error, (exc.TimeoutError, OSError)):
        return StorageUnavailable()
    return None


def _of_driver(cause: BaseException, *, invalidated: bool) -> EraserError | None:
    sqlite = getattr(cause, "sqlite_errorcode", None)
    postgres = getattr(cause, "sqlstate", None)
    if postgres == _POSTGRES_FULL or sqlite in _SQLITE_FULL:
        return StorageFull()
    away = (
        invalidated
        or (sqlite is not None and sqlite & 0xFF in _SQLITE_AWAY)
        or (postgres is not None and postgres.startswith(_POSTGRES_AWAY))
        or isinstance(cause, ConnectionError)
    )
    return StorageUnavailable() if away else None


def reason(error: BaseException) -> str:
    """The first cause, in one line, in the driver's words."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = (str(error).splitlines() or [""])[0]
    return line or type(error).__name__

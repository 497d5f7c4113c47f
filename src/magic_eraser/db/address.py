"""The address of a database, as people write it, for our drivers."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.util import find_spec

from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url

from magic_eraser.errors import SettingsError

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}


def parse(url: str) -> URL:
    """Args:
        url: `sqlite:///path` or `postgresql://user:password@host/name?sslmode=require`.

    Raises:
        SettingsError: it is of neither, names no file, has an unknown option, or the driver is not installed. The
            sentence never holds a password.
    """
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):  # the latter of a port that is no number
        raise SettingsError(
            "ERASER_DATABASE__URL: not an address; write postgresql://user:password@host/name or sqlite:///path"
        ) from None
    driver = _DRIVERS.get(parsed.get_backend_name())
    if driver is None:
        raise SettingsError(f"ERASER_DATABASE__URL: sqlite or postgresql, not {parsed.drivername}")
    parsed = parsed.set(drivername=driver)
    return _postgres(parsed) if driver.endswith("asyncpg") else _sqlite(parsed)


def _sqlite(url: URL) -> URL:
    if url.database in {None, "", ":memory:"} or url.host:
        raise SettingsError("ERASER_DATABASE__URL: name a file, as in sqlite:////var/lib/eraser/eraser.db")
    return url


def _postgres(url: URL) -> URL:
    if find_spec("asyncpg") is None:
        raise SettingsError("ERASER_DATABASE__URL: PostgreSQL needs: pip install 'magic-eraser[postgres]'")
    query = dict(url.query)
    if (
        "sslmode" in query
    ):  # libpq's name, by which providers hand out their addresses; the values are the same
        query["ssl"] = query.pop("sslmode")
    unknown = query.keys() - inspect.signature(import_module("asyncpg").connect).parameters.keys()
    if unknown:
        raise SettingsError(f"ERASER_DATABASE__URL: unknown option {', '.join(sorted(unknown))}")
    if "password" in query:  # another way of libpq's; in its own place it is never shown
        url = url.set(password=str(query.pop("password")))
    return url.set(query=query)

"""The address of a database, as people write it."""

from __future__ import annotations

import pytest

from magic_eraser.db.address import parse
from magic_eraser.db.database import Database
from magic_eraser.errors import SettingsError


@pytest.mark.parametrize(
    ("written", "driver"),
    [
        ("sqlite:////var/lib/eraser.db", "sqlite+aiosqlite"),
        ("sqlite+pysqlite:///eraser.db", "sqlite+aiosqlite"),
        ("postgresql://u:p@host/name", "postgresql+asyncpg"),
        ("postgresql+psycopg2://u:p@host/name", "postgresql+asyncpg"),
    ],
)
def test_our_drivers_are_put_in(written, driver):
    assert parse(written).drivername == driver


def test_the_short_name_that_hosts_hand_out_is_understood():
    assert parse("postgres://u:p@host/name?sslmode=require").query == {"ssl": "require"}
    assert parse("postgres://u:p@host/name").drivername == "postgresql+asyncpg"


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("", "not an address"),
        ("eraser.db", "not an address"),
        ("postgresql://u:secret@host:port/name", "not an address"),
        ("mysql://u:secret@host/name", "not mysql"),
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
        ("sqlite://eraser.db", "name a file"),
        ("postgresql://u:secret@host/name?sslmod=require", "unknown option sslmod"),
    ],
)
def test_what_is_none_is_refused_without_its_password(written, word):
    with pytest.raises(SettingsError, match=word) as told:
        parse(written)
    assert "ERASER_DATABASE__URL" in str(told.value)
    assert "secret" not in str(told.value)


def test_a_database_never_shows_its_password():
    database = Database("postgresql://u:secret@host:5432/name")
    assert str(database) == "postgresql://u:***@host:5432/name"
    assert "secret" not in repr(database.url)
    assert database.path is None


def test_a_password_among_the_options_is_not_shown_either():
    database = Database("postgresql://u@host/name?password=secret&sslmode=require")
    assert str(database) == "postgresql://u:***@host/name?ssl=require"
    assert database.url.password == "secret"


def test_a_folder_may_be_called_anything(tmp_path):
    folder = tmp_path / "what? 100% & #1 ü"
    database = Database.in_folder(folder)
    assert database.path == folder / "eraser.db"
    assert str(database) == str(folder / "eraser.db")

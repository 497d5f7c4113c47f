"""`magic-eraser users` and `magic-eraser keys`, as an operator types them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from databases import Open
from magic_eraser.accounts.deeds import newest
from magic_eraser.accounts.keys import Keys
from magic_eraser.accounts.pepper import Pepper

PEPPER = "a pepper that both the test and the command know"
KEY = r"eras_live_[0-9A-Za-z]{43}"
Eraser = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def eraser(database_url) -> Eraser:
    def typed(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = {
            "ERASER_DATABASE__URL": database_url,
            "ERASER_AUTH__KEY_PEPPER": PEPPER,
            "ERASER_AUTH__MODE": "required",
            "LOGNAME": "carla",
            "COLUMNS": "120",
        }
        done = subprocess.run(
            [sys.executable, "-m", "magic_eraser", *arguments],
            env={**os.environ, **given, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return typed


def right(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_user_from_the_first_day_to_the_last(eraser, open_database: Open):
    added = right(eraser("users", "add", "alice", "--email", "a@b.example", "--plan", "basic"))
    assert 'Added "alice" on the plan "basic"' in added
    assert "disabled" in right(eraser("users", "disable", "alice"))
    (alice,) = json.loads(right(eraser("users", "list", "--json")))
    assert (alice["id"], alice["email"], alice["plan"], alice["role"]) == (
        "alice", "a@b.example", "basic", "user",
    )  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", alice["disabled_at"])
    assert "alice (disabled)" in right(eraser("users", "list"))
    assert json.loads(right(eraser("users", "enable", "alice", "--json")))["disabled_at"] is None
    assert json.loads(right(eraser("users", "set-role", "alice", "admin", "--json")))["role"] == "admin"
    assert json.loads(right(eraser("users", "set-plan", "alice", "pro", "--json")))["plan"] == "pro"

    async def deeds() -> list[tuple[str, str]]:
        async with open_database() as database:
            return [(deed.actor, deed.action) for deed in await newest(database, limit=50, target="alice")]

    told = asyncio.run(deeds())
    assert {actor for actor, _ in told} == {"cli:carla"}
    assert {"user.add", "user.disable", "user.enable", "user.role"} <= {action for _, action in told}


def test_a_key_is_all_that_stands_on_standard_output(eraser, open_database: Open):
    right(eraser("users", "add", "alice"))
    done = eraser("keys", "create", "alice", "--name", "web shop", "--scope", "erase", "--expires-days", "2")
    assert re.fullmatch(KEY + "\n", right(done))
    key = done.stdout.strip()
    assert "Keep it" in done.stderr
    assert key not in done.stderr

    async def good():
        async with open_database() as database:
            return await Keys(database, Pepper(PEPPER.encode()))(key)

    identity = asyncio.run(good())
    assert (identity.user_id, identity.scopes) == ("alice", {"erase"})

    listed = right(eraser("keys", "list", "alice", "--json"))
    (facts,) = json.loads(listed)
    assert (facts["id"], facts["name"], facts["ending"]) == (identity.subject, "web shop", key[-4:])
    assert (facts["scopes"], facts["made_by"], facts["revoked_at"]) == (["erase"], "cli:carla", None)
    table = right(eraser("keys", "list", "alice"))
    assert facts["id"] in table
    assert f"...{key[-4:]}" in table
    assert f"until {facts['expires_at'][:10]}" in table
    assert key[10:40] not in listed + table


def test_a_key_is_rotated_and_revoked(eraser):
    right(eraser("users", "add", "alice"))
    old = json.loads(right(eraser("keys", "create", "alice", "--json")))
    assert re.fullmatch(KEY, old["key"])
    assert old["scopes"] == ["account", "account:read", "erase", "jobs"]
    done = eraser("keys", "rotate", old["id"], "--overlap-hours", "0.5")
    assert re.fullmatch(KEY + "\n", right(done))
    assert done.stdout.strip() != old["key"]
    new, before = json.loads(right(eraser("keys", "list", "alice", "--json")))
    assert before["id"] == old["id"]
    assert before["replaced_by"] == new["id"]
    assert before["expires_at"] is not None
    again = eraser("keys", "rotate", old["id"])
    assert (again.returncode, again.stdout) == (1, "")
    assert new["id"] in again.stderr
    assert "is revoked" in right(eraser("keys", "revoke", new["id"]))
    assert "revoked 2" in right(eraser("keys", "list", "alice"))


def test_a_list_of_users_is_cut_and_says_so(eraser):
    for name in ("a1", "a2", "b1"):
        right(eraser("users", "add", name))
    first = eraser("users", "list", "--limit", "2", "--json")
    assert [user["id"] for user in json.loads(right(first))] == ["a1", "a2"]
    assert "--after a2" in first.stderr
    rest = eraser("users", "list", "--limit", "2", "--after", "a2", "--json")
    assert [user["id"] for user in json.loads(right(rest))] == ["b1"]
    assert rest.stderr == ""
    found = json.loads(right(eraser("users", "list", "--search", "A", "--json")))
    assert [user["id"] for user in found] == ["a1", "a2"]


def test_what_cannot_be_is_one_sentence_and_an_exit_code(eraser):
    right(eraser("users", "add", "alice"))
    key = right(eraser("keys", "create", "alice")).strip()
    for code, said, *typed in (
        (1, 'already a user "alice"', "users", "add", "alice"),
        (1, 'no user "bob"', "users", "disable", "bob"),
        (1, 'no user "bob"', "users", "set-plan", "bob", "pro"),
        (1, 'no user "bob"', "keys", "create", "bob"),
        (1, 'no user "bob"', "keys", "list", "bob"),
        (1, "no admin", "keys", "create", "alice", "--scope", "admin"),
        (1, "no key", "keys", "revoke", "0" * 22),
        (1, "no key", "keys", "revoke", key),
        (2, "cannot be the id", "users", "add", "a b"),
        (2, "no plan", "users", "add", "carol", "--plan", "gold"),
        (2, "no plan", "users", "set-plan", "alice", "gold"),
        (2, "email", "users", "add", "carol", "--email", "nowhere"),
        (2, "king", "users", "set-role", "alice", "king"),
        (2, "fly", "keys", "create", "alice", "--scope", "fly"),
        (2, "days", "keys", "create", "alice", "--expires-days", "0"),
        (2, "name", "keys", "create", "alice", "--name", ""),
        (2, "168", "keys", "rotate", "0" * 22, "--overlap-hours", "169"),
    ):
        done = eraser(*typed)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert said in done.stderr
        assert key not in done.stderr


def test_where_nobody_asks_for_keys_that_is_said(eraser):
    right(eraser("users", "add", "alice"))
    done = eraser("keys", "create", "alice", ERASER_AUTH__MODE="off")
    assert re.fullmatch(KEY + "\n", right(done))
    assert "ERASER_AUTH__MODE is off" in done.stderr


def test_without_a_database_it_says_what_to_type(eraser, tmp_path):
    done = eraser("users", "list", ERASER_DATABASE__URL="", ERASER_DATA_DIR=str(tmp_path / "none"))
    assert done.returncode == 1
    assert "magic-eraser db upgrade" in done.stderr
    assert not (tmp_path / "none").exists()


def test_with_postgresql_keys_need_a_pepper(eraser, database_url, tmp_path):
    right(eraser("users", "add", "alice"))
    done = eraser(
        "keys", "create", "alice", ERASER_AUTH__KEY_PEPPER="", ERASER_DATA_DIR=str(tmp_path / "data")
    )
    if database_url.startswith("sqlite"):
        right(done)
        assert (tmp_path / "data/key_pepper").stat().st_mode & 0o777 == 0o600
    else:
        assert (done.returncode, done.stdout) == (1, "")
        assert "ERASER_AUTH__KEY_PEPPER" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("users",), ("users", "add"), ("users", "list"), ("users", "set-plan"), ("users", "disable"),
        ("users", "enable"), ("users", "set-role"), ("keys",), ("keys", "create"), ("keys", "list"),
        ("keys", "revoke"), ("keys", "rotate"),
    ],
)  # fmt: skip
def test_help_has_an_example_and_imports_no_database(command):
    program = (
        f"import sys; sys.argv = ['magic-eraser', *{command!r}, '--help']\n"
        "from magic_eraser.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'sqlalchemy', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "Example: " in done.stdout

"""`magic-eraser users` and `magic-eraser keys`, as an operator types them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from databases import Open
from magic_eraser.accounts.deeds import newest
from magic_eraser.accounts.keys.keys import Keys
from magic_eraser.accounts.keys.pepper import Pepper
from magic_eraser.billing.tables import subscriptions
from magic_eraser.cli.main import main
from magic_eraser.db.base import now

PEPPER = "a pepper that both the test and the command know"
KEY = r"eras_live_[0-9A-Za-z]{43}"


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Eraser = Callable[..., Done]


@pytest.fixture
def typed_at(monkeypatch, capsys) -> Callable[[str], Eraser]:
    """The command line on the database of a URL, within this process: a second saved for each command."""

    def at(url: str) -> Eraser:
        def typed(*arguments: str, **environment: str) -> Done:
            for name, value in {**settings_of(url), **environment}.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setattr(sys, "argv", ["magic-eraser", *arguments])
            code = 0
            try:
                main()
            except SystemExit as ended:
                code = ended.code or 0
            return Done(code, *capsys.readouterr())

        return typed

    return at


def settings_of(url: str) -> dict[str, str]:
    return {
        "ERASER_DATABASE__URL": url,
        "ERASER_AUTH__KEY_PEPPER": PEPPER,
        "ERASER_AUTH__MODE": "required",
        "LOGNAME": "carla",
        "COLUMNS": "120",
    }


@pytest.fixture
def eraser(typed_at, database_url) -> Eraser:
    return typed_at(database_url)


@pytest.fixture
def sqlite_eraser(typed_at, sqlite_url) -> Eraser:
    return typed_at(sqlite_url)


def right(done: Done) -> str:
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
    done = eraser("keys", "create", "alice", "--name", "web shop", "--scope", "erase", "--expires-in", "2d")
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
    done = eraser("keys", "rotate", old["id"], "--overlap", "30m")
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


def test_an_admin_is_told_how_to_get_a_key_that_may_all(sqlite_eraser):
    added = right(sqlite_eraser("users", "add", "root", "--role", "admin"))
    assert "keys create root --scope all" in added
    made = json.loads(right(sqlite_eraser("keys", "create", "root", "--scope", "all", "--json")))
    assert made["scopes"] == ["account", "account:read", "admin", "erase", "jobs"]
    right(sqlite_eraser("users", "add", "alice"))
    assert "--scope all" in right(sqlite_eraser("users", "set-role", "alice", "admin"))
    assert "--scope" not in right(sqlite_eraser("users", "set-role", "alice", "user"))


def test_a_list_of_users_is_cut_and_says_so(sqlite_eraser):
    for name in ("a1", "a2", "b1"):
        right(sqlite_eraser("users", "add", name))
    first = sqlite_eraser("users", "list", "--limit", "2", "--json")
    assert [user["id"] for user in json.loads(right(first))] == ["a1", "a2"]
    assert "--after a2" in first.stderr
    rest = sqlite_eraser("users", "list", "--limit", "2", "--after", "a2", "--json")
    assert [user["id"] for user in json.loads(right(rest))] == ["b1"]
    assert rest.stderr == ""
    found = json.loads(right(sqlite_eraser("users", "list", "--search", "A", "--json")))
    assert [user["id"] for user in found] == ["a1", "a2"]


def test_what_cannot_be_is_one_sentence_and_an_exit_code(sqlite_eraser):
    right(sqlite_eraser("users", "add", "alice"))
    key = right(sqlite_eraser("keys", "create", "alice")).strip()
    for code, said, *typed in (
        (1, 'already a user "alice"', "users", "add", "alice"),
        (1, 'no user "bob"', "users", "disable", "bob"),
        (1, 'no user "bob"', "users", "set-plan", "bob", "pro"),
        (1, 'no user "bob"', "keys", "create", "bob"),
        (1, 'no user "bob"', "keys", "list", "bob"),
        (1, "no admin", "keys", "create", "alice", "--scope", "admin"),
        (1, "no admin", "keys", "create", "alice", "--scope", "all"),
        (1, "no key", "keys", "revoke", "0" * 22),
        (1, "no key", "keys", "revoke", key),
        (2, "cannot be the id", "users", "add", "a b"),
        (2, "no plan", "users", "add", "carol", "--plan", "gold"),
        (2, "no plan", "users", "set-plan", "alice", "gold"),
        (2, "email", "users", "add", "carol", "--email", "nowhere"),
        (2, "king", "users", "set-role", "alice", "king"),
        (2, "fly", "keys", "create", "alice", "--scope", "fly"),
        (2, "days", "keys", "create", "alice", "--expires-in", "0"),
        (2, "is not a time such as", "keys", "create", "alice", "--expires-in", "soon"),
        (2, "name", "keys", "create", "alice", "--name", ""),
        (2, "604800", "keys", "rotate", "0" * 22, "--overlap", "8d"),
    ):
        done = sqlite_eraser(*typed)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert said in done.stderr
        assert key not in done.stderr


def test_who_is_charged_at_stripe_is_not_moved_while_stripe_cannot_be_told(sqlite_eraser, open_sqlite: Open):
    stripe = {
        "ERASER_BILLING__PROVIDER": "stripe",
        "ERASER_BILLING__STRIPE_KEY": "sk_test_0123456789",
        "ERASER_BILLING__STRIPE_WEBHOOK_SECRET": "whsec_0123456789",
        "ERASER_BILLING__STRIPE_API_BASE": "http://127.0.0.1:1",
    }
    for name in ("alice", "bob"):
        right(sqlite_eraser("users", "add", name, "--plan", "basic"))

    async def subscribe():
        async with open_sqlite() as database, database.write() as connection:
            await connection.execute(
                subscriptions.insert().values(
                    user_id="alice",
                    plan="basic",
                    state="active",
                    period_start=now(),
                    period_end=now() + 86_400,
                    provider="stripe",
                    customer_ref="cus_1",
                    provider_ref="sub_1",
                    updated_at=now(),
                )
            )

    asyncio.run(subscribe())
    done = sqlite_eraser("users", "set-plan", "alice", "pro", **stripe)
    assert (done.returncode, done.stdout) == (1, "")
    assert "sk_test" not in done.stderr
    right(sqlite_eraser("users", "set-plan", "bob", "pro", **stripe))  # nobody charges bob
    plans = {user["id"]: user["plan"] for user in json.loads(right(sqlite_eraser("users", "list", "--json")))}
    assert plans == {"alice": "basic", "bob": "pro"}


def test_where_nobody_asks_for_keys_that_is_said(sqlite_eraser):
    right(sqlite_eraser("users", "add", "alice"))
    done = sqlite_eraser("keys", "create", "alice", ERASER_AUTH__MODE="off")
    assert re.fullmatch(KEY + "\n", right(done))
    assert "ERASER_AUTH__MODE is off" in done.stderr


def test_the_first_user_makes_the_database_as_the_server_would(sqlite_eraser, tmp_path):
    here = {
        "ERASER_DATABASE__URL": "",
        "ERASER_DATA_DIR": str(tmp_path / "data"),
        "ERASER_AUTH__KEY_PEPPER": "",
    }
    right(sqlite_eraser("users", "add", "alice", **here))
    key = right(sqlite_eraser("keys", "create", "alice", **here)).strip()
    assert (tmp_path / "data/key_pepper").stat().st_mode & 0o777 == 0o600
    assert key.encode() not in (tmp_path / "data/eraser.db").read_bytes()


def test_a_database_that_is_out_of_reach_is_one_sentence(sqlite_eraser):
    done = sqlite_eraser("users", "list", ERASER_DATABASE__URL="postgresql://a:secret@127.0.0.1:1/b")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be used" in done.stderr
    assert "secret" not in done.stderr


def test_with_postgresql_keys_need_a_pepper(typed_at, new_postgres_url, tmp_path):
    eraser = typed_at(new_postgres_url)
    right(eraser("users", "add", "alice"))
    done = eraser(
        "keys", "create", "alice", ERASER_AUTH__KEY_PEPPER="", ERASER_DATA_DIR=str(tmp_path / "data")
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "ERASER_AUTH__KEY_PEPPER" in done.stderr
    assert not (tmp_path / "data").exists()


def test_help_has_examples_and_imports_no_database():
    program = """
import sys
from magic_eraser.cli.main import main
for verbs in ("users", "users add", "users list", "users set-plan", "users disable", "users enable", "users set-role",
              "keys", "keys create", "keys list", "keys revoke", "keys rotate"):
    sys.argv = ["magic-eraser", *verbs.split(), "--help"]
    try:
        main()
    except SystemExit:
        pass
sys.exit(bool({"sqlalchemy", "rich", "structlog"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.count("Example: ") == 12


def test_in_a_shell_a_key_goes_into_a_variable_and_nothing_else(sqlite_eraser, sqlite_url):
    right(sqlite_eraser("users", "add", "alice"))
    line = f'KEY=$("{sys.executable}" -m magic_eraser keys create alice) && printf "<%s>" "$KEY"'
    done = subprocess.run(
        ["sh", "-c", line],
        env={**os.environ, **settings_of(sqlite_url)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(f"<{KEY}>", done.stdout)
    assert re.fullmatch(r'Key "\w{22}" \(key\) of "alice"\. Keep it: it is not shown again\.\n', done.stderr)

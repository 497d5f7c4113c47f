"""`magic-eraser tokens`, as an operator types it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time

import pytest
import sqlalchemy as sa

from databases import Open
from issuer import SECRET
from magic_eraser.accounts.plan_files import plan_file
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.principal import USER_SCOPES, Scope
from magic_eraser.accounts.tables import Role, audit_log
from magic_eraser.accounts.tokens.tokens import Tokens
from magic_eraser.accounts.users import Users
from magic_eraser.settings import AuthSettings


def eraser(url: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "magic_eraser", "tokens", *arguments],
        env={**os.environ, "ERASER_DATABASE__URL": url, "ERASER_AUTH__JWT_SECRET": SECRET, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done


def seconds_of(token: str) -> float:
    import jwt

    claims = jwt.decode(token, options={"verify_signature": False})
    return claims["exp"] - claims["iat"]


@pytest.fixture
def people(open_database: Open):
    """alice, a user; root, an admin; gone, who is disabled."""

    async def make():
        async with open_database() as database:
            users = Users(database, Plans(plan_file.read(None)))
            await users.add("alice", actor="test")
            await users.add("root", role=Role.ADMIN, actor="test")
            await users.add("gone", actor="test")
            await users.disable("gone", actor="test")

    asyncio.run(make())


def judge(token: str):
    return asyncio.run(Tokens(AuthSettings(jwt_secret=SECRET))(token))


def test_a_token_is_made_shown_once_and_noted(people, open_database: Open, database_url):
    done = eraser(database_url, "issue", "alice")
    token = done.stdout.strip()
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert 'for "alice": account, account:read, erase, jobs.' in done.stderr
    identity = judge(token)
    assert (identity.user_id, identity.scopes) == ("alice", USER_SCOPES)
    assert seconds_of(token) == pytest.approx(3600, abs=1)

    async def noted():
        async with open_database() as database, database.read() as connection:
            query = sa.select(audit_log).where(audit_log.c.action == "token.issue")
            return (await connection.execute(query)).one()

    row = asyncio.run(noted())
    assert row.target == "alice"
    assert row.actor.startswith("cli:")
    assert row.details.keys() == {"id", "scopes", "expires_at"}
    assert token.split(".")[2] not in str(row)


def test_scopes_and_time_as_asked_for_programs(people, database_url):
    done = eraser(
        database_url, "issue", "root", "--scope", "erase", "--scope", "admin", "--expires-in", "12h", "--json"
    )
    facts = json.loads(done.stdout)
    assert facts.keys() == {"token", "user", "id", "scopes", "expires_at"}
    assert facts["scopes"] == ["admin", "erase"]
    assert judge(facts["token"]).scopes == {Scope.ADMIN, Scope.ERASE}
    assert seconds_of(facts["token"]) == pytest.approx(12 * 3600, abs=1)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nobody"], 1, 'There is no user "nobody"'),
        (["gone"], 1, 'The account "gone" is disabled'),
        (["alice", "--scope", "erase", "--scope", "admin"], 1, 'The user "alice" is no admin'),
        (["alice", "--scope", "all"], 1, 'The user "alice" is no admin'),
        (["alice", "--scope", "erase", "--scope", "fly"], 2, "fly"),
        (["alice", "--expires-in", "soon"], 2, "is not a time such as"),
        (["alice", "--expires-in", "10"], 2, "60 to 31622400 seconds, not 10"),
        (["alice", "--expires-in", "400d"], 2, "60 to 31622400 seconds"),
    ],
)
def test_what_cannot_be_is_said(people, database_url, arguments, code, said):
    done = eraser(database_url, "issue", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in " ".join(done.stderr.split())


def test_without_a_secret_there_are_no_tokens(people, database_url):
    done = eraser(database_url, "issue", "alice", ERASER_AUTH__JWT_SECRET="")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Set ERASER_AUTH__JWT_SECRET first" in done.stderr


def test_all_tokens_of_a_user_are_refused(people, open_database: Open, database_url):
    before = time.time()
    done = eraser(database_url, "revoke-all", "alice")
    assert done.returncode == 0
    assert 'Tokens of "alice" that were issued before 20' in done.stdout
    facts = json.loads(eraser(database_url, "revoke-all", "alice", "--json").stdout)
    assert facts.keys() == {"user", "refused_before"}
    assert eraser(database_url, "revoke-all", "nobody").returncode == 1

    async def after():
        async with open_database() as database:
            return (await Users(database, Plans(plan_file.read(None))).get("alice")).tokens_after

    assert before - 1 < asyncio.run(after()) < time.time() + 1


@pytest.mark.parametrize("command", [(), ("issue",), ("revoke-all",)])
def test_every_command_has_help_with_an_example(command, sqlite_url):
    done = eraser(sqlite_url, *command, "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout

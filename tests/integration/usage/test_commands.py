"""`magic-eraser usage report` and `plans check --users`, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import subprocess
import sys

import pytest

from databases import Open
from magic_eraser.accounts.plan_files.plan_file import read
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.tables import users
from magic_eraser.db.base import now
from magic_eraser.usage.event import UsageEvent
from magic_eraser.usage.log import DatabaseUsage

DONE = (
    ("alice", "lama", 1),
    ("alice", "mat", 2),
    ("alice", "lama", 1),
    ("bob", "lama", 1),
    ("bob", "lama", 0),
)


def eraser(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "magic_eraser", *arguments],
        env={**os.environ, "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done


def told(open_database: Open) -> None:
    """Three calls of Alice's and one of Bob's, and a result from the cache."""

    async def story():
        usage = DatabaseUsage(Plans(read(None)))
        async with open_database() as database, database.write() as connection:
            for number, (tenant, model, units) in enumerate(DONE):
                event = UsageEvent(
                    "request",
                    str(number),
                    tenant,
                    "token",
                    model,
                    units,
                    amount=units * 10_000,
                    plan="basic",
                    cached=units == 0,
                    day=f"2026-11-2{number}",
                )
                await usage.record(event, connection)

    asyncio.run(story())


def test_usage_as_a_table_as_json_and_as_csv(open_database, database_url):
    told(open_database)
    days = ("--from", "2026-11-19", "--to", "2026-11-25")

    def report(*more: str) -> str:
        done = eraser("usage", "report", *days, *more, ERASER_DATABASE__URL=database_url)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    table = [line.split() for line in report().splitlines()]
    assert table[:2] == [["2026-11-19", "to", "2026-11-25"], ["DAY", "CALLS", "CACHED", "WEIGHT", "USD"]]
    assert table[2:-1][2] == ["2026-11-21", "1", "0", "2", "0.20"]
    assert table[-1] == ["total", "4", "1", "5", "0.50"]

    found = json.loads(report("--json", "--user", "alice", "--by", "model"))
    assert found["rows"] == [
        {"model": "lama", "calls": 2, "cached": 0, "units": 2, "amount": "0.20"},
        {"model": "mat", "calls": 1, "cached": 0, "units": 2, "amount": "0.20"},
    ]
    assert (found["from"], found["to"], found["by"]) == ("2026-11-19", "2026-11-25", "model")

    lines = list(csv.reader(report("--csv", "--by", "user").splitlines()))
    assert lines == [
        ["user", "calls", "cached", "units", "amount"],
        ["alice", "3", "0", "4", "0.40"],
        ["bob", "1", "1", "1", "0.10"],
    ]
    assert "token" in report("--by", "key")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--from", "yesterday"], "'yesterday' is not a day such as 2026-11-24"),
        (["--to", "2026-02-30"], "'2026-02-30' is not a day of the calendar"),
        (["--to", "20261124"], "'20261124' is not a day such as 2026-11-24"),
        (["--from", "2026-11-02", "--to", "2026-11-01"], "is after the last"),
        (["--from", "2020-01-01", "--to", "2026-11-01"], "at most 366"),
        (["--by", "month"], "is not one of"),
        (["--json", "--csv"], "choose one of"),
    ],
)
def test_wrong_usage_is_told(sqlite_url, arguments, why):
    done = eraser("usage", "report", *arguments, ERASER_DATABASE__URL=sqlite_url)
    assert done.returncode == 2
    assert why in " ".join(done.stderr.split())


def test_where_there_is_no_database_none_is_made(tmp_path):
    done = eraser("usage", "report", ERASER_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 1
    assert "magic-eraser db upgrade" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_file_of_plans_is_checked_against_the_users_of_the_database(open_database, database_url, tmp_path):
    async def story():
        async with open_database() as database, database.write() as connection:
            for user in ("alice", "bob"):
                await connection.execute(
                    users.insert().values(id=user, plan="gold", role="user", created_at=now())
                )

    asyncio.run(story())
    assert eraser("plans", "check", ERASER_DATABASE__URL=database_url).returncode == 0
    done = eraser("plans", "check", "--users", ERASER_DATABASE__URL=database_url)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'the plan "gold" is gone, but 2 users are on it' in done.stderr

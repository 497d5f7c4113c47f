"""`magic-eraser db`, as an operator types it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import sqlalchemy as sa

from databases import Open
from magic_eraser.db.upgrade import revisions

HEAD = revisions()[-1]


def eraser(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "magic_eraser", "db", *arguments],
        env={**os.environ, "ERASER_DATABASE__TIMEOUT_SECONDS": "2", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert len((done.stdout + done.stderr).splitlines()) == 1 or "--json" in arguments
    return done


def test_from_nothing_to_up_to_date(empty_database_url):
    before = eraser("check", ERASER_DATABASE__URL=empty_database_url)
    assert (before.returncode, before.stderr) == (1, "")
    assert "is empty; run: magic-eraser db upgrade" in before.stdout
    done = eraser("upgrade", ERASER_DATABASE__URL=empty_database_url)
    assert (done.returncode, done.stdout) == (0, f"Upgraded from empty to version {HEAD}.\n")
    again = eraser("upgrade", ERASER_DATABASE__URL=empty_database_url)
    assert (again.returncode, again.stdout) == (0, f"Already up to date (version {HEAD}).\n")
    after = eraser("check", "--json", ERASER_DATABASE__URL=empty_database_url)
    assert after.returncode == 0
    facts = json.loads(after.stdout)
    assert (facts["state"], facts["revision"], facts["head"], facts["reason"]) == (
        "current",
        HEAD,
        HEAD,
        None,
    )


def test_where_no_address_is_given_it_is_the_file_of_the_data_folder(tmp_path):
    done = eraser("upgrade", ERASER_DATA_DIR=str(tmp_path / "data"), ERASER_DATABASE__URL="")
    assert done.returncode == 0
    assert (tmp_path / "data/eraser.db").is_file()


def test_a_newer_one_is_refused(open_database: Open, database_url):
    async def story():
        async with open_database() as database, database.write() as connection:
            await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    asyncio.run(story())
    for command in ("check", "upgrade"):
        done = eraser(command, ERASER_DATABASE__URL=database_url)
        assert done.returncode == 1
        assert "upgrade magic-eraser" in done.stdout + done.stderr


def test_an_unreachable_one_is_told_without_its_password():
    for url in (
        "postgresql://somebody:secret@127.0.0.1:1/name",
        "postgresql://somebody:secret@127.0.0.1:port/name",
        "mysql://somebody:secret@127.0.0.1/name",
    ):
        for command in (["check"], ["check", "--json"], ["upgrade"]):
            done = eraser(*command, ERASER_DATABASE__URL=url)
            assert done.returncode == 1
            assert "secret" not in done.stdout + done.stderr
            assert "Retry-After" not in done.stdout + done.stderr


def test_help_of_the_command_imports_no_database():
    program = (
        "import sys; sys.argv = ['magic-eraser', 'db', '--help']\n"
        "from magic_eraser.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'sqlalchemy', 'alembic'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

"""`magic-eraser db`: the schema of the database."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from magic_eraser.db.upgrade import Check, Upgrade

app = typer.Typer(
    help="The database: what version it is of, and how it becomes the newest.",
    no_args_is_help=True,
    epilog="Example: magic-eraser db check",
)


@app.command(epilog="Example: magic-eraser db upgrade")
def upgrade() -> None:
    """Bring the database to this program's version; SQLite keeps a copy of the old file beside it."""
    done = asyncio.run(_upgrade())
    if done.before == done.after:
        typer.echo(f"Already up to date (version {done.after}).")
        return
    copy = f"; the old file is kept as {done.copy}" if done.copy is not None else ""
    typer.echo(f"Upgraded from {done.before or 'empty'} to version {done.after}{copy}.")


@app.command(epilog="Example: magic-eraser db check --json")
def check(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Tell whether the database can be reached, is up to date, and adds up (its counters are the sums of its ledger):
    exit 0 if so, else 1."""
    found, wrong = asyncio.run(_check())
    if as_json:
        facts = {
            "database": found.database,
            "state": found.state,
            "revision": found.revision,
            "head": found.head,
            "reason": found.reason or None,
            "ledger": wrong,
        }
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        typer.echo(found.sentence())
        if wrong is not None:
            typer.echo("\n".join(wrong) or "Calls and money add up.")
    raise typer.Exit(0 if wrong == [] else 1)


async def _upgrade() -> Upgrade:
    from magic_eraser.db import upgrade as schema
    from magic_eraser.service.storage import database_of
    from magic_eraser.settings import Settings

    database = database_of(Settings.load())
    try:
        return await schema.upgrade(database)
    finally:
        await database.close()


async def _check() -> tuple[Check, list[str] | None]:
    """What the database is, and what does not add up in it; None where that cannot be asked."""
    from magic_eraser.billing import invariants
    from magic_eraser.db import upgrade as schema
    from magic_eraser.service.storage import database_of
    from magic_eraser.settings import Settings

    database = database_of(Settings.load())
    try:
        found = await schema.check(database)
        current = found.state is schema.State.CURRENT
        return found, await invariants.check(database) if current else None
    finally:
        await database.close()

"""`magic-eraser usage`: what was used, by whom, and what it came to."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from magic_eraser.accounts.plans import PlanBook
    from magic_eraser.settings import Settings
    from magic_eraser.usage.reports import Report

app = typer.Typer(
    help="What was used, by whom, and what it came to.",
    no_args_is_help=True,
    epilog="Example: magic-eraser usage report",
)


class Rows(StrEnum):
    """Those of `usage.reports.By`, whose import would cost a tenth of a second at every --help."""

    DAY = "day"
    MODEL = "model"
    KEY = "key"
    USER = "user"


def _day(text: str) -> date:
    from magic_eraser.usage.reports import parse_day

    try:
        return parse_day(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command(epilog="Example: magic-eraser usage report --by user --from 2026-11-01 --to 2026-11-30 --csv")
def report(
    first: Annotated[
        date | None,
        typer.Option(
            "--from", parser=_day, metavar="DAY", help="First day; 30 days with the last where not given."
        ),
    ] = None,
    last: Annotated[
        date | None, typer.Option("--to", parser=_day, metavar="DAY", help="Last day; today where not given.")
    ] = None,
    by: Annotated[Rows, typer.Option(help="What the lines are.")] = Rows.DAY,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Only what this user did.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
) -> None:
    """Add up calls, results from the cache, weights and amounts, by day, model, key or user."""
    from magic_eraser.accounts.plan_files.plan_file import read
    from magic_eraser.settings import Settings

    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    settings = Settings.load()
    book = read(settings.plans_file)
    found = asyncio.run(_report(settings, book, first, last, by, user))
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    elif as_csv:
        typer.echo(found.to_csv().replace("\r\n", "\n"), nl=False)
    else:
        _print(found, book.currency)


async def _report(
    settings: Settings, book: PlanBook, first: date | None, last: date | None, by: Rows, user: str | None
) -> Report:
    from magic_eraser.accounts.plans import Plans
    from magic_eraser.cli.current_database import current_database
    from magic_eraser.errors import ValidationFailed
    from magic_eraser.usage.reports import By, Reports

    async with current_database(settings) as database:
        reports = Reports(database, Plans(book))
        try:
            return await reports.usage(By(by), first, last, tenant=user, most=None)
        except ValidationFailed as error:
            raise typer.BadParameter(error.detail) from None


def _print(found: Report, currency: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from magic_eraser.accounts.money import to_text
    from magic_eraser.usage.reports import By

    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column(str(found.by).upper(), footer="total", overflow="fold")
    if found.by is By.KEY:
        table.add_column("NAME", overflow="fold")
        table.add_column("USER", overflow="fold")
    total = found.total
    for name, value in (("CALLS", total.calls), ("CACHED", total.cached), ("WEIGHT", total.units)):
        table.add_column(name, footer=f"{value:,}", justify="right", no_wrap=True)
    table.add_column(currency.upper(), footer=to_text(total.amount), justify="right", no_wrap=True)
    for row in found.rows:
        of_key = [row.name or "", row.user or ""] if found.by is By.KEY else []
        tally = row.tally
        counts = [f"{tally.calls:,}", f"{tally.cached:,}", f"{tally.units:,}", to_text(tally.amount)]
        table.add_row(row.id, *of_key, *counts)
    console = Console(highlight=False, markup=False)
    console.print(f"{found.first} to {found.last}")
    console.print(table)

"""`magic-eraser plans`: what users may do and what it costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from magic_eraser.accounts.plans import Plan, PlanBook
    from magic_eraser.settings import Settings

app = typer.Typer(
    help="The plans of this server, from ERASER_PLANS_FILE or as they come with the program.",
    no_args_is_help=True,
    epilog="Example: magic-eraser plans show",
)


@app.command(epilog="Example: magic-eraser plans show --json")
def show(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show the plans: their price, calls, models and features."""
    from magic_eraser.accounts.plan_files.plan_file import read
    from magic_eraser.settings import Settings

    book = read(Settings.load().plans_file)
    if as_json:
        typer.echo(json.dumps(_facts(book), indent=2, ensure_ascii=False))
    else:
        _print(book)


@app.command(epilog="Example: magic-eraser plans check my-plans.toml")
def check(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A file of plans; the one in force where not given."),
    ] = None,
    users: Annotated[
        bool,
        typer.Option(
            "--users", help="Look into the database, too, whether users are on plans that are gone."
        ),
    ] = False,
) -> None:
    """Tell whether a file of plans can be used, and all that is wrong in it: exit 0 if so, else 1."""
    from magic_eraser.accounts.plan_files.plan_file import SHIPPED, read
    from magic_eraser.errors import SettingsError
    from magic_eraser.settings import Settings

    settings = Settings.load()
    path = file or settings.plans_file or SHIPPED
    try:
        book = read(path)
        if users:
            _check_users(book, path, settings)
    except SettingsError as error:  # each line begins with file and line, as editors and CI look for them
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for line in _unknown_models(book, path, settings):
        typer.echo(line, err=True)
    count = "1 plan" if len(book.plans) == 1 else f"{len(book.plans)} plans"
    retired = [plan.id for plan in book.plans.values() if plan.retired]
    away = f"; retired: {', '.join(retired)}" if retired else ""
    typer.echo(
        f"{path}: {count}, {book.default.id} by default; the day begins at midnight {book.zone.key}{away}."
    )


def _check_users(book: PlanBook, path: Path, settings: Settings) -> None:
    import asyncio

    from magic_eraser.accounts.plan_use import missing, users_by_plan
    from magic_eraser.cli.current_database import current_database

    async def used() -> dict[str, int]:
        async with current_database(settings) as database:
            return await users_by_plan(database)

    fault = missing(book, asyncio.run(used()), path)
    if fault is not None:
        raise fault


def _unknown_models(book: PlanBook, path: Path, settings: Settings) -> list[str]:
    """Not faults: a model may be added later, or be on another server of the same database."""
    from magic_eraser.models.catalog import offered
    from magic_eraser.models.weights import WeightStore

    known = offered(WeightStore.from_settings(settings.weights))
    named = {f'plan "{plan.id}"': plan.models for plan in book.plans.values()}
    named["model_weights"] = frozenset(book.weights)
    return [
        f'{path}: warning: {where}: there is no model "{model}" on this machine.'
        for where, models in named.items()
        for model in sorted(models - known.keys())
    ]


def _facts(book: PlanBook) -> dict[str, Any]:
    return {
        "default": book.default.id,
        "timezone": book.zone.key,
        "currency": book.currency,
        "weights": dict(book.weights),
        "plans": [_plan_facts(plan) for plan in book.plans.values()],
    }


def _plan_facts(plan: Plan) -> dict[str, Any]:
    from magic_eraser.accounts.money import to_text
    from magic_eraser.accounts.plans import Feature

    return {
        "id": plan.id,
        "title": plan.title,
        "title_zh": plan.title_zh,
        "price": to_text(plan.price),
        "calls_a_day": plan.calls_a_day,
        "cost_a_call": to_text(plan.cost_a_call),
        "features": [str(feature) for feature in Feature if feature in plan.features],
        "models": sorted(plan.models),
        "max_pixels": plan.max_pixels,
        "charging": str(plan.charging),
        "retired": plan.retired,
        "stripe_price": plan.stripe_price or None,
    }


def _print(book: PlanBook) -> None:
    from rich.console import Console
    from rich.table import Table

    from magic_eraser.accounts.money import to_text

    table = Table(box=None, pad_edge=False)
    table.add_column("PLAN", overflow="fold")
    for name in (f"{book.currency.upper()}/MONTH", "CALLS/DAY", "A CALL", "PIXELS"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("PAID", no_wrap=True)
    for plan in book.plans.values():
        table.add_row(
            f"{plan.id} (retired)" if plan.retired else plan.id,
            to_text(plan.price),
            "unlimited" if plan.calls_a_day is None else f"{plan.calls_a_day:,}",
            to_text(plan.cost_a_call),
            "any" if plan.max_pixels is None else f"{plan.max_pixels:,}",
            str(plan.charging),
        )
    console = Console(highlight=False, markup=False)
    console.print(table)
    for plan in book.plans.values():
        facts = _plan_facts(plan)
        console.print(f"\n{plan.title} {plan.title_zh}: {', '.join(facts['features'])}", soft_wrap=True)
        if plan.models:
            console.print(f"  models {', '.join(facts['models'])}", soft_wrap=True)
    weights = ", ".join(f"{model} {weight}" for model, weight in book.weights.items())
    console.print(
        f"\nDefault: {book.default.id}. The day begins at midnight {book.zone.key}. "
        f"Models weigh on the price of a call: {weights or 'as their cards say'}.",
        soft_wrap=True,
    )

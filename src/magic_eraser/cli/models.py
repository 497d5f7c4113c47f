"""`magic-eraser models`: what there is to erase with."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

app = typer.Typer(
    help="The models on offer.", no_args_is_help=True, epilog="Example: magic-eraser models list"
)
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list", epilog="Example: magic-eraser models list --json")
def list_models(as_json: AsJson = False) -> None:
    """List the models."""
    from magic_eraser.models.catalog import CATALOG

    cards = [entry.card for entry in CATALOG.values()]
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(card) for card in cards], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("id", "speed", "quality", "licence", "what it is for"):
        table.add_column(heading, no_wrap=heading != "what it is for")
    for card in cards:
        table.add_row(card.id, card.speed, card.quality, card.licence, card.title)
    console = Console()
    console.print(table)
    console.print('\n"auto" picks the best of these for each hole.', style="dim")


@app.command(epilog="Example: magic-eraser models show patch")
def show(model_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Show one model."""
    from magic_eraser.models.catalog import CATALOG, find

    facts = dataclasses.asdict(find(model_id, CATALOG).card)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        typer.echo(f"{name:14} {'-' if value is None else value}")

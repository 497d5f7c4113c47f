"""`magic-eraser models`: what there is to erase with, and its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from magic_eraser.cli.model_cards import Offer
    from magic_eraser.models.entry import Entry
    from magic_eraser.models.weights import Verdict, WeightStore
    from magic_eraser.settings import Settings

app = typer.Typer(
    help="The models on offer, and their weights.",
    no_args_is_help=True,
    epilog="Example: magic-eraser models list",
)
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
ModelId = Annotated[str, typer.Argument(metavar="ID", help="As in: magic-eraser models list")]


class Family(StrEnum):
    """Those of `models.added`, which would cost a tenth of a second to import at every --help."""

    LAMA = "lama"
    MIGAN = "migan"
    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    REMOTE = "remote"
    DIFFUSERS = "diffusers"


def offered(store: WeightStore) -> Mapping[str, Entry]:
    """Every model that can be asked for on this machine."""
    from magic_eraser.models import catalog

    return catalog.offered(store)


def _store(settings: Settings) -> WeightStore:
    from magic_eraser.models.weights import WeightStore

    return WeightStore.from_settings(settings.weights)


def _settings() -> Settings:
    """Read them, and keep the log off standard output, where results go."""
    import logging

    from magic_eraser.settings import Settings
    from magic_eraser.telemetry.logging import configure

    configure("warning")
    logging.getLogger("stamina").setLevel("ERROR")  # retries of a download are no news while its bar is shown
    return Settings.load()


def _offer(model_id: str, store: WeightStore, settings: Settings) -> Offer:
    from magic_eraser.cli.model_cards import offers
    from magic_eraser.models.catalog import find

    card = find(model_id, offered(store)).card
    return offers([card], store, settings.models.accepted_licences)[0]


@app.command("list", epilog="Example: magic-eraser models list --json")
def list_models(as_json: AsJson = False) -> None:
    """List the models: those that are ready, then what the others need."""
    from rich.console import Console

    from magic_eraser.cli import model_cards

    settings = _settings()
    store = _store(settings)
    cards = [entry.card for entry in offered(store).values()]
    found = model_cards.offers(cards, store, settings.models.accepted_licences)
    if as_json:
        typer.echo(
            json.dumps([model_cards.facts(offer, store) for offer in found], indent=2, ensure_ascii=False)
        )
        return
    model_cards.print_list(Console(), found)


@app.command(epilog="Example: magic-eraser models show patch")
def show(model_id: ModelId, as_json: AsJson = False) -> None:
    """Show one model: what it can do, what it needs, its files and where they lie."""
    from rich.console import Console

    from magic_eraser.cli import model_cards

    settings = _settings()
    store = _store(settings)
    offer = _offer(model_id, store, settings)
    if as_json:
        typer.echo(json.dumps(model_cards.facts(offer, store), indent=2, ensure_ascii=False))
        return
    model_cards.print_one(Console(), offer, store)


@app.command(epilog="Example: magic-eraser models download lama")
def download(
    model_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="One model or several.")],
    as_json: AsJson = False,
) -> None:
    """Download the weights of models. One that was interrupted goes on where it stopped."""
    from magic_eraser.cli.download_progress import of_download

    settings = _settings()
    store = _store(settings)
    before = [_offer(model_id, store, settings) for model_id in dict.fromkeys(model_ids)]
    try:
        with of_download() as tell:
            for offer in before:
                store.download(offer.card, tell)
    except KeyboardInterrupt:
        typer.echo("magic-eraser: stopped. What came is kept; type the same command to go on.", err=True)
        raise typer.Exit(130) from None
    if as_json:
        paths = {offer.card.id: [str(path) for path in store.paths(offer.card)] for offer in before}
        typer.echo(
            json.dumps(
                [{"id": name, "paths": found} for name, found in paths.items()], indent=2, ensure_ascii=False
            )
        )
        return
    for offer in before:
        typer.echo(_outcome(offer, _offer(offer.card.id, store, settings)))


def _outcome(before: Offer, now: Offer) -> str:
    name = now.card.id
    if now.lacks:
        return f"{name}: the weights are here. {now.lacks.message}"
    if not now.card.weights:
        return f"{name} needs no weights."
    return f"{name} is ready." if before.lacks else f"{name} was here already."


@app.command(epilog="Example: magic-eraser models verify lama")
def verify(
    model_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One model; all that are here where not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare weights with their checksums; exit 1 where a file is damaged."""
    from magic_eraser.models.catalog import find
    from magic_eraser.models.weights import Condition

    store = _store(_settings())
    catalog = offered(store)
    chosen = [find(model_id, catalog)] if model_id else list(catalog.values())
    checked = {
        entry.card.id: store.verify(entry.card)
        for entry in chosen
        if model_id or any(store.where(entry.card).values())
    }
    if as_json:
        rows = [
            {
                "id": name,
                "file": verdict.file.name,
                "path": verdict.path and str(verdict.path),
                "condition": verdict.condition,
            }
            for name, verdicts in checked.items()
            for verdict in verdicts
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        for name, verdicts in checked.items():
            for verdict in verdicts:
                typer.echo(_verdict(name, verdict))
        if not any(checked.values()):
            typer.echo("There are no weights to verify.")
    if any(verdict.condition is Condition.DAMAGED for verdicts in checked.values() for verdict in verdicts):
        raise typer.Exit(1)


def _verdict(name: str, verdict: Verdict) -> str:
    from magic_eraser.models.weights import Condition

    own = not verdict.file.url
    ways = {
        Condition.DAMAGED: f"{verdict.path} is your own: put a whole one in its place"
        if own
        else f"remove {verdict.path}, then: magic-eraser models download {name}",
        Condition.DIFFERS: "whole, but not the published file; it is used all the same",
        Condition.UNKNOWN: "there is no checksum to compare it with",
        Condition.MISSING: f"it is your own: put it back, or: magic-eraser models remove {name}"
        if own
        else f"magic-eraser models download {name}",
    }
    way = ways.get(verdict.condition, str(verdict.path))
    return f"{verdict.condition.value:8} {name}  {verdict.file.name}  {way}"


@app.command(epilog="Example: magic-eraser models remove lama")
def remove(model_id: ModelId) -> None:
    """Remove a model's weights from our folder, or a model of your own altogether."""
    from magic_eraser.models import added
    from magic_eraser.models.catalog import find
    from magic_eraser.models.download_faults import readable

    store = _store(_settings())
    if gone := added.remove(store.folder, model_id):
        typer.echo(f"{model_id} is forgotten; removed {', '.join(path.name for path in gone)}.")
        return
    done = store.remove(find(model_id, offered(store)).card)
    if done.freed:
        names = ", ".join(path.name for path in done.removed) or "an unfinished download"
        typer.echo(f"Removed {names}; {readable(done.freed)} are free again.")
    else:
        typer.echo(f"{model_id} has no weights in {store.folder}.")
    for path in done.left:
        typer.echo(f"Left {path}, which belongs to another program; {model_id} goes on using it.")


@app.command(
    epilog="Example: magic-eraser models add mine.onnx --id mine --family onnx --title 'Trained on tiles'"
)
def add(
    source: Annotated[
        str,
        typer.Argument(metavar="FILE", help="The weights; a folder for diffusers, an address for remote."),
    ],
    model_id: Annotated[str, typer.Option("--id", help="The name that requests will use.")],
    family: Annotated[Family, typer.Option(help="What runs it.")],
    title: Annotated[str, typer.Option(help="One line on what it is for.")] = "",
    licence: Annotated[str, typer.Option(help="Its licence, such as MIT.")] = "",
    key_from: Annotated[
        str, typer.Option(metavar="VARIABLE", help="Environment variable with the key of a remote server.")
    ] = "",
    copy: Annotated[
        bool, typer.Option("--copy/--link", help="Copy the file, or use it where it lies.")
    ] = True,
) -> None:
    """Add a model of your own: a file, a diffusers folder, or another server."""
    from magic_eraser.models import added

    store = _store(_settings())
    try:
        model = added.add(
            store.folder,
            model_id,
            added.Family(family),
            source,
            title=title,
            licence=licence,
            key_from=key_from,
            link=not copy,
            taken=offered(store),
        )
    except added.NotAModel as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(f"{model.id} is added. To use it: magic-eraser erase PHOTO MASK -o OUT --model {model.id}")

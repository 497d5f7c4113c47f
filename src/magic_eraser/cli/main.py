"""`magic-eraser`: one file per verb. Nothing heavy is imported before a verb runs."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from magic_eraser import __version__
from magic_eraser.cli import bench, db, erase, keys, models, plans, serve, tokens, usage, users
from magic_eraser.errors import EraserError, SettingsError

# Both are read when numpy and OpenCV are imported, and a person's own choice stands. Broken pictures are our error to
# report, once. A second BLAS thread doubles the processor time of a fill and gains nothing: requests share the cores.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(
    name="magic-eraser",
    help="Give it a photograph and a mask, get the photograph back without the object.",
    epilog="Example: magic-eraser erase photo.jpg mask.png -o clean.jpg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's costs a third of a second at every --help
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("erase", epilog=erase.EXAMPLE)(erase.erase)
app.command("serve", epilog=serve.EXAMPLE)(serve.serve)
app.command("bench", epilog=bench.EXAMPLE)(bench.bench)
app.add_typer(models.app, name="models")
app.add_typer(db.app, name="db")
app.add_typer(users.app, name="users")
app.add_typer(keys.app, name="keys")
app.add_typer(tokens.app, name="tokens")
app.add_typer(plans.app, name="plans")
app.add_typer(usage.app, name="usage")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"magic-eraser {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    Debug.on = debug


class Debug:
    """Whether the person asked for tracebacks; known only once the options are read."""

    on = False


def main() -> None:
    """The console script: exit 0 done, 1 failed, 2 wrong usage; an error is one line with what to do."""
    try:
        app()
    except (EraserError, SettingsError, OSError) as error:
        if Debug.on:
            raise
        message = error.sentence() if isinstance(error, EraserError) else str(error)
        typer.echo(f"magic-eraser: {message}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("magic-eraser: interrupted", err=True)
        sys.exit(130)

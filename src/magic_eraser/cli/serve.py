"""`magic-eraser serve`: page and API, until SIGTERM; what runs is finished first."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLE = "Example: magic-eraser serve --host 0.0.0.0 --port 7860"


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", envvar="ERASER_SERVER__HOST", show_envvar=True)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; 0 takes a free one.", envvar="ERASER_SERVER__PORT"),
    ] = None,
) -> None:
    """Serve the page and the API."""
    from magic_eraser.api.server import run
    from magic_eraser.settings import Settings

    settings = Settings.load()
    chosen = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    server = settings.server.model_copy(update=chosen)
    run(settings.model_copy(update={"server": server}))

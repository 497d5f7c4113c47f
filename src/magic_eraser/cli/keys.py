"""`magic-eraser keys`: the API keys of users."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from magic_eraser.cli.credential_options import SCOPE_HELP, ScopeName, scopes_of, seconds_of

if TYPE_CHECKING:
    from magic_eraser.accounts.keys.keys import ApiKey
    from magic_eraser.cli.accounts_link import Link

app = typer.Typer(
    help="The API keys of users.",
    no_args_is_help=True,
    epilog="Example: KEY=$(magic-eraser keys create alice)",
)
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
KeyId = Annotated[
    str,
    typer.Argument(metavar="ID", help="Of the key, as in: magic-eraser keys list USER; not the key itself."),
]


@app.command(
    epilog='Example: KEY=$(magic-eraser keys create alice --name "web shop" --scope erase --expires-in 90d)'
)
def create(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="As in: magic-eraser users list")],
    name: Annotated[str, typer.Option(help="To tell it by.")] = "key",
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option(help=SCOPE_HELP),
    ] = None,
    expires_in: Annotated[
        float | None,
        typer.Option(
            parser=seconds_of, metavar="TIME", help="3600, 90m, 12h, 30d; for ever where not given."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is printed once, alone on standard output, and cannot be shown again."""
    from magic_eraser.cli.accounts_link import through

    async def work(here: Link) -> tuple[ApiKey, str, str]:
        made, text = await here.keys().create(
            user_id, name=name, scopes=scopes_of(scope), expires_in=expires_in, actor=here.actor
        )
        return made, text, here.settings.auth.mode

    made, text, mode = through(work)
    _show(made, text, mode, as_json, f'Key "{made.id}" ({made.name}) of "{made.user_id}"')


@app.command("list", epilog="Example: magic-eraser keys list alice --json")
def list_keys(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="As in: magic-eraser users list")],
    as_json: AsJson = False,
) -> None:
    """List the keys of a user, those that work first. The keys themselves are not kept."""
    from magic_eraser.cli.accounts_link import through

    async def work(here: Link) -> list[ApiKey]:
        await here.users.get(user_id)
        return await here.keys().listing(user_id)

    found = through(work)
    if as_json:
        typer.echo(json.dumps([facts(key) for key in found], indent=2, ensure_ascii=False))
    else:
        _print(found)


@app.command(epilog="Example: magic-eraser keys revoke 3nVqk0Wm5sYt8uBzEoGxAc")
def revoke(key_id: KeyId, as_json: AsJson = False) -> None:
    """Let a key work no more. Servers that run notice within half a second; no charge is made with it any more."""
    from magic_eraser.cli.accounts_link import through

    async def work(here: Link) -> ApiKey:
        return await here.keys().revoke(key_id, user_id=None, actor=here.actor)

    key = through(work)
    sentence = f'The key "{key.id}" ({key.name}) of "{key.user_id}" is revoked.'
    typer.echo(json.dumps(facts(key), indent=2, ensure_ascii=False) if as_json else sentence)


@app.command(epilog="Example: KEY=$(magic-eraser keys rotate 3nVqk0Wm5sYt8uBzEoGxAc --overlap 2h)")
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        float,
        typer.Option(
            parser=seconds_of, metavar="TIME", help="That the old key still works: 3600, 90m, 12h, up to 7d."
        ),
    ] = "1d",  # type: ignore[assignment]  # goes through `parser`, as what is typed
    as_json: AsJson = False,
) -> None:
    """Make a new key in the place of one, which works for a while longer. The new one is printed once."""
    from magic_eraser.cli.accounts_link import through

    async def work(here: Link) -> tuple[ApiKey, str, str]:
        made, text = await here.keys().rotate(key_id, user_id=None, overlap_seconds=overlap, actor=here.actor)
        return made, text, here.settings.auth.mode

    made, text, mode = through(work)
    which = f'Key "{made.id}" ({made.name}) of "{made.user_id}", in the place of "{key_id}"'
    _show(made, text, mode, as_json, which)


def facts(key: ApiKey) -> dict[str, Any]:
    """For programs; without the key, which nobody has."""
    from magic_eraser.cli.accounts_link import moment

    return {
        "id": key.id,
        "user": key.user_id,
        "name": key.name,
        "ending": key.ending,
        "scopes": sorted(str(scope) for scope in key.scopes),
        "made_by": key.made_by,
        "created_at": moment(key.created_at),
        "expires_at": moment(key.expires_at),
        "revoked_at": moment(key.revoked_at),
        "last_used_at": moment(key.last_used_at),
        "replaced_by": key.replaced_by,
    }


def _show(made: ApiKey, text: str, mode: str, as_json: bool, which: str) -> None:
    if mode == "off":
        typer.echo("Keys count for nothing while ERASER_AUTH__MODE is off, as it is here.", err=True)
    if as_json:
        typer.echo(json.dumps({**facts(made), "key": text}, indent=2, ensure_ascii=False))
        return
    until = f", until {facts(made)['expires_at']}" if made.expires_at is not None else ""
    typer.echo(f"{which}{until}. Keep it: it is not shown again.", err=True)
    typer.echo(text)


def _print(keys: list[ApiKey]) -> None:
    from rich.console import Console
    from rich.table import Table

    from magic_eraser.accounts.principal import USER_SCOPES

    table = Table(box=None, pad_edge=False)
    table.add_column("ID", no_wrap=True)
    table.add_column("NAME", overflow="fold")
    table.add_column("KEY", no_wrap=True)
    table.add_column("MAY", overflow="fold", min_width=5)
    table.add_column("LAST USED", no_wrap=True)
    table.add_column("STATE", no_wrap=True)
    for key in keys:
        told = facts(key)
        may = "all but admin" if key.scopes == USER_SCOPES else " ".join(told["scopes"])
        used = (told["last_used_at"] or "never")[:10]
        table.add_row(key.id, key.name, f"...{key.ending}", may, used, _state(told))
    Console(highlight=False, markup=False).print(table)


def _state(told: dict[str, Any]) -> str:
    """Without a look at a clock, which may differ from the database's."""
    if told["revoked_at"]:
        return f"revoked {told['revoked_at'][:10]}"
    until = f"until {told['expires_at'][:10]}" if told["expires_at"] else "good"
    return f"rotated, {until}" if told["replaced_by"] else until

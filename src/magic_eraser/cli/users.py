"""`magic-eraser users`: who may use the server."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from magic_eraser.accounts.users import User
    from magic_eraser.cli.accounts_link import Link

app = typer.Typer(
    help="Who may use the server, on which plan.",
    no_args_is_help=True,
    epilog="Example: magic-eraser users add alice --plan basic",
)
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
UserId = Annotated[str, typer.Argument(metavar="USER", help="As in: magic-eraser users list")]
PAGE = 200


class Roles(StrEnum):
    """Those of `accounts.tables.Role`, whose import would cost a tenth of a second at every --help."""

    USER = "user"
    ADMIN = "admin"


@app.command(epilog="Example: magic-eraser users add alice --email alice@example.org --plan basic")
def add(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="Its id: 1 to 100 of A-Z a-z 0-9 ._@+|:=-")],
    email: Annotated[str | None, typer.Option(help="Where to write to.")] = None,
    plan: Annotated[
        str | None, typer.Option(metavar="PLAN", help="As in: magic-eraser plans show; else the default one.")
    ] = None,
    role: Annotated[Roles, typer.Option(help="An admin may see and change all users.")] = Roles.USER,
    as_json: AsJson = False,
) -> None:
    """Add a user. It gets in with a key: magic-eraser keys create USER."""
    from magic_eraser.accounts.tables import Role
    from magic_eraser.cli.accounts_link import through

    async def work(here: Link) -> User:
        return await here.users.add(user_id, email=email, plan=plan, role=Role(role), actor=here.actor)

    user = through(work)
    key = f"magic-eraser keys create {user.id}{_more(user)}"
    _tell(user, as_json, f'Added "{user.id}" on the plan "{user.plan}". Its key: {key}')


@app.command("list", epilog="Example: magic-eraser users list --search example.org --json")
def list_users(
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="A part of id or email.")] = None,
    after: Annotated[str | None, typer.Option(metavar="USER", help="Only those that come after it.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most of them.")] = PAGE,
    as_json: AsJson = False,
) -> None:
    """List users, by id."""
    from magic_eraser.cli.accounts_link import through

    async def work(here: Link) -> list[User]:
        found: list[User] = []
        last = after
        while len(found) <= limit:  # one more, to know whether there are more
            page = await here.users.listing(limit=PAGE, after=last, search=search)
            found += page
            if len(page) < PAGE:
                break
            last = page[-1].id
        return found

    found = through(work)
    shown = found[:limit]
    if as_json:
        typer.echo(json.dumps([facts(user) for user in shown], indent=2, ensure_ascii=False))
    else:
        _print(shown)
    if len(found) > limit:
        typer.echo(f"There are more: --after {shown[-1].id}", err=True)


@app.command("set-plan", epilog="Example: magic-eraser users set-plan alice pro")
def set_plan(
    user_id: UserId,
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="As in: magic-eraser plans show")],
    as_json: AsJson = False,
) -> None:
    """Put a user on a plan at once, free of charge. A subscription that it has ends."""
    from magic_eraser.cli.accounts_link import through

    async def work(here: Link) -> User:
        async with here.subscriptions() as subscriptions:
            await subscriptions.set_plan(user_id, plan, actor=here.actor)
        return await here.users.get(user_id)

    user = through(work)
    _tell(user, as_json, f'"{user.id}" is on the plan "{user.plan}".')


@app.command(epilog="Example: magic-eraser users disable alice")
def disable(user_id: UserId, as_json: AsJson = False) -> None:
    """Let no key and no token of a user work. Its data and its plan stay."""
    from magic_eraser.cli.accounts_link import through

    async def work(here: Link) -> User:
        return await here.users.disable(user_id, actor=here.actor)

    user = through(work)
    _tell(user, as_json, f'"{user.id}" is disabled. To take that back: magic-eraser users enable {user.id}')


@app.command(epilog="Example: magic-eraser users enable alice")
def enable(user_id: UserId, as_json: AsJson = False) -> None:
    """Let the keys and tokens of a user work again."""
    from magic_eraser.cli.accounts_link import through

    async def work(here: Link) -> User:
        return await here.users.enable(user_id, actor=here.actor)

    user = through(work)
    _tell(user, as_json, f'"{user.id}" is enabled.')


@app.command("set-role", epilog="Example: magic-eraser users set-role alice admin")
def set_role(
    user_id: UserId,
    role: Annotated[Roles, typer.Argument(metavar="ROLE", help="user or admin")],
    as_json: AsJson = False,
) -> None:
    """Make a user an admin, or an admin a user. An admin's key needs the scope "admin" as well."""
    from magic_eraser.accounts.tables import Role
    from magic_eraser.cli.accounts_link import through

    async def work(here: Link) -> User:
        return await here.users.set_role(user_id, Role(role), actor=here.actor)

    user = through(work)
    key = f" A key for it: magic-eraser keys create {user.id}{_more(user)}" if _more(user) else ""
    _tell(user, as_json, f'"{user.id}" has the role "{user.role}".{key}')


def _more(user: User) -> str:
    """What a key is to be told beside, so that it may what its user may."""
    from magic_eraser.accounts.tables import Role

    return " --scope all" if user.role is Role.ADMIN else ""


def facts(user: User) -> dict[str, Any]:
    """For programs."""
    from magic_eraser.cli.accounts_link import moment

    return {
        "id": user.id,
        "email": user.email,
        "plan": user.plan,
        "role": str(user.role),
        "created_at": moment(user.created_at),
        "disabled_at": moment(user.disabled_at),
        "tokens_after": moment(user.tokens_after),
    }


def _tell(user: User, as_json: bool, sentence: str) -> None:
    typer.echo(json.dumps(facts(user), indent=2, ensure_ascii=False) if as_json else sentence)


def _print(users: list[User]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("USER", overflow="fold")
    for name in ("PLAN", "ROLE", "SINCE"):
        table.add_column(name, no_wrap=True)
    table.add_column("EMAIL", overflow="fold")
    for user in users:
        told = facts(user)
        name = f"{user.id} (disabled)" if user.disabled_at is not None else user.id
        table.add_row(name, user.plan, told["role"], told["created_at"][:10], user.email or "")
    Console(highlight=False, markup=False).print(table)

"""`magic-eraser tokens`: tokens for users who have no other issuer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from magic_eraser.cli.credential_options import SCOPE_HELP, ScopeName, scopes_of, seconds_of

if TYPE_CHECKING:
    from magic_eraser.accounts.principal import Scope
    from magic_eraser.accounts.users import User
    from magic_eraser.cli.accounts_link import Link

app = typer.Typer(
    help="Tokens (JWT) for users who have no other issuer; see also: magic-eraser keys.",
    no_args_is_help=True,
    epilog="Example: magic-eraser tokens issue alice",
)


@app.command(epilog="Example: magic-eraser tokens issue alice --scope erase --scope jobs --expires-in 12h")
def issue(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose it is; see: magic-eraser users list.")],
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option(help=SCOPE_HELP),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--expires-in",
            parser=seconds_of,
            metavar="TIME",
            help="3600, 90m, 12h, 30d; ERASER_AUTH__TOKEN_SECONDS where not given.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Make a token, signed with ERASER_AUTH__JWT_SECRET. It is shown, and kept nowhere."""
    from magic_eraser.cli.accounts_link import through

    token, facts = through(lambda here: _issue(here, user, scopes_of(scope), seconds))
    if as_json:
        typer.echo(json.dumps({"token": token, **facts}, indent=2, ensure_ascii=False))
        return
    typer.echo(token)
    typer.echo(f'Good until {facts["expires_at"]} for "{user}": {", ".join(facts["scopes"])}.', err=True)


@app.command("revoke-all", epilog="Example: magic-eraser tokens revoke-all alice")
def revoke_all(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose tokens they are.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Refuse every token that was issued to a user until now, whoever issued it. Keys work on."""
    from magic_eraser.cli.accounts_link import moment, through

    changed = through(lambda here: here.users.refuse_tokens(user, actor=here.actor))
    since = moment(changed.tokens_after)
    if as_json:
        typer.echo(json.dumps({"user": user, "refused_before": since}, indent=2, ensure_ascii=False))
    else:
        typer.echo(f'Tokens of "{user}" that were issued before {since} are refused. Keys work on.')


async def _issue(
    here: Link, user_id: str, wanted: frozenset[Scope], seconds: float | None
) -> tuple[str, dict[str, Any]]:
    import sqlalchemy as sa

    from magic_eraser.accounts import audit
    from magic_eraser.accounts.tokens import tokens
    from magic_eraser.cli.accounts_link import moment
    from magic_eraser.db.base import now

    _check(await here.users.get(user_id), wanted)
    async with here.database.write() as connection:
        at = (await connection.execute(sa.select(now()))).scalar_one()
        token, claims = tokens.issue(here.settings.auth, user_id, at=at, scopes=wanted, seconds=seconds)
        facts = {
            "user": user_id,
            "id": claims["jti"],
            "scopes": sorted(wanted),
            "expires_at": moment(claims["exp"]),
        }
        told = {name: facts[name] for name in ("id", "scopes", "expires_at")}
        await audit.record(connection, here.actor, "token.issue", user_id, **told)
    return token, facts


def _check(user: User, scopes: frozenset[Scope]) -> None:
    from magic_eraser.accounts.principal import Scope
    from magic_eraser.accounts.tables import Role
    from magic_eraser.errors import AccountDisabled, InsufficientScope

    if user.disabled_at is not None:
        raise AccountDisabled(
            f'The account "{user.id}" is disabled; "magic-eraser users enable {user.id}" changes that.',
            f"账户“{user.id}”已停用。",
        )
    if Scope.ADMIN in scopes and user.role is not Role.ADMIN:
        raise InsufficientScope(
            f'The user "{user.id}" is no admin, so a token of it cannot have the scope "admin".',
            f"用户“{user.id}”不是管理员，其令牌不能拥有“admin”权限。",
            extra={"scope": str(Scope.ADMIN)},
        )

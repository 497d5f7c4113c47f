"""`magic-eraser tokens`: tokens for users who have no other issuer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from magic_eraser.accounts.principal import Scope
    from magic_eraser.accounts.users import User
    from magic_eraser.cli.accounts_link import Link

app = typer.Typer(
    help="Tokens (JWT) for users who have no other issuer; see also: magic-eraser keys.",
    no_args_is_help=True,
    epilog="Example: magic-eraser tokens issue alice",
)
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def _seconds(text: str) -> float:
    found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a time such as 3600, 90m, 12h or 30d")
    return float(int(found[1]) * UNITS[found[2]])


def _scopes(text: str) -> frozenset[Scope]:
    from magic_eraser.accounts.principal import Scope

    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in list(Scope)]
    if unknown or not names:
        said = f"there is no scope {unknown[0]!r}" if unknown else "no scope is named"
        raise typer.BadParameter(f"{said}; there are: {', '.join(Scope)}")
    return frozenset(map(Scope, names))


@app.command(epilog="Example: magic-eraser tokens issue alice --scopes erase,jobs --expires-in 12h")
def issue(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose it is; see: magic-eraser users list.")],
    scopes: Annotated[
        Any,
        typer.Option(
            "--scopes",
            parser=_scopes,
            metavar="SCOPE,...",
            help="erase, jobs, account:read, account, admin; all but admin where not given.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--expires-in",
            parser=_seconds,
            metavar="TIME",
            help="3600, 90m, 12h, 30d; ERASER_AUTH__TOKEN_SECONDS where not given.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Make a token, signed with ERASER_AUTH__JWT_SECRET. It is shown, and kept nowhere."""
    from magic_eraser.cli.accounts_link import through

    token, facts = through(lambda here: _issue(here, user, scopes, seconds))
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
    here: Link, user_id: str, scopes: frozenset[Scope] | None, seconds: float | None
) -> tuple[str, dict[str, Any]]:
    import sqlalchemy as sa

    from magic_eraser.accounts import audit, tokens
    from magic_eraser.accounts.principal import USER_SCOPES
    from magic_eraser.cli.accounts_link import moment
    from magic_eraser.db.base import now

    wanted = USER_SCOPES if scopes is None else scopes
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

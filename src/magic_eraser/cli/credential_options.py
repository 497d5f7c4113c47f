"""What the options of keys and tokens have in common: what one may do, and for how long."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from magic_eraser.accounts.principal import Scope

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
SCOPE_HELP = (
    "What it may do; give it again for more. All but admin where not given; all: for an admin, that too."
)


class ScopeName(StrEnum):
    """Those of `accounts.principal.Scope`, and all of them."""

    ERASE = "erase"
    JOBS = "jobs"
    ACCOUNT_READ = "account:read"
    ACCOUNT = "account"
    ADMIN = "admin"
    ALL = "all"


def scopes_of(given: list[ScopeName] | None) -> frozenset[Scope]:
    """All but `admin` where none is given."""
    from magic_eraser.accounts.principal import USER_SCOPES, Scope

    if not given:
        return USER_SCOPES
    return frozenset(Scope) if ScopeName.ALL in given else frozenset(map(Scope, given))


def seconds_of(text: str) -> float:
    """Of `3600`, `90m`, `12h` or `30d`. Raises `typer.BadParameter`."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a time such as 3600, 90m, 12h or 30d")
    return float(int(found[1]) * UNITS[found[2]])

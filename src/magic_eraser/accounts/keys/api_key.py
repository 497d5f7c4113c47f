"""An API key as people see it once it is made: everything but the key itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from magic_eraser.accounts.principal import Scope

_SCOPES = {str(scope): scope for scope in Scope}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key. Moments are seconds since 1970.

    Attributes:
        id: public; the `subject` of whoever calls with the key.
        name: for people, 1 to 100 characters.
        ending: its last characters.
        made_by: the user's own id, or who made it for them.
        last_used_at: to the minute, and up to a minute late.
        replaced_by: the id of the key that was made to take its place.
    """

    id: str
    user_id: str
    name: str
    ending: str
    scopes: frozenset[Scope]
    made_by: str
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None
    replaced_by: str | None = None


def of_row(row: Any) -> ApiKey:
    """From a row of `api_keys`."""
    return ApiKey(
        id=row.id,
        user_id=row.user_id,
        name=row.name,
        ending=row.ending,
        scopes=known_scopes(row.scopes),
        made_by=row.made_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        replaced_by=row.replaced_by,
    )


def known_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Those that this version knows: a newer one may have written others."""
    return frozenset(_SCOPES[name] for name in names if name in _SCOPES)

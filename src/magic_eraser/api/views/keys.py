"""Keys as the wire shows them. Only the view of a new one has a place for its secret."""

from __future__ import annotations

from datetime import datetime

from magic_eraser.accounts.keys.api_key import ApiKey
from magic_eraser.accounts.principal import Scope
from magic_eraser.api.views.account import View, in_order, moment, moment_or_none


class KeyView(View):
    """A key, without what makes it one."""

    id: str
    name: str
    ending: str
    """Its last characters."""
    scopes: list[Scope]
    made_by: str
    """The user's own id, or who made it for them."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""

    @classmethod
    def of(cls, key: ApiKey) -> KeyView:
        return cls(
            id=key.id,
            name=key.name,
            ending=key.ending,
            scopes=in_order(key.scopes),
            made_by=key.made_by,
            created_at=moment(key.created_at),
            expires_at=moment_or_none(key.expires_at),
            revoked_at=moment_or_none(key.revoked_at),
            last_used_at=moment_or_none(key.last_used_at),
        )


class KeyList(View):
    """Those that are good first, then the newest; 200 at most."""

    keys: list[KeyView]


class NewKeyView(View):
    """A key that was made just now."""

    id: str
    name: str
    key: str
    """The key itself. Nobody can tell it again."""
    ending: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, made: ApiKey, text: str) -> NewKeyView:
        return cls(
            id=made.id,
            name=made.name,
            key=text,
            ending=made.ending,
            scopes=in_order(made.scopes),
            created_at=moment(made.created_at),
            expires_at=moment_or_none(made.expires_at),
        )

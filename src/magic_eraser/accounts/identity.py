"""Whose credential it is: what every kind of credential (keys, tokens) is turned into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from magic_eraser.accounts.principal import Scope


@dataclass(frozen=True, slots=True)
class Identity:
    """What a good credential says.

    Attributes:
        user_id: `users.id`; a user of that id need not exist yet.
        subject: the id of the key, "token" for a JWT.
        scopes: those of the credential; what its user may not do, it may not do either.
    """

    user_id: str
    subject: str
    scopes: frozenset[Scope]


class Handler(Protocol):
    """Knows one kind of credential."""

    async def __call__(self, credential: str) -> Identity | None:
        """Whose it is; None where it is of another kind.

        Raises:
            InvalidToken: of this kind, but not good; also when it was revoked.
            TokenExpired: its time is over.
            AccountDisabled: its user may not use the server now.
            StorageUnavailable, ProviderUnavailable: nobody could be asked.
        """
        ...

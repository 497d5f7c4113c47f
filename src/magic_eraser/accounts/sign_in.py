"""From what a caller shows to who it is, what it may do and what it pays for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from magic_eraser.accounts.identity import Handler, Identity
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.principal import ANONYMOUS_SCOPES, LOCAL_OWNER, USER_SCOPES, Principal, Scope
from magic_eraser.accounts.tables import Role
from magic_eraser.accounts.tokens.jws import refused
from magic_eraser.accounts.tokens.tokens import TokenIdentity
from magic_eraser.accounts.users import User, Users
from magic_eraser.errors import AccountDisabled, InvalidToken, NotAuthenticated

Mode = Literal["off", "optional", "required"]
ANONYMOUS = "anonymous"
_MOST_SCOPES = {Role.ADMIN: frozenset(Scope), Role.USER: USER_SCOPES}


class SignIn:
    """Asks each handler in turn.

    Args:
        mode: `off` asks nobody, `optional` lets callers in that show nothing, `required` does not.
        handlers: of the kinds of credentials; the first that knows a credential decides.
        users: whose they are.
        plans: what they are on.
    """

    def __init__(self, mode: Mode, handlers: Sequence[Handler], users: Users, plans: Plans) -> None:
        self._mode = mode
        self._handlers = tuple(handlers)
        self._users = users
        self._plans = plans

    async def principal(self, credential: str | None, address: str) -> Principal:
        """Who calls.

        Args:
            credential: key or token; None where the caller shows none. One that is not good is refused in both modes.
            address: where the call comes from; the name of a caller that shows nothing.

        Raises:
            NotAuthenticated: nothing was shown, and it is required.
            InvalidToken, TokenExpired: it is not good, or of no known kind.
            AccountDisabled: its user may not use the server now.
            StorageUnavailable, ProviderUnavailable: nobody could be asked.
        """
        if self._mode == "off":
            return replace(LOCAL_OWNER, address=address)
        if credential is None:
            if self._mode == "required":
                raise NotAuthenticated
            return self._anonymous(address)
        for handler in self._handlers:
            identity = await handler(credential)
            if identity is not None:
                return self._known(identity, await self._user_of(identity))
        raise InvalidToken("This is neither a key nor a token.", "这既不是密钥也不是令牌。")

    def _anonymous(self, address: str) -> Principal:
        plan = self._plans.book.default
        return Principal(
            tenant_id=f"{ANONYMOUS}@{address}",
            subject=ANONYMOUS,
            priority=plan.priority,
            plan=plan,
            scopes=ANONYMOUS_SCOPES,
        )

    async def _user_of(self, identity: Identity) -> User:
        """A token's user is made at its first call; a key has one."""
        user = await self._users.ensure(identity.user_id)
        if user.disabled_at is not None:
            raise AccountDisabled(f'The account "{user.id}" is disabled.', f"账户“{user.id}”已停用。")
        if isinstance(identity, TokenIdentity) and user.tokens_after is not None:
            issued = identity.issued_at
            if issued is None or issued <= user.tokens_after:
                raise refused("it was revoked with all others of its user", "该用户此前的令牌均已作废")
        return user

    def _known(self, identity: Identity, user: User) -> Principal:
        plan = self._plans.of(user.plan)
        return Principal(
            tenant_id=user.id,
            subject=identity.subject,
            priority=plan.priority,
            plan=plan,
            scopes=identity.scopes & _MOST_SCOPES[user.role],
        )

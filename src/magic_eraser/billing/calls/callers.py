"""Whether a caller is still good, and what plan it is on, by the database's word at this moment."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.plans import Plan, PlanBook, Plans
from magic_eraser.accounts.principal import Principal
from magic_eraser.accounts.tables import api_keys, users
from magic_eraser.db.base import now
from magic_eraser.db.prepared import Prepared, first
from magic_eraser.errors import AccountDisabled, InvalidToken, TokenExpired

ANONYMOUS = "anonymous@"
"""How the tenants of callers without credentials begin; users' ids do not."""
BY_TOKEN = "token"  # noqa: S105 (a subject, no secret)
"""The subject of callers with a JWT, which is no row of ours."""

_MOMENT = sa.select(now())
_CALLER = (
    sa.select(
        now().label("at"),
        users.c.plan,
        users.c.disabled_at,
        api_keys.c.id.label("key_id"),
        api_keys.c.revoked_at,
        api_keys.c.expires_at,
    )
    .select_from(
        users.outerjoin(
            api_keys,
            sa.and_(api_keys.c.id == sa.bindparam("the_subject"), api_keys.c.user_id == users.c.id),
        )
    )
    .where(users.c.id == sa.bindparam("the_tenant"))
)


@dataclass(frozen=True, slots=True)
class Caller:
    """What a charge goes by.

    Attributes:
        at: the present, seconds since 1970.
        plan: the tenant's.
        book: whose plan it is, whose zone the day is of.
    """

    at: float
    plan: Plan
    book: PlanBook


class Callers:
    """Looks at them within transactions of others."""

    def __init__(self, plans: Plans, *, is_sqlite: bool) -> None:
        self._plans = plans
        self._moment = Prepared(_MOMENT, is_sqlite=is_sqlite)
        self._caller = Prepared(_CALLER, is_sqlite=is_sqlite)

    async def look_up(self, within: AsyncConnection, principal: Principal) -> Caller:
        """The caller as the database has it now.

        Raises:
            InvalidToken: there is no such user, or the key is revoked or not the user's.
            TokenExpired: the key's time is over.
            AccountDisabled: the user's is.
        """
        if principal.tenant_id.startswith(ANONYMOUS):
            ((at,),) = await self._moment.rows(within)
            book = self._plans.book
            return Caller(at, book.default, book)
        asked = {"the_tenant": principal.tenant_id, "the_subject": principal.subject}
        row = first(await self._caller.rows(within, asked))
        if row is None:
            raise InvalidToken(
                f'There is no user "{principal.tenant_id}" any more.',
                f"用户“{principal.tenant_id}”已不存在。",
            )
        at, plan_id, *standing = row
        _check(principal, at, *standing)
        book = self._plans.book
        return Caller(at, book.find(plan_id) or book.default, book)


def _check(
    principal: Principal,
    at: float,
    disabled_at: float | None,
    key_id: str | None,
    revoked_at: float | None,
    expires_at: float | None,
) -> None:
    if disabled_at is not None:
        raise AccountDisabled(
            f'The account "{principal.tenant_id}" is disabled.',
            f"账户“{principal.tenant_id}”已停用。",
        )
    if principal.subject == BY_TOKEN:
        return
    if key_id is None or revoked_at is not None:
        raise InvalidToken(
            f'The key "{principal.subject}" is revoked.',
            f"密钥“{principal.subject}”已被撤销。",
        )
    if expires_at is not None and expires_at <= at:
        raise TokenExpired(
            f'The key "{principal.subject}" has expired.',
            f"密钥“{principal.subject}”已过期。",
        )

"""Who did what to whom: keys, plans, money, admins. Written in the transaction of the deed, never changed."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.principal import Principal
from magic_eraser.accounts.tables import audit_log
from magic_eraser.db.base import now


def actor_of(principal: Principal) -> str:
    """`USER/CREDENTIAL`, as the log names callers."""
    return f"{principal.tenant_id}/{principal.subject}"


async def record(within: AsyncConnection, actor: str, action: str, target: str, **details: Any) -> None:
    """One deed.

    Args:
        within: the transaction that does it.
        actor: see `actor_of`; `cli:NAME` for a person at the machine, `system`, `stripe`.
        action: what, as `key.create`.
        target: whose, or which.
        details: JSON values; never a secret.
    """
    await within.execute(
        audit_log.insert().values(at=now(), actor=actor, action=action, target=target, details=details)
    )

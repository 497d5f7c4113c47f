"""What is asked of a key before it is made or rotated."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from magic_eraser.accounts.keys.api_key import known_scopes
from magic_eraser.accounts.principal import Scope
from magic_eraser.accounts.tables import Role
from magic_eraser.errors import Conflict, InsufficientScope, ValidationFailed

LONGEST_NAME = 100
LONGEST_LIFE = 100 * 365 * 86_400
"""Seconds, a hundred years: more is a slip."""
LONGEST_OVERLAP = 604_800
"""Seconds, a week."""


def check_new(name: str, scopes: Collection[Scope], expires_in: float | None) -> None:
    """Raises `ValidationFailed`: see `Keys.create`."""
    if not (1 <= len(name) <= LONGEST_NAME and name.isprintable()):
        raise _invalid(
            "name",
            f"The name of a key has 1 to {LONGEST_NAME} characters in one line.",
            f"密钥名称应为 1 到 {LONGEST_NAME} 个字符，且不换行。",
        )
    if not scopes:
        raise _invalid("scopes", "A key needs at least one scope.", "密钥至少需要一个权限。")
    if expires_in is not None and not 0 < expires_in <= LONGEST_LIFE:
        raise _invalid(
            "expires_in",
            f"A key lives up to {LONGEST_LIFE // 86_400} days, or for ever.",
            f"密钥的有效期最长为 {LONGEST_LIFE // 86_400} 天，或永久有效。",
        )


def check_role(user_id: str, role: str, scopes: Collection[Scope]) -> None:
    """Raises `InsufficientScope` where a user who is no admin would have an admin's key."""
    if Scope.ADMIN in scopes and role != Role.ADMIN:
        raise InsufficientScope(
            f'The user "{user_id}" is no admin, so no key of it can have the scope "admin".',
            f"用户“{user_id}”不是管理员，其密钥不能拥有“admin”权限。",
            extra={"scope": str(Scope.ADMIN)},
        )


def check_count(own: int, most: int) -> None:
    """Raises `Conflict` where there is no room for one more."""
    if own >= most:
        raise Conflict(
            f"You have {own} keys of your own, and the plan allows {most}: revoke or rotate one.",
            f"您已有 {own} 个自己创建的密钥，当前套餐最多允许 {most} 个：请先撤销或轮换其中一个。",
            extra={"limit": most},
        )


def check_overlap(seconds: float) -> None:
    """Raises `ValidationFailed`: see `Keys.rotate`."""
    if not 0 <= seconds <= LONGEST_OVERLAP:
        raise _invalid(
            "overlap_seconds",
            f"An old key works on for 0 to {LONGEST_OVERLAP} seconds.",
            f"旧密钥可继续使用 0 到 {LONGEST_OVERLAP} 秒。",
        )


def check_rotatable(row: Any, may: Collection[Scope] | None) -> None:
    """Raises `Conflict` or `InsufficientScope`: see `Keys.rotate`."""
    if row.revoked_at is not None:
        raise Conflict(f'The key "{row.id}" was revoked.', f"密钥“{row.id}”已被撤销。")
    if row.replaced_by is not None:
        raise Conflict(
            f'The key "{row.id}" was rotated before; "{row.replaced_by}" took its place.',
            f"密钥“{row.id}”已轮换过，由“{row.replaced_by}”替代。",
        )
    if row.expires_at is not None and row.expires_at <= row.at:
        raise Conflict(f'The key "{row.id}" has expired.', f"密钥“{row.id}”已过期。")
    more = known_scopes(row.scopes) - set(Scope if may is None else may)
    if more:
        names = ", ".join(sorted(more))
        raise InsufficientScope(
            f'The key "{row.id}" has scopes that the key or token of this call has not: {names}.',
            f"密钥“{row.id}”拥有当前密钥或令牌没有的权限：{names}。",
            extra={"scope": min(more)},
        )


def _invalid(field: str, detail: str, detail_zh: str) -> ValidationFailed:
    return ValidationFailed(
        detail, detail_zh, extra={"errors": [{"pointer": f"/{field}", "message": detail}]}
    )

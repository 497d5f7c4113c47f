"""One user, and what it may be called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from magic_eraser.accounts.tables import Role
from magic_eraser.errors import ValidationFailed

LONGEST_EMAIL = 254
_ID = re.compile(r"[A-Za-z0-9._@+|:=-]{1,100}")
_TAKEN = ("local", ".", "..")
"""Tenant of servers that ask nobody, and names of folders."""
_ANONYMOUS = "anonymous@"


@dataclass(frozen=True, slots=True)
class User:
    """One user. Moments are seconds since 1970.

    Attributes:
        plan: the id of its plan; see `Plans.of`.
        disabled_at: since when no credential of it works.
        tokens_after: tokens issued before are refused.
    """

    id: str
    email: str | None
    plan: str
    role: Role
    created_at: float
    disabled_at: float | None = None
    tokens_after: float | None = None


def can_be_id(text: str) -> bool:
    """Whether it is written as an id. Other texts are nobody's, and some of them no database takes."""
    return _ID.fullmatch(text) is not None


def check_id(text: str) -> None:
    """Whether a user may have this id.

    Raises:
        ValidationFailed: not 1 to 100 letters, digits and `._@+|:=-`; or one that callers have whom nobody knows.
    """
    if not can_be_id(text):
        raise invalid(
            "id",
            f'"{text[:100]}" cannot be the id of a user: 1 to 100 of A-Z, a-z, 0-9 and ._@+|:=- are allowed.',
            f"“{text[:100]}”不能用作用户标识：只允许 1 到 100 个字母、数字和 ._@+|:=-。",
        )
    if text in _TAKEN or text.startswith(_ANONYMOUS):
        raise invalid(
            "id",
            f'"{text}" cannot be the id of a user: it has a meaning of its own.',
            f"“{text}”是保留的标识。",
        )


def of_row(row: Any) -> User:
    """From a row of `users`."""
    return User(**{**row._asdict(), "role": Role(row.role)})


def is_email(text: str) -> bool:
    """Whether it looks like one; nothing is sent there to make sure."""
    return (
        len(text) <= LONGEST_EMAIL
        and text.isprintable()
        and re.fullmatch(r"[^@\s]+@[^@\s]+", text) is not None
    )


def check_email(email: str | None) -> None:
    """Raises `ValidationFailed` for what is no email address; None is none."""
    if email is not None and not is_email(email):
        raise invalid(
            "email", f'"{email[:100]}" is not an email address.', f"“{email[:100]}”不是有效的邮箱地址。"
        )


def invalid(field: str, detail: str, detail_zh: str) -> ValidationFailed:
    """Of one field of a request."""
    return ValidationFailed(
        detail, detail_zh, extra={"errors": [{"pointer": f"/{field}", "message": detail}]}
    )

"""What may be sent to the routes of accounts. Every body forbids fields that it does not name."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from magic_eraser.accounts import money
from magic_eraser.accounts.principal import Scope
from magic_eraser.accounts.tables import Role
from magic_eraser.api.forms import read_json, validate
from magic_eraser.errors import NotFound

M = TypeVar("M", bound=BaseModel)

MOST_LISTED = 200
DAY_SECONDS = 86_400
_NO_CONTROL = r"^[^\x00-\x1f\x7f]+$"
"""PostgreSQL refuses NUL, and the rest would break the lines of a table or a CSV."""
_AMOUNT = r"^\d{1,10}(\.\d{1,5})?$"


def _amount(value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(_AMOUNT, value, re.ASCII):
        raise PydanticCustomError("amount", 'Input should be text such as "0.10", with at most five places')
    try:
        return money.parse(value)
    except ValueError as error:
        raise PydanticCustomError("amount", "{reason}", {"reason": str(error)}) from None


def _scopes(value: Any) -> Any:
    if isinstance(value, list) and len(value) > len(Scope):
        raise PydanticCustomError("scopes", "List should have at most {most} items", {"most": len(Scope)})
    return value


Amount = Annotated[
    int,
    BeforeValidator(_amount),
    WithJsonSchema({"type": "string", "pattern": _AMOUNT, "examples": ["29.00"]}),
]
"""Milli-cents of a decimal that was sent as text."""
ScopeList = Annotated[
    frozenset[Scope],
    BeforeValidator(_scopes),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "enum": [str(scope) for scope in Scope]},
            "minItems": 1,
            "maxItems": len(Scope),
        }
    ),
]
RoleText = Annotated[Role, WithJsonSchema({"type": "string", "enum": [str(role) for role in Role]})]
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=_NO_CONTROL)
]
"""One line of text for people."""
Reference = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=_NO_CONTROL)
]
Note = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Email = Annotated[
    str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$")
]
PlanId = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=_NO_CONTROL)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class NewKey(_Body):
    """A key to be made."""

    name: Line = Field(examples=["shop"])
    """What you will know it by."""
    scopes: ScopeList | None = Field(default=None, min_length=1, examples=[["erase", "jobs"]])
    """What it may do, at most what you may; `erase`, `jobs` and `account:read` where omitted."""
    expires_in_days: int | None = Field(default=None, ge=1, le=3650)
    """Days that it is good for; without end where omitted."""

    @property
    def seconds(self) -> float | None:
        return None if self.expires_in_days is None else float(self.expires_in_days * DAY_SECONDS)


class Rotation(_Body):
    """A key to be replaced."""

    overlap_seconds: int = Field(default=DAY_SECONDS, ge=0, le=7 * DAY_SECONDS)
    """Seconds that the old one stays good beside the new one."""


class PlanWish(_Body):
    """Another plan."""

    plan: PlanId = Field(examples=["pro"])
    """An id from `/v1/plans`."""


class NewUser(_Body):
    """A user to be made."""

    id: str = Field(min_length=1, max_length=100, examples=["alice"])
    """1 to 100 of A-Z a-z 0-9 . _ @ + | : = -"""
    email: Email | None = None
    plan: PlanId | None = None
    """The default plan where omitted."""
    role: RoleText = Role.USER


class UserChange(_Body):
    """What is to change of a user; what is omitted stays."""

    plan: PlanId | None = None
    """In force at once and free of charge; ends the subscription, if there is one."""
    role: RoleText | None = None
    disabled: bool | None = None
    """While it is, no key or token of the user's works."""
    email: Email | None = None
    """null takes it away."""


class Credit(_Body):
    """Credit to be given."""

    amount: Amount
    reference: Reference = Field(examples=["voucher-17"])
    """Told twice by the same name, it is given once."""
    note: Note = ""


class Payment(_Body):
    """A payment that came."""

    amount: Amount | None = None
    """All that is due where omitted."""
    reference: Reference = Field(examples=["bank-2026-11-0042"])
    """Told twice by the same name, it counts once."""
    note: Note = ""


class Refund(_Body):
    """A charge to be given back. The charge stays in the ledger; another entry makes it good."""

    entry_id: int = Field(ge=1, le=2**62)
    """Of the charge, in the user's ledger."""
    amount: Amount | None = None
    """All that is left of it where omitted."""
    call: bool = True
    """Whether the call is given back to the user's day as well."""
    reference: Reference = Field(examples=["ticket-1207"])
    """Told twice by the same name, it is given back once."""
    note: Note = ""


def reads(model: type[M], *, optional: bool = False) -> Any:
    """For signatures: the request's JSON as a model. Unlike FastAPI's own bodies it is read after those who may not ask
    are turned away.

    Args:
        model: of the body.
        optional: no body at all is the same as `{}`.
    """

    async def read(request: Request) -> M:
        empty = optional and request.headers.get("content-length", "") == "0"
        bare = optional and not {"content-length", "transfer-encoding"} & set(request.headers)
        return validate(model, {} if empty or bare else await read_json(request))

    return Depends(read)


def body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The same for `openapi_extra`."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": required, "content": content}}


NewKeyBody = Annotated[NewKey, reads(NewKey)]
RotationBody = Annotated[Rotation, reads(Rotation, optional=True)]
PlanWishBody = Annotated[PlanWish, reads(PlanWish)]
NewUserBody = Annotated[NewUser, reads(NewUser)]
UserChangeBody = Annotated[UserChange, reads(UserChange)]
CreditBody = Annotated[Credit, reads(Credit)]
PaymentBody = Annotated[Payment, reads(Payment)]
RefundBody = Annotated[Refund, reads(Refund)]


async def _user_id(user_id: Annotated[str, Path(description="Of the user")]) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._@+|:=-]{1,100}", user_id):
        raise NotFound("There is no user of that id.", "没有该用户。")
    return user_id


async def _key_id(key_id: Annotated[str, Path(description="128 random bits")]) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,22}", key_id):
        raise NotFound
    return key_id


async def _plain(
    after: Annotated[
        str | None, Query(max_length=100, pattern=_NO_CONTROL, description="`next` of the page before")
    ] = None,
) -> str | None:
    return after


UserId = Annotated[str, Depends(_user_id)]
KeyId = Annotated[str, Depends(_key_id)]
AfterText = Annotated[str | None, Depends(_plain)]
AfterId = Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]


_SPAN = {"ge": date(2000, 1, 1), "le": date(2199, 12, 31)}
FirstDay = Annotated[
    date | None,
    Query(alias="from", description="In the plans' time zone; 30 days up to the last where omitted", **_SPAN),
]
LastDay = Annotated[date | None, Query(alias="to", description="Included; today where omitted", **_SPAN)]

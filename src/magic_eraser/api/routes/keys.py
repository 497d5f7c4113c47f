"""`/v1/keys`: the caller's own keys.

None of these routes takes an `Idempotency-Key`: the answer to it would be kept, and it holds a secret. Whoever lost an
answer revokes that key, by its name in the list, and makes another.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.audit import actor_of
from magic_eraser.accounts.plans import Feature
from magic_eraser.accounts.principal import Principal, Scope
from magic_eraser.api.account_bodies import KeyId, NewKey, NewKeyBody, Rotation, RotationBody, body
from magic_eraser.api.deps import Caller, Needs, TheAccounts
from magic_eraser.api.problems import responses
from magic_eraser.api.views.account import NO_STORE
from magic_eraser.api.views.keys import KeyList, KeyView, NewKeyView
from magic_eraser.errors import InsufficientScope

MOST_KEYS = 50
"""Of a user's own making that are good at the same time, where the plan includes `api_access`; else one."""
USUAL_SCOPES = frozenset({Scope.ERASE, Scope.JOBS, Scope.ACCOUNT_READ})
"""Of a key that asks for none: what a program needs, and no more."""


async def _there_are(_accounts: TheAccounts) -> None:
    return None


WithAccounts = Depends(_there_are)
"""For routers: 404 where the server has none, before anything else is asked."""

router = APIRouter(prefix="/v1/keys", tags=["keys"], dependencies=[WithAccounts])


@router.get(
    "",
    dependencies=[Needs(Scope.ACCOUNT_READ)],
    summary="Your keys",
    response_model=KeyList,
    responses=responses(401, 403, 404, 429, 503),
)
async def listing(accounts: TheAccounts, caller: Caller) -> Response:
    """Those that were revoked or have expired as well. None of them says its secret."""
    found = await accounts.keys.listing(caller.tenant_id)
    return JSONResponse(KeyList(keys=[KeyView.of(key) for key in found]).as_json(), headers=NO_STORE)


@router.post(
    "",
    status_code=201,
    dependencies=[Needs(Scope.ACCOUNT)],
    summary="Make a key",
    response_model=NewKeyView,
    responses=responses(401, 403, 404, 408, 409, 413, 422, 429, 503, 507),
    openapi_extra=body(NewKey),
)
async def create(
    accounts: TheAccounts,
    caller: Caller,
    wish: NewKeyBody,
) -> Response:
    """The answer says the key, once: nobody can tell it again. It can do what you can, at most. Without `api_access` in
    the plan you have one of your own making, with it fifty. Takes no `Idempotency-Key`, as no answer with a secret is
    kept."""
    scopes = (USUAL_SCOPES & caller.scopes) or caller.scopes if wish.scopes is None else wish.scopes
    _refuse_more(caller, scopes)
    made, text = await accounts.keys.create(
        caller.tenant_id,
        name=wish.name,
        scopes=scopes,
        expires_in=wish.seconds,
        actor=actor_of(caller),
        most=MOST_KEYS if caller.has(Feature.API_ACCESS) else 1,
    )
    return JSONResponse(NewKeyView.of(made, text).as_json(), 201, NO_STORE)


@router.post(
    "/{key_id}/rotate",
    status_code=201,
    dependencies=[Needs(Scope.ACCOUNT)],
    summary="A new key in the place of one",
    response_model=NewKeyView,
    responses=responses(401, 403, 404, 408, 409, 413, 422, 429, 503, 507),
    openapi_extra=body(Rotation, required=False),
)
async def rotate(
    key_id: KeyId,
    accounts: TheAccounts,
    caller: Caller,
    wish: RotationBody,
) -> Response:
    """With the same name, scopes and length of life. The old one stays good for `overlap_seconds`, so that programs
    have time to change. Takes no `Idempotency-Key`."""
    made, text = await accounts.keys.rotate(
        key_id,
        user_id=caller.tenant_id,
        overlap_seconds=wish.overlap_seconds,
        actor=actor_of(caller),
        may=caller.scopes,
    )
    return JSONResponse(NewKeyView.of(made, text).as_json(), 201, NO_STORE)


@router.delete(
    "/{key_id}",
    status_code=204,
    dependencies=[Needs(Scope.ACCOUNT)],
    summary="Revoke a key",
    responses=responses(401, 403, 404, 429, 503, 507),
)
async def revoke(key_id: KeyId, accounts: TheAccounts, caller: Caller) -> Response:
    """It works no more: here at once, on other servers within half a second. It may be the one of this request."""
    await accounts.keys.revoke(key_id, user_id=caller.tenant_id, actor=actor_of(caller))
    return Response(status_code=204, headers=NO_STORE)


def _refuse_more(caller: Principal, scopes: frozenset[Scope]) -> None:
    more = scopes - caller.scopes
    if more:
        names = ", ".join(sorted(more))
        raise InsufficientScope(
            f"A key cannot give scopes that it has not: {names}.",
            f"密钥不能授予自身没有的权限：{names}。",
            extra={"scope": str(min(more))},
        )

"""`/v1/admin/users`: who may use the server, their plans and keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts import admins
from magic_eraser.accounts.audit import actor_of
from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.principal import Principal
from magic_eraser.accounts.tables import Role
from magic_eraser.accounts.user import User
from magic_eraser.api.account_bodies import (
    AfterText,
    KeyId,
    Limit,
    Line,
    NewKey,
    NewKeyBody,
    NewUser,
    NewUserBody,
    UserChange,
    UserChangeBody,
    UserId,
    body,
)
from magic_eraser.api.accounts import Accounts
from magic_eraser.api.deps import Caller, TheAccounts, TheRooms
from magic_eraser.api.problems import responses
from magic_eraser.api.rooms import Rooms
from magic_eraser.api.routes.admin.guard import ADMIN
from magic_eraser.api.routes.keys import USUAL_SCOPES
from magic_eraser.api.views.account import NO_STORE, SubscriptionView, TodayView
from magic_eraser.api.views.admin import UserDetails, UserList, UserView
from magic_eraser.api.views.keys import KeyList, KeyView, NewKeyView
from magic_eraser.errors import Conflict

router = APIRouter(prefix="/v1/admin", tags=["admin"], dependencies=ADMIN)

_SEEN = responses(401, 403, 404, 422, 429, 503)
_CHANGED = responses(401, 403, 404, 408, 409, 413, 422, 429, 503, 507)


@router.get("/users", summary="All users, by id", response_model=UserList, responses=_SEEN)
async def listing(
    accounts: TheAccounts,
    limit: Limit = 50,
    after: AfterText = None,
    search: Annotated[Line | None, Query(description="A part of id or email")] = None,
) -> Response:
    """`next` is the `after` of the next page."""
    found = await accounts.users.listing(limit=limit, after=after, search=search)
    following = None
    if len(found) == limit and await accounts.users.listing(limit=1, after=found[-1].id, search=search):
        following = found[-1].id
    view = UserList(users=[UserView.of(user) for user in found], next=following)
    return JSONResponse(view.as_json(), headers=NO_STORE)


@router.post(
    "/users",
    status_code=201,
    summary="Make a user",
    response_model=UserDetails,
    responses=_CHANGED,
    openapi_extra=body(NewUser),
)
async def add(accounts: TheAccounts, caller: Caller, wish: NewUserBody) -> Response:
    """On the default plan unless another is named. It has no key yet; users whom tokens name make themselves."""
    user = await accounts.users.add(
        wish.id, email=wish.email, plan=wish.plan, role=wish.role, actor=actor_of(caller)
    )
    return await _details(accounts, user, 201)


@router.get("/users/{user_id}", summary="Where a user stands", response_model=UserDetails, responses=_SEEN)
async def show(user_id: UserId, accounts: TheAccounts) -> Response:
    """Its plan, calls of today, money and subscription."""
    return await _details(accounts, await accounts.users.get(user_id))


@router.patch(
    "/users/{user_id}",
    summary="Change a user",
    response_model=UserDetails,
    responses=_CHANGED,
    openapi_extra=body(UserChange),
)
async def change(
    user_id: UserId, rooms: TheRooms, accounts: TheAccounts, caller: Caller, wish: UserChangeBody
) -> Response:
    """Each change is a line in the audit log, made one after the other: plan, role, email, disabled. Nobody can disable
    themselves, and the last admin stays one."""
    user = await accounts.users.get(user_id)
    await _expect_admin_left(rooms, caller, user, wish)
    actor = actor_of(caller)
    if wish.plan is not None and wish.plan != user.plan:
        await accounts.subscriptions.set_plan(user_id, wish.plan, actor=actor)
    if wish.role is not None:
        await accounts.users.set_role(user_id, wish.role, actor=actor, keep_admin=True)
    if "email" in wish.model_fields_set:
        await accounts.users.set_email(user_id, wish.email, actor=actor)
    if wish.disabled is not None:
        if wish.disabled:
            await accounts.users.disable(user_id, actor=actor, keep_admin=True)
        else:
            await accounts.users.enable(user_id, actor=actor)
    return await _details(accounts, await accounts.users.get(user_id))


@router.get("/users/{user_id}/keys", summary="A user's keys", response_model=KeyList, responses=_SEEN)
async def keys(user_id: UserId, accounts: TheAccounts) -> Response:
    """As `GET /v1/keys` shows them to the user."""
    await accounts.users.get(user_id)
    found = await accounts.keys.listing(user_id)
    return JSONResponse(KeyList(keys=[KeyView.of(key) for key in found]).as_json(), headers=NO_STORE)


@router.post(
    "/users/{user_id}/keys",
    status_code=201,
    summary="Make a key for a user",
    response_model=NewKeyView,
    responses=_CHANGED,
    openapi_extra=body(NewKey),
)
async def make_key(user_id: UserId, accounts: TheAccounts, caller: Caller, wish: NewKeyBody) -> Response:
    """With any scope that the user may have; does not count as one of the user's own making. The answer says the key,
    once. Takes no `Idempotency-Key`, as no answer with a secret is kept."""
    made, text = await accounts.keys.create(
        user_id,
        name=wish.name,
        scopes=USUAL_SCOPES if wish.scopes is None else wish.scopes,
        expires_in=wish.seconds,
        actor=actor_of(caller),
    )
    return JSONResponse(NewKeyView.of(made, text).as_json(), 201, NO_STORE)


@router.delete("/keys/{key_id}", status_code=204, summary="Revoke anybody's key", responses=_CHANGED)
async def revoke_key(key_id: KeyId, accounts: TheAccounts, caller: Caller) -> Response:
    """It works no more: here at once, on other servers within half a second."""
    await accounts.keys.revoke(key_id, user_id=None, actor=actor_of(caller))
    return Response(status_code=204, headers=NO_STORE)


async def _expect_admin_left(rooms: Rooms, caller: Principal, user: User, wish: UserChange) -> None:
    if wish.disabled and user.id == caller.tenant_id:
        raise Conflict("You cannot disable yourself.", "不能停用自己的账户。")
    demoted = wish.role is not None and wish.role is not Role.ADMIN
    if user.role is Role.ADMIN and user.disabled_at is None and (demoted or wish.disabled):
        async with rooms.database.write() as within:
            await admins.expect_another(within, user.id)


async def _details(accounts: Accounts, user: User, status: int = 200) -> Response:
    plan = accounts.plans.of(user.plan)
    standing = await accounts.ledger.standing(user.id, plan)
    had = await accounts.subscriptions.get(user.id)
    view = UserDetails(
        **UserView.of(user).model_dump(),
        today=TodayView.of(standing),
        credit=to_text(standing.credit),
        owed=to_text(standing.owed),
        subscription=None if had is None else SubscriptionView.of(had),
    )
    return JSONResponse(view.as_json(), status, NO_STORE)

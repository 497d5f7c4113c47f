"""`/v1/subscription`: the caller's plan, changed and cancelled."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.audit import actor_of
from magic_eraser.accounts.principal import Principal, Scope
from magic_eraser.api.account_bodies import PlanWish, PlanWishBody, body
from magic_eraser.api.accounts import Accounts
from magic_eraser.api.deps import Caller, Needs, TheAccounts, TheRooms
from magic_eraser.api.idempotent import TakesKey, once
from magic_eraser.api.problems import responses
from magic_eraser.api.routes.keys import WithAccounts
from magic_eraser.api.views.account import NO_STORE, SubscriptionView
from magic_eraser.billing.subscriptions.subscription import Subscription
from magic_eraser.billing.tables import SubscriptionState

router = APIRouter(prefix="/v1/subscription", tags=["account"], dependencies=[WithAccounts])


@router.get(
    "",
    dependencies=[Needs(Scope.ACCOUNT_READ)],
    summary="What you pay for",
    response_model=SubscriptionView,
    responses=responses(401, 403, 404, 429, 503),
)
async def show(accounts: TheAccounts, caller: Caller) -> Response:
    """Where nothing is paid for, the state is `ended`."""
    return await _answer(accounts, caller, await accounts.subscriptions.get(caller.tenant_id))


@router.post(
    "",
    dependencies=[Needs(Scope.ACCOUNT), TakesKey],
    summary="Ask for another plan",
    response_model=SubscriptionView,
    responses=responses(401, 403, 404, 408, 409, 413, 422, 429, 503, 507),
    openapi_extra=body(PlanWish),
)
async def change(
    request: Request, rooms: TheRooms, accounts: TheAccounts, caller: Caller, wish: PlanWishBody
) -> Response:
    """A dearer plan is in force when it is paid: `due` says how much, of a running period the difference for what is
    left of it, and `checkout_url` where. A cheaper one comes with the next period. The plan in force drops an earlier
    wish."""

    async def answer() -> Response:
        back = rooms.settings.billing.return_url or str(request.base_url)
        asked = await accounts.subscriptions.request(
            caller.tenant_id, wish.plan, actor=actor_of(caller), return_url=back
        )
        return await _answer(accounts, caller, asked)

    return await once(request, rooms, caller, wish.model_dump(), answer)


@router.delete(
    "",
    dependencies=[Needs(Scope.ACCOUNT)],
    summary="Cancel at the end of the period",
    response_model=SubscriptionView,
    responses=responses(401, 403, 404, 409, 429, 503, 507),
)
async def cancel(accounts: TheAccounts, caller: Caller) -> Response:
    """The plan stays until then. At once, where nothing was paid for yet or a payment is late."""
    left = await accounts.subscriptions.cancel(caller.tenant_id, actor=actor_of(caller))
    return await _answer(accounts, caller, left)


async def _answer(accounts: Accounts, caller: Principal, had: Subscription | None) -> Response:
    if had is None:
        user = await accounts.users.get(caller.tenant_id)
        had = Subscription(user.id, user.plan, SubscriptionState.ENDED, accounts.provider.name)
    return JSONResponse(SubscriptionView.of(had).as_json(), headers=NO_STORE)

"""`/v1/billing`: paying at Stripe. Where plans are not paid for there, these routes are 404."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.audit import actor_of
from magic_eraser.accounts.principal import Scope
from magic_eraser.api.account_bodies import Limit, PlanWish, PlanWishBody, body
from magic_eraser.api.accounts import Accounts
from magic_eraser.api.deps import Caller, Needs, TheAccounts, TheRooms
from magic_eraser.api.problems import responses
from magic_eraser.api.rooms import Rooms
from magic_eraser.api.views.account import NO_STORE, View
from magic_eraser.billing.stripe.inbox import StripeInbox
from magic_eraser.billing.stripe.rows import Parked
from magic_eraser.billing.tables import SubscriptionState
from magic_eraser.errors import BodyTooLarge, Conflict, NotFound, ValidationFailed

MOST_BYTES = 256 * 1024
"""Of a webhook; Stripe's have some KiB."""


class PageView(View):
    """A page of Stripe's."""

    url: str = Field(examples=["https://checkout.stripe.com/c/pay/cs_test_a1b2c3"])
    """Where to go now. It is the user's own: show it to nobody else."""


class ReceivedView(View):
    """The event is in the database."""

    received: bool
    new: bool
    """False where it came before."""


class ParkedView(View):
    """An event that a person has to look at."""

    id: str
    type: str
    received_at: str
    error: str
    """Why, and the way out."""

    @classmethod
    def of(cls, event: Parked) -> ParkedView:
        at = datetime.fromtimestamp(event.received_at, UTC).isoformat(timespec="seconds")
        return cls(id=event.event_id, type=event.type, received_at=at, error=event.error)


class ParkedList(View):
    """The newest first."""

    events: list[ParkedView]


async def _inbox(accounts: TheAccounts) -> StripeInbox:
    if accounts.inbox is None:
        raise NotFound(
            "Plans are not paid for at Stripe here (ERASER_BILLING__PROVIDER).",
            "此服务器未启用 Stripe 付款（ERASER_BILLING__PROVIDER）。",
        )
    return accounts.inbox


TheInbox = Annotated[StripeInbox, Depends(_inbox)]
WithStripe = Depends(_inbox)
"""For routers: 404 where there is none, before anything else is asked."""

router = APIRouter(prefix="/v1", dependencies=[WithStripe])


@router.post(
    "/billing/checkout",
    tags=["billing"],
    dependencies=[Needs(Scope.ACCOUNT)],
    summary="Buy a plan",
    response_model=PageView,
    responses=responses(401, 402, 403, 404, 408, 409, 413, 422, 429, 503, 507),
    openapi_extra=body(PlanWish),
)
async def checkout(
    request: Request, rooms: TheRooms, accounts: TheAccounts, caller: Caller, wish: PlanWishBody
) -> Response:
    """The page of Stripe's where a first period is paid for; the plan is in force some seconds later. Asked again, it
    is the same page while that is open. A plan that is paid for already is changed by `POST /v1/subscription`."""
    await _refuse_running(accounts, caller.tenant_id, wish.plan)
    asked = await accounts.subscriptions.request(
        caller.tenant_id, wish.plan, actor=actor_of(caller), return_url=_return_url(rooms, request)
    )
    if asked is None or asked.checkout_url is None:
        raise Conflict(
            "There is nothing to pay on a page for this; GET /v1/subscription says what is due.",
            "此项无需在线支付；请查看 GET /v1/subscription 中的应付金额。",
        )
    return JSONResponse(PageView(url=asked.checkout_url).as_json(), headers=NO_STORE)


@router.post(
    "/billing/portal",
    tags=["billing"],
    dependencies=[Needs(Scope.ACCOUNT)],
    summary="Invoices and card",
    response_model=PageView,
    responses=responses(401, 403, 404, 409, 429, 503),
)
async def portal(request: Request, rooms: TheRooms, accounts: TheAccounts, caller: Caller) -> Response:
    """The page of Stripe's where invoices are seen, the card is changed and the subscription is cancelled."""
    had = await accounts.subscriptions.get(caller.tenant_id)
    if had is None or not had.customer_ref:
        raise Conflict(
            "Nothing was bought at Stripe yet, so there is no page for it.",
            "尚未通过 Stripe 购买套餐，因此没有可查看的页面。",
        )
    url = await accounts.provider.portal(had.customer_ref, _return_url(rooms, request))
    return JSONResponse(PageView(url=url).as_json(), headers=NO_STORE)


@router.post(
    "/billing/webhook",
    tags=["billing"],
    summary="For Stripe: what has happened",
    response_model=ReceivedView,
    responses={
        **responses(404, 408, 413, 422, 503, 507),
        400: {**responses(400)[400], "description": "Not signed by Stripe for this server, or too long ago"},
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    },
)
async def webhook(
    request: Request,
    inbox: TheInbox,
    signature: Annotated[str | None, Header(alias="Stripe-Signature")] = None,
) -> Response:
    """Stores the event and answers; it is worked on afterwards. Needs no credential but Stripe's signature of the body,
    which is good for five minutes. The same event again changes nothing."""
    new = await inbox.accept(await _read(request), signature)
    return JSONResponse({"received": True, "new": new})


@router.get(
    "/admin/payment-events",
    tags=["admin"],
    dependencies=[Needs(Scope.ADMIN)],
    summary="Events of Stripe that a person has to look at",
    response_model=ParkedList,
    responses=responses(401, 403, 404, 422, 429, 503),
)
async def parked(inbox: TheInbox, limit: Limit = 50) -> Response:
    """Newest first. Each says why nobody works on it any more."""
    events = [ParkedView.of(event) for event in await inbox.parked(limit)]
    return JSONResponse(ParkedList(events=events).as_json(), headers=NO_STORE)


@router.post(
    "/admin/payment-events/{event_id}/retry",
    status_code=204,
    tags=["admin"],
    dependencies=[Needs(Scope.ADMIN)],
    summary="Have such an event worked on once more",
    responses=responses(401, 403, 404, 422, 429, 503, 507),
)
async def retry(
    inbox: TheInbox,
    event_id: Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9_-]+$", description="As in the list")],
) -> Response:
    """Once what it complained of is mended."""
    await inbox.again(event_id)
    return Response(status_code=204)


async def _refuse_running(accounts: Accounts, user_id: str, plan_id: str) -> None:
    plan = accounts.plans.book.find(plan_id)
    if plan is not None and plan.price == 0:
        raise ValidationFailed(
            f'The plan "{plan_id}" costs nothing: POST /v1/subscription changes to it.',
            f"套餐“{plan.title_zh}”无需付费：请使用 POST /v1/subscription 切换。",
        )
    had = await accounts.subscriptions.get(user_id)
    if had is not None and had.begun and had.state is not SubscriptionState.PAST_DUE:
        raise Conflict(
            f'The plan "{had.plan}" is paid for already: POST /v1/subscription changes it.',
            f"套餐“{had.plan}”已付费：请使用 POST /v1/subscription 变更。",
        )


def _return_url(rooms: Rooms, request: Request) -> str:
    return rooms.settings.billing.return_url or str(request.base_url)


async def _read(request: Request) -> bytes:
    """The bytes as they came: the signature is of these."""
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > MOST_BYTES:
            kibibytes = MOST_BYTES // 1024
            raise BodyTooLarge(
                f"A webhook has at most {kibibytes} KiB.", f"Webhook 请求不得超过 {kibibytes} KiB。"
            )
    return bytes(taken)

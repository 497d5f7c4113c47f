"""`/v1/admin`: credit, payments and refunds. Each is known by its `reference`: told twice, it counts once."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.audit import actor_of
from magic_eraser.accounts.money import to_text
from magic_eraser.api.account_bodies import (
    AfterId,
    Credit,
    CreditBody,
    Limit,
    Payment,
    PaymentBody,
    Refund,
    RefundBody,
    UserId,
    body,
)
from magic_eraser.api.deps import Caller, TheAccounts
from magic_eraser.api.problems import responses
from magic_eraser.api.routes.admin.guard import ADMIN
from magic_eraser.api.views.account import NO_STORE, SubscriptionView
from magic_eraser.api.views.admin import PaymentView
from magic_eraser.api.views.csv_answers import DOCUMENTED, AsCsv
from magic_eraser.api.views.ledger_pages import EntryList, EntryView, ledger_page

router = APIRouter(prefix="/v1/admin", tags=["admin"], dependencies=ADMIN)

_FAILS = responses(401, 403, 404, 408, 409, 413, 422, 429, 503, 507)


@router.get(
    "/users/{user_id}/ledger",
    summary="A user's ledger, newest first",
    response_model=EntryList,
    responses={**DOCUMENTED, **responses(401, 403, 404, 422, 429, 503)},
)
async def ledger(
    user_id: UserId, accounts: TheAccounts, as_csv: AsCsv, limit: Limit = 50, after: AfterId = None
) -> Response:
    """As `GET /v1/account/ledger` shows it to the user."""
    await accounts.users.get(user_id)
    return await ledger_page(accounts.ledger, user_id, limit=limit, after=after, as_csv=as_csv)


@router.post(
    "/users/{user_id}/credit",
    status_code=201,
    summary="Give credit",
    response_model=EntryView,
    responses=_FAILS,
    openapi_extra=body(Credit),
)
async def credit(user_id: UserId, accounts: TheAccounts, caller: Caller, wish: CreditBody) -> Response:
    """Bought or given. Told again by the same `reference`, the entry that is there is answered."""
    entry = await accounts.ledger.grant(
        user_id, wish.amount, reference=wish.reference, actor=actor_of(caller), note=wish.note
    )
    return JSONResponse(EntryView.of(entry).as_json(), 201, NO_STORE)


@router.post(
    "/users/{user_id}/payments",
    status_code=201,
    summary="Mark as paid",
    response_model=PaymentView,
    responses=_FAILS,
    openapi_extra=body(Payment),
)
async def payment(user_id: UserId, accounts: TheAccounts, caller: Caller, wish: PaymentBody) -> Response:
    """What came for the user's plan or calls. It puts in force what it was due for: a plan, an upgrade, the next
    period; where nothing is due, it pays calls. Told again by the same `reference`, it counts once."""
    had = await accounts.subscriptions.paid(
        user_id, amount=wish.amount, reference=wish.reference, actor=actor_of(caller), note=wish.note
    )
    user = await accounts.users.get(user_id)
    standing = await accounts.ledger.standing(user_id, accounts.plans.of(user.plan))
    view = PaymentView(
        plan=user.plan,
        credit=to_text(standing.credit),
        owed=to_text(standing.owed),
        subscription=None if had is None else SubscriptionView.of(had),
    )
    return JSONResponse(view.as_json(), 201, NO_STORE)


@router.post(
    "/refunds",
    status_code=201,
    summary="Give back a charge",
    response_model=EntryView,
    responses=_FAILS,
    openapi_extra=body(Refund),
)
async def refund(accounts: TheAccounts, caller: Caller, wish: RefundBody) -> Response:
    """By an entry that makes the charge good; the charge stays. Never more than was charged, each call once, and told
    again by the same `reference`, the entry that is there is answered."""
    entry = await accounts.ledger.refund(
        wish.entry_id,
        amount=wish.amount,
        call=wish.call,
        reference=wish.reference,
        actor=actor_of(caller),
        note=wish.note,
    )
    return JSONResponse(EntryView.of(entry).as_json(), 201, NO_STORE)

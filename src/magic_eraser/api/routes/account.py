"""`/v1/account`: who one is, and what was used and paid."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plans import Plan
from magic_eraser.accounts.principal import Principal, Scope
from magic_eraser.api import language
from magic_eraser.api.account_bodies import AfterId, FirstDay, LastDay, Limit
from magic_eraser.api.accounts import Accounts
from magic_eraser.api.deps import Caller, Needs, TheAccounts, TheRooms
from magic_eraser.api.problems import responses
from magic_eraser.api.views.account import (
    NO_STORE,
    AccountView,
    SubscriptionView,
    TodayView,
    UsageView,
    UserFacts,
    in_order,
)
from magic_eraser.api.views.csv_answers import DOCUMENTED, AsCsv, csv_answer
from magic_eraser.api.views.ledger_pages import EntryList, ledger_page
from magic_eraser.api.views.plans import plan_view
from magic_eraser.usage.reports import By, Report

router = APIRouter(prefix="/v1/account", tags=["account"], dependencies=[Needs(Scope.ACCOUNT_READ)])


@router.get(
    "",
    summary="Who you are, your plan, and the calls that are left",
    response_model=AccountView,
    responses=responses(401, 403, 429, 503),
)
async def show(request: Request, rooms: TheRooms, caller: Caller) -> Response:
    """What the next call will find: the same numbers that refuse it. A caller without a credential, where that is
    allowed, sees the calls of its address."""
    view = AccountView(
        mode=rooms.settings.auth.mode,
        signed_in=False,
        user=None,
        scopes=in_order(caller.scopes),
        plan=None,
        today=None,
        credit=None,
        owed=None,
        subscription=None,
        payments=None,
    )
    if rooms.accounts is not None and caller.plan is not None:
        zh = language.of(request) == "zh"
        view = view.model_copy(update=await _known(rooms.accounts, caller, caller.plan, zh=zh))
    return JSONResponse(view.as_json(), headers=NO_STORE)


async def _known(accounts: Accounts, caller: Principal, plan: Plan, *, zh: bool) -> dict[str, Any]:
    standing = await accounts.ledger.standing(caller, plan)
    counted = {"plan": plan_view(plan, zh=zh), "today": TodayView.of(standing)}
    user = await accounts.users.find(caller.tenant_id)
    if user is None:  # no user's id is that of a caller without a credential
        return counted
    had = await accounts.subscriptions.get(user.id)
    return counted | {
        "signed_in": True,
        "user": UserFacts(id=user.id, email=user.email, role=user.role),
        "credit": to_text(standing.credit),
        "owed": to_text(standing.owed),
        "subscription": None if had is None else SubscriptionView.of(had),
        "payments": accounts.provider.name,
    }


@router.get(
    "/usage",
    summary="What you used, by day, model or key",
    response_model=UsageView,
    response_model_exclude_unset=True,
    responses={**DOCUMENTED, **responses(401, 403, 422, 429, 503)},
)
async def usage(
    rooms: TheRooms,
    caller: Caller,
    as_csv: AsCsv,
    first: FirstDay = None,
    last: LastDay = None,
    by: Annotated[Literal["day", "model", "key"], Query()] = "day",
) -> Response:
    """Of 366 days at most. By day, those without calls are there as well."""
    report = await rooms.usage_reports.usage(By(by), first, last, tenant=caller.tenant_id)
    return usage_answer(report, as_csv=as_csv)


def usage_answer(report: Report, *, as_csv: bool) -> Response:
    """A report as JSON, or as a file."""
    if as_csv:
        return csv_answer(f"usage-{report.by}-{report.first}-{report.last}", report.to_csv(), NO_STORE)
    return JSONResponse(report.to_json(), headers=NO_STORE)


@router.get(
    "/ledger",
    summary="What you were charged, paid and given back, newest first",
    response_model=EntryList,
    responses={**DOCUMENTED, **responses(401, 403, 404, 422, 429, 503)},
)
async def ledger(
    accounts: TheAccounts,
    caller: Caller,
    as_csv: AsCsv,
    limit: Limit = 50,
    after: AfterId = None,
) -> Response:
    """Each line moves an amount from one account to another. Nothing in it is ever changed: what was wrong is put right
    by another line. As CSV, `limit` is not looked at: 10,000 lines at most, and `Link` names the rest."""
    return await ledger_page(accounts.ledger, caller.tenant_id, limit=limit, after=after, as_csv=as_csv)

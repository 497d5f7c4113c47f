"""A tenant's ledger as the wire shows it, page by page."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from starlette.responses import JSONResponse, Response

from magic_eraser.accounts.money import to_text
from magic_eraser.api.views.account import NO_STORE, View, moment
from magic_eraser.api.views.csv_answers import csv_answer
from magic_eraser.billing.entries import Entry
from magic_eraser.billing.ledger import MOST_ENTRIES, Ledger
from magic_eraser.billing.tables import Account
from magic_eraser.usage.csv_text import csv_text

MOST_LINES = 10_000
"""Of one CSV, 1 MB."""
COLUMNS = (
    "id", "at", "source", "calls", "amount", "from", "to", "plan", "note", "original_id",
)  # fmt: skip


class EntryView(View):
    """One line of the ledger: an amount from one account to another."""

    id: int
    at: datetime
    source: str
    """call, refund, grant, payment, fee or proration."""
    calls: int
    """1 for a call, -1 for one given back."""
    amount: str
    from_: Account = Field(alias="from")
    to: Account
    plan: str
    note: str
    original_id: int | None
    """Of a refund: what it gives back."""

    @classmethod
    def of(cls, entry: Entry) -> EntryView:
        return cls.model_validate(
            {
                "id": entry.id,
                "at": moment(entry.at),
                "source": entry.source,
                "calls": entry.calls,
                "amount": to_text(entry.amount),
                "from": entry.from_account,
                "to": entry.to_account,
                "plan": entry.plan,
                "note": entry.note,
                "original_id": entry.original_id,
            }
        )


class EntryList(View):
    """The newest first."""

    entries: list[EntryView]
    next: int | None
    """The `after` of the next page; null on the last."""


async def ledger_page(
    ledger: Ledger, tenant_id: str, *, limit: int, after: int | None, as_csv: bool
) -> Response:
    """Entries, newest first.

    Args:
        limit: most of them, 1..200; of a CSV there are `MOST_LINES`.
        after: the id of the last one of the page before.
    """
    found, following = await _page(ledger, tenant_id, MOST_LINES if as_csv else limit, after)
    views = [EntryView.of(entry) for entry in found]
    if not as_csv:
        return JSONResponse(EntryList(entries=views, next=following).as_json(), headers=NO_STORE)
    rows = [view.as_json() for view in views]
    text = csv_text(COLUMNS, ([row[column] for column in COLUMNS] for row in rows))
    more = {} if following is None else {"Link": f'<?format=csv&after={following}>; rel="next"'}  # RFC 8288
    return csv_answer("ledger", text, {**NO_STORE, **more})


async def _page(
    ledger: Ledger, tenant_id: str, most: int, after: int | None
) -> tuple[list[Entry], int | None]:
    """Up to `most`, and the `after` of the page that follows; None where none does."""
    found: list[Entry] = []
    while len(found) < most:
        wanted = min(MOST_ENTRIES, most - len(found))
        some = await ledger.entries(tenant_id, limit=wanted, after=found[-1].id if found else after)
        found += some
        if len(some) < wanted:
            return found, None
    more = await ledger.entries(tenant_id, limit=1, after=found[-1].id)
    return found, found[-1].id if more else None

"""What Stripe's objects say, as plain dicts; older shapes as well, as the version of events is set at Stripe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from magic_eraser.accounts.plans import MILLICENTS, PlanBook
from magic_eraser.billing.tables import SubscriptionState

STATES: Mapping[str, SubscriptionState] = {
    "active": SubscriptionState.ACTIVE,
    "trialing": SubscriptionState.ACTIVE,
    "past_due": SubscriptionState.PAST_DUE,
    "unpaid": SubscriptionState.PAST_DUE,
    "paused": SubscriptionState.PAST_DUE,
    "incomplete": SubscriptionState.AWAITING,
    "incomplete_expired": SubscriptionState.ENDED,
    "canceled": SubscriptionState.ENDED,
}
WHOLE = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()  # noqa: SIM905 (a list of names)
)
THOUSANDTHS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
"""Currencies whose amounts Stripe does not count in hundredths (docs.stripe.com/currencies)."""


class Unusable(Exception):
    """Nothing that we can act on; the sentence is for the operator."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A subscription as Stripe has it.

    Attributes:
        user_id: ours, as we wrote it there; empty where it was not made by us.
        plan_id: of the book, by its price; empty where no plan has it.
        price: Stripe's id of it.
        item: Stripe's id of the line that has the price.
        period_start, period_end: seconds since 1970.
        cancel_at_end: nothing is charged after the period.
        cancel_flag: whether that is by Stripe's flag, not by a moment.
        pending_price: of a change that waits for its payment; empty for none.
    """

    ref: str
    customer: str
    user_id: str
    plan_id: str
    price: str
    item: str
    state: SubscriptionState
    period_start: float
    period_end: float
    cancel_at_end: bool
    cancel_flag: bool
    pending_price: str
    latest_invoice: str
    livemode: bool


@dataclass(frozen=True, slots=True)
class Paid:
    """An invoice that was paid.

    Attributes:
        amount: in the smallest unit of the currency, as Stripe counts.
        subscription: Stripe's id; empty where it is for none.
    """

    id: str
    amount: int
    currency: str
    subscription: str


def subscription(answer: Mapping[str, Any], book: PlanBook) -> Reading:
    """Read a subscription.

    Raises:
        Unusable: its state is none that we know, or it lacks its price.
    """
    state = STATES.get(answer["status"])
    if state is None:
        raise Unusable(
            f"The subscription {answer['id']} is in the state {answer['status']!r}, which is unknown here."
        )
    by_price = {plan.stripe_price: plan.id for plan in book.plans.values() if plan.stripe_price}
    items = answer["items"]["data"]
    if not items:
        raise Unusable(f"The subscription {answer['id']} has no price.")
    item = next((each for each in items if each["price"]["id"] in by_price), items[0])
    price, metadata = item["price"]["id"], answer.get("metadata") or {}
    end = float(_of_either(item, answer, "current_period_end"))
    remembered = metadata.get("plan", "") if metadata.get("price") == price else ""
    return Reading(
        ref=answer["id"],
        customer=id_of(answer["customer"]),
        user_id=metadata.get("user_id", ""),
        plan_id=by_price.get(price) or (remembered if book.find(remembered) else ""),
        price=price,
        item=item["id"],
        state=state,
        period_start=float(_of_either(item, answer, "current_period_start")),
        period_end=end,
        cancel_at_end=_ends(answer, end),
        cancel_flag=bool(answer.get("cancel_at_period_end")),
        pending_price=_pending(answer),
        latest_invoice=id_of(answer.get("latest_invoice")),
        livemode=bool(answer.get("livemode")),
    )


def paid_invoice(invoice: Mapping[str, Any]) -> Paid:
    """Read an invoice of the event `invoice.paid`."""
    return Paid(
        id=invoice["id"],
        amount=int(invoice["amount_paid"]),
        currency=str(invoice["currency"]).lower(),
        subscription=subscription_of(invoice),
    )


def subscription_of(thing: Mapping[str, Any]) -> str:
    """The id of the subscription that a session, an invoice or a subscription is about; empty for none."""
    if thing.get("object") == "subscription":
        return str(thing["id"])
    parent = (thing.get("parent") or {}).get(
        "subscription_details"
    ) or {}  # invoices, since version 2025-03-31
    return id_of(parent.get("subscription") or thing.get("subscription"))


def millicents(amount: int, currency: str) -> int:
    """Milli-cents of an amount as Stripe counts it."""
    parts = 1 if currency in WHOLE else 1000 if currency in THOUSANDTHS else 100
    return amount * MILLICENTS // parts


def id_of(thing: Any) -> str:
    """The id of what may be an id, the whole object, or nothing."""
    if isinstance(thing, Mapping):
        return str(thing["id"])
    return str(thing or "")


def _of_either(item: Mapping[str, Any], whole: Mapping[str, Any], name: str) -> Any:
    """Until version 2025-03-31, periods were those of the whole."""
    return item[name] if item.get(name) is not None else whole[name]


def _ends(answer: Mapping[str, Any], period_end: float) -> bool:
    """Stripe's own page for customers sets the moment, not the flag, where subscriptions are billed flexibly."""
    at = answer.get("cancel_at")
    return bool(answer.get("cancel_at_period_end")) or (at is not None and at <= period_end)


def _pending(answer: Mapping[str, Any]) -> str:
    items = (answer.get("pending_update") or {}).get("subscription_items") or ()
    return next((str(item["price"]["id"]) for item in items if item.get("price")), "")

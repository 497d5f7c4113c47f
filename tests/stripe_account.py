"""What lies at the stand-in for Stripe, and what its addresses do."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

MONTH = 30 * 86_400


@dataclass
class Refusal(Exception):
    status: int
    message: str
    code: str = ""
    param: str = ""
    type: str = "invalid_request_error"


@dataclass
class Account:
    """What lies at Stripe. `prices`: smallest units a month, by id."""

    prices: dict[str, int]
    currency: str = "usd"
    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    cards_refused: bool = False
    count: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    def id(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}_{self.count:04d}{hashlib.sha1(str(self.count).encode()).hexdigest()[:10]}"

    def make(self, prefix: str, object: str, **values: Any) -> dict[str, Any]:
        made = {
            "id": self.id(prefix),
            "object": object,
            "livemode": False,
            "created": int(time.time()),
            **values,
        }
        self.things[made["id"]] = made
        return made

    def find(self, id: str, object: str, param: str = "id") -> dict[str, Any]:
        found = self.things.get(id)
        if found is None or found["object"] != object:
            raise Refusal(
                404 if param == "id" else 400, f"No such {object}: '{id}'", "resource_missing", param
            )
        return found

    def price(self, id: str, param: str) -> dict[str, Any]:
        if id not in self.prices:
            raise Refusal(400, f"No such price: '{id}'", "resource_missing", param)
        return {"id": id, "object": "price", "unit_amount": self.prices[id], "currency": self.currency}

    def event(self, type: str, thing: dict[str, Any], **values: Any) -> dict[str, Any]:
        told = {
            "id": self.id("evt"),
            "object": "event",
            "api_version": "2026-10-28.endive",
            "livemode": False,
            "created": int(time.time()),
            "type": type,
            "data": {"object": deepcopy(thing)},
            **values,
        }
        self.events.append(told)
        return told

    def invoice(
        self, subscription: dict[str, Any], amount: int, reason: str, *, paid: bool
    ) -> dict[str, Any]:
        details = {"subscription": subscription["id"], "metadata": subscription["metadata"]}
        invoice = self.make(
            "in",
            "invoice",
            customer=subscription["customer"],
            currency=self.currency,
            status="paid" if paid else "open",
            amount_due=amount,
            amount_paid=amount if paid else 0,
            billing_reason=reason,
            hosted_invoice_url="https://invoice.stripe.test/" + str(self.count),
            parent={"type": "subscription_details", "subscription_details": details},
        )
        subscription["latest_invoice"] = invoice["id"]
        return invoice


def new_subscription(account: Account, customer: str, price: str, metadata: dict[str, str]) -> dict[str, Any]:
    start = int(time.time())
    item = {
        "id": account.id("si"),
        "object": "subscription_item",
        "price": account.price(price, "price"),
        "current_period_start": start,
        "current_period_end": start + MONTH,
    }
    return account.make(
        "sub",
        "subscription",
        customer=customer,
        status="active",
        metadata=dict(metadata),
        items={"object": "list", "data": [item], "has_more": False},
        cancel_at_period_end=False,
        cancel_at=None,
        pending_update=None,
        latest_invoice=None,
    )


def answer(account: Account, method: str, path: str, form: dict[str, Any]) -> dict[str, Any]:
    """What Stripe answers to a request, or raises `Refusal`."""
    for verb, pattern, work in _TABLE:
        found = re.fullmatch(pattern, path)
        if verb == method and found:
            return work(account, form, *found.groups())
    raise Refusal(404, f"Unrecognized request URL ({method}: {path}).")


def _new_customer(account: Account, form: dict[str, Any]) -> dict[str, Any]:
    return account.make("cus", "customer", email=form.get("email"), metadata=form.get("metadata", {}))


def _list_sessions(account: Account, form: dict[str, Any]) -> dict[str, Any]:
    account.find(form["customer"], "customer", "customer")
    mine = [
        {name: value for name, value in thing.items() if name != "wanted"}
        for thing in account.things.values()
        if thing["object"] == "checkout.session" and thing["customer"] == form["customer"]
    ]
    return {"object": "list", "data": mine[::-1][: int(form.get("limit", 10))], "has_more": False}


def _new_session(account: Account, form: dict[str, Any]) -> dict[str, Any]:
    if form.get("mode") != "subscription":
        raise Refusal(400, "Not a mode that is tested here.", param="mode")
    for needed in ("success_url", "cancel_url", "client_reference_id"):
        if not form.get(needed):
            raise Refusal(400, f"Missing required param: {needed}.", "parameter_missing", needed)
    account.find(form["customer"], "customer", "customer")
    price = form["line_items"]["0"]["price"]
    account.price(price, "line_items[0][price]")
    made = account.make(
        "cs",
        "checkout.session",
        mode="subscription",
        status="open",
        payment_status="unpaid",
        customer=form["customer"],
        client_reference_id=form["client_reference_id"],
        metadata=form.get("metadata", {}),
        success_url=form["success_url"],
        cancel_url=form["cancel_url"],
        expires_at=int(time.time()) + 86_400,
        subscription=None,
        wanted={"price": price, "metadata": form["subscription_data"]["metadata"]},
    )
    made["url"] = f"https://checkout.stripe.test/c/pay/{made['id']}"
    return made


def _expire(account: Account, _form: dict[str, Any], id: str) -> dict[str, Any]:
    session = account.find(id, "checkout.session")
    if session["status"] != "open":
        raise Refusal(400, "Only Checkout Sessions with a status of open can be expired.")
    session |= {"status": "expired", "url": None}
    return session


def _portal(account: Account, form: dict[str, Any]) -> dict[str, Any]:
    account.find(form["customer"], "customer", "customer")
    url = f"https://billing.stripe.test/p/session/{form['customer']}"
    return account.make("bps", "billing_portal.session", url=url, **form)


def _update(account: Account, form: dict[str, Any], id: str) -> dict[str, Any]:
    subscription = account.find(id, "subscription")
    if subscription["status"] in {"canceled", "incomplete_expired"}:
        raise Refusal(400, "A canceled subscription can only update its cancellation_details and metadata.")
    if "cancel_at_period_end" in form:
        subscription["cancel_at_period_end"] = form["cancel_at_period_end"] == "true"
        end = subscription["items"]["data"][0]["current_period_end"]
        subscription["cancel_at"] = end if subscription["cancel_at_period_end"] else None
    if form.get("cancel_at") == "":
        subscription["cancel_at"] = None
    if "items" in form:
        _change(account, subscription, form)
    else:
        subscription["metadata"] |= form.get("metadata", {})
    account.event("customer.subscription.updated", subscription)
    return subscription


def _change(account: Account, subscription: dict[str, Any], form: dict[str, Any]) -> None:
    item, asked = subscription["items"]["data"][0], form["items"]["0"]
    if asked["id"] != item["id"]:
        raise Refusal(400, "No such subscription item.", "resource_missing", "items[0][id]")
    price = account.price(asked["price"], "items[0][price]")
    subscription["pending_update"] = None
    if form["proration_behavior"] == "always_invoice":
        left = (item["current_period_end"] - time.time()) / MONTH
        amount = round((price["unit_amount"] - item["price"]["unit_amount"]) * left)
        invoice = account.invoice(subscription, amount, "subscription_update", paid=not account.cards_refused)
        account.event("invoice.payment_failed" if account.cards_refused else "invoice.paid", invoice)
        if account.cards_refused:
            assert form["payment_behavior"] == "pending_if_incomplete"
            subscription["pending_update"] = {
                "subscription_items": [{**item, "price": price}],
                "metadata": form.get("metadata", {}),
                "expires_at": int(time.time()) + 23 * 3600,
            }
            return
    item["price"] = price
    subscription["metadata"] |= form.get("metadata", {})


def _cancel(account: Account, _form: dict[str, Any], id: str) -> dict[str, Any]:
    subscription = account.find(id, "subscription")
    if subscription["status"] == "canceled":
        raise Refusal(404, f"No such subscription: '{id}'", "resource_missing", "id")
    subscription["status"] = "canceled"
    account.event("customer.subscription.deleted", subscription)
    return subscription


def _show(object: str) -> Callable[..., dict[str, Any]]:
    return lambda account, _form, name: account.find(name, object)


_TABLE = (
    ("POST", r"/v1/customers", _new_customer),
    ("GET", r"/v1/checkout/sessions", _list_sessions),
    ("POST", r"/v1/checkout/sessions", _new_session),
    ("POST", r"/v1/checkout/sessions/(\w+)/expire", _expire),
    ("POST", r"/v1/billing_portal/sessions", _portal),
    ("GET", r"/v1/subscriptions/(\w+)", _show("subscription")),
    ("POST", r"/v1/subscriptions/(\w+)", _update),
    ("DELETE", r"/v1/subscriptions/(\w+)", _cancel),
    ("GET", r"/v1/invoices/(\w+)", _show("invoice")),
)

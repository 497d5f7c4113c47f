"""Stripe as a test wants it: its REST on this machine, its webhooks with real signatures, and buyers who pay or do not.

    with StripeStandIn(prices={"price_pro": 9900}) as stripe:
        ...                                    # the server makes a checkout session
        events = stripe.pay(stripe.sessions()[-1]["id"])
        body, header = signed(events[0], SECRET)

It speaks the shape of version 2026-10-28: periods on items, an invoice's subscription below `parent`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import time
from copy import deepcopy
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from stripe_account import MONTH, Account, Refusal, answer, new_subscription

KEY = "sk_test_" + "4eC39HqLyjWDarjtT1zdp7dc"
OTHER_REQUEST = {
    "error": {
        "type": "idempotency_error",
        "message": "Keys for idempotent requests go with the same parameters.",
    }
}
SECRET = "whsec_" + "test_of_the_stand_in"


@dataclass
class Asked:
    """One request that came, refused ones as well."""

    method: str
    path: str
    form: dict[str, Any]
    key: str | None


class StripeStandIn:
    """`with StripeStandIn(prices) as stripe`.

    Attributes:
        asked: every request.
        down: None, an HTTP status for all requests, or "hang up".
        lose: paths, of each of which one answer is lost after the work was done.
        hold: cleared, requests wait until it is set.
    """

    def __init__(self, prices: dict[str, int], *, key: str = KEY) -> None:
        self.account = Account(prices)
        self.key = key
        self.asked: list[Asked] = []
        self.down: int | str | None = None
        self.lose: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        self.kept: dict[str, tuple[str, int, dict[str, Any]]] = {}
        self.lock = threading.Lock()
        stand_in = self

        class Handler(_Handler):
            stripe = stand_in

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def all(self, object: str) -> list[dict[str, Any]]:
        """Oldest first."""
        return [thing for thing in self.account.things.values() if thing["object"] == object]

    def sessions(self) -> list[dict[str, Any]]:
        return self.all("checkout.session")

    def posts(self, path: str) -> list[Asked]:
        """Requests that were to change something there."""
        return [asked for asked in self.asked if asked.path == path and asked.method != "GET"]

    # --- what buyers and time do; each returns the events of it, in Stripe's order ---------------------------

    def pay(self, session_id: str) -> list[dict[str, Any]]:
        """The buyer pays on the page."""
        account = self.account
        session = account.find(session_id, "checkout.session")
        assert session["status"] == "open", session["status"]
        wanted = session["wanted"]
        subscription = new_subscription(account, session["customer"], wanted["price"], wanted["metadata"])
        invoice = account.invoice(
            subscription, account.prices[wanted["price"]], "subscription_create", paid=True
        )
        session |= {
            "status": "complete",
            "payment_status": "paid",
            "subscription": subscription["id"],
            "url": None,
        }
        return [
            account.event("customer.subscription.created", subscription),
            account.event("invoice.paid", invoice),
            account.event("checkout.session.completed", session),
        ]

    def renew(self, subscription_id: str, *, paid: bool = True) -> list[dict[str, Any]]:
        """A month passes; a cancelled one ends."""
        account = self.account
        subscription = account.find(subscription_id, "subscription")
        if subscription["cancel_at_period_end"]:
            return self.end(subscription_id)
        item = subscription["items"]["data"][0]
        item["current_period_start"] = item["current_period_end"]
        item["current_period_end"] += MONTH
        price = account.prices[item["price"]["id"]]
        invoice = account.invoice(subscription, price, "subscription_cycle", paid=paid)
        subscription["status"] = "active" if paid else "past_due"
        return [
            account.event("customer.subscription.updated", subscription),
            account.event("invoice.paid" if paid else "invoice.payment_failed", invoice),
        ]

    def settle(self, subscription_id: str) -> list[dict[str, Any]]:
        """The open invoice is paid after all; a change that waited for it is made."""
        account = self.account
        subscription = account.find(subscription_id, "subscription")
        invoice = account.find(subscription["latest_invoice"], "invoice")
        assert invoice["status"] == "open"
        invoice |= {"status": "paid", "amount_paid": invoice["amount_due"]}
        subscription["status"] = "active"
        pending = subscription["pending_update"]
        if pending is not None:
            subscription["items"]["data"][0]["price"] = pending["subscription_items"][0]["price"]
            subscription["metadata"] |= pending["metadata"]
            subscription["pending_update"] = None
        return [
            account.event("invoice.paid", invoice),
            account.event("customer.subscription.updated", subscription),
        ]

    def end(self, subscription_id: str) -> list[dict[str, Any]]:
        subscription = self.account.find(subscription_id, "subscription")
        subscription["status"] = "canceled"
        return [self.account.event("customer.subscription.deleted", subscription)]


def signed(
    event: dict[str, Any] | bytes, secret: str = SECRET, *, at: float | None = None
) -> tuple[bytes, str]:
    """The body and the header `Stripe-Signature` of a webhook.

    Args:
        at: when it was signed, seconds since 1970.
    """
    body = event if isinstance(event, bytes) else json.dumps(event, indent=2).encode()
    moment = int(time.time() if at is None else at)
    text = f"{moment}.".encode() + body
    return body, f"t={moment},v1={hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()}"


def nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`items[0][price]=x` as `{"items": {"0": {"price": "x"}}}`."""
    form: dict[str, Any] = {}
    for name, value in pairs:
        first, *rest = [name.partition("[")[0], *re.findall(r"\[([^\]]*)\]", name)]
        path, place = [first, *rest], form
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = value
    return form


class _Handler(BaseHTTPRequestHandler):
    stripe: StripeStandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: Any) -> None:
        return None

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_DELETE(self) -> None:
        self.answer()

    def answer(self) -> None:
        stripe, address = self.stripe, urlsplit(self.path)
        text = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        form = nested(parse_qsl(text + "&" + address.query, keep_blank_values=True))
        key = self.headers.get("Idempotency-Key")
        stripe.asked.append(Asked(self.command, address.path, form, key))
        stripe.hold.wait()
        if stripe.down == "hang up":
            self.close_connection = True
            return
        with stripe.lock:
            status, body, replayed = self.result(address.path, form, key)
        if address.path in stripe.lose and self.command != "GET":
            stripe.lose.remove(address.path)
            self.close_connection = True
            return
        self.reply(status, body, replayed=replayed)

    def result(self, path: str, form: dict[str, Any], key: str | None) -> tuple[int, dict[str, Any], bool]:
        stripe, sent = self.stripe, json.dumps([self.command, path, form], sort_keys=True)
        try:
            self.check()
            if self.command == "POST" and key in stripe.kept:
                kept, status, body = stripe.kept[key]
                return (status, body, True) if kept == sent else (400, OTHER_REQUEST, False)
            status, body = 200, deepcopy(answer(stripe.account, self.command, path, form))
        except Refusal as refusal:
            error = {"type": refusal.type, "message": refusal.message}
            error |= {name: value for name in ("code", "param") if (value := getattr(refusal, name))}
            status, body = refusal.status, {"error": error}
        if key is not None and self.command == "POST" and status in {200, 402}:
            stripe.kept[key] = (sent, status, body)
        return status, body, False

    def check(self) -> None:
        if isinstance(self.stripe.down, int):
            raise Refusal(self.stripe.down, "Something is wrong on Stripe's end.", type="api_error")
        if self.headers.get("Authorization") != f"Bearer {self.stripe.key}":
            raise Refusal(401, "Invalid API Key provided: sk_test_****", "api_key_invalid")
        if not self.headers.get("Stripe-Version"):
            raise Refusal(400, "No version.")
        kind = self.headers.get("Content-Type")
        if self.command == "POST" and kind != "application/x-www-form-urlencoded":
            raise Refusal(400, f"Not a form: {kind}")

    def reply(self, status: int, body: dict[str, Any], *, replayed: bool) -> None:
        content = json.dumps({name: value for name, value in body.items() if name != "wanted"}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Request-Id", f"req_{len(self.stripe.asked)}")
        if replayed:
            self.send_header("Idempotent-Replayed", "true")
        self.end_headers()
        self.wfile.write(content)

"""`/v1/billing`: Stripe's pages for buyers, and its webhooks, over HTTP and as a client sees them."""

from __future__ import annotations

import json
import logging
import re
import time
from contextlib import contextmanager
from importlib.resources import files

import pytest
from fastapi.testclient import TestClient

from accounts_house import House, accounts_house, assert_problem
from magic_eraser.accounts.principal import Scope
from magic_eraser.api.app import create_app
from magic_eraser.errors import SettingsError
from magic_eraser.settings import AuthSettings, BillingSettings, Settings
from slow_model import SlowInpainter, catalog_with
from stripe_house import PRICES
from stripe_stand_in import KEY, SECRET, StripeStandIn, signed

BACK = "https://eraser.example/account"


@pytest.fixture
def stripe():
    with StripeStandIn(dict(PRICES)) as stripe:
        yield stripe


@pytest.fixture
def settings(tmp_path, stripe):
    plain = (files("magic_eraser.accounts") / "plans.toml").read_text()
    sold = tmp_path / "plans.toml"
    sold.write_text(
        re.sub(r"(\[plans\.(basic|pro|enterprise)\]\n)", r'\1stripe_price = "price_\2"' + "\n", plain)
    )
    return Settings(
        data_dir=tmp_path,
        plans_file=sold,
        auth=AuthSettings(mode="required"),
        billing=BillingSettings(
            provider="stripe",
            stripe_key=KEY,
            stripe_webhook_secret=SECRET,
            stripe_api_base=stripe.address,
            return_url=BACK,
        ),
    )


@contextmanager
def serve(settings):
    app = create_app(settings, catalog=catalog_with(SlowInpainter(seconds=0.1)))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield House(client)


@pytest.fixture
def house(settings):
    with serve(settings) as house:
        yield house


def deliver(house, event, **options):
    body, header = signed(event, **options)
    return house.client.post("/v1/billing/webhook", content=body, headers={"Stripe-Signature": header})


def checkout(house, caller, plan="pro", **body):
    return house.client.post("/v1/billing/checkout", json={"plan": plan, **body}, headers=caller)


def wait_for_plan(house, caller, plan) -> None:
    for _ in range(200):
        if house.client.get("/v1/account", headers=caller).json()["plan"]["id"] == plan:
            return
        time.sleep(0.05)
    raise AssertionError(f"never on {plan}")


def test_from_the_button_to_the_plan(house, stripe):
    alice = house.user("alice", plan="free")
    page = checkout(house, alice)
    assert (page.status_code, page.headers["cache-control"]) == (200, "private, no-store")
    session = stripe.sessions()[0]
    assert page.json() == {"url": session["url"]}
    assert (session["success_url"], session["client_reference_id"]) == (BACK, "alice")

    answers = [deliver(house, event) for event in stripe.pay(session["id"])]
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (200, {"received": True, "new": True})
    ] * 3
    wait_for_plan(house, alice, "pro")
    assert house.client.get("/v1/subscription", headers=alice).json()["state"] == "active"
    assert house.client.get("/v1/account", headers=alice).json()["payments"] == "stripe"

    portal = house.client.post("/v1/billing/portal", headers=alice)
    assert portal.json()["url"].endswith(session["customer"])
    assert_problem(checkout(house, alice, "enterprise"), 409, "conflict")  # a change is no purchase
    assert len(stripe.sessions()) == 1


def test_without_an_address_to_return_to_it_is_the_servers_own(settings, stripe):
    billing = settings.billing.model_copy(update={"return_url": ""})
    with serve(settings.model_copy(update={"billing": billing})) as house:
        checkout(house, house.user("alice", plan="free"))
        assert stripe.sessions()[0]["success_url"] == "http://testserver/"


def test_a_webhook_again_is_answered_as_well_and_does_nothing(house, stripe):
    alice = house.user("alice", plan="free")
    checkout(house, alice)
    event = stripe.pay(stripe.sessions()[0]["id"])[0]
    assert deliver(house, event).json()["new"]
    assert deliver(house, event).json() == {"received": True, "new": False}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_webhook_that_stripe_did_not_sign_is_400(house, stripe, language):
    event = stripe.account.event("customer.created", {"id": "cus_1"})
    body, _ = signed(event)
    headers = {"Accept-Language": language}
    forged = {"Stripe-Signature": signed(event, "whsec_of_somebody_else")[1]}
    for extra in ({}, forged, {"Stripe-Signature": signed(event, at=time.time() - 400)[1]}):
        answer = house.client.post("/v1/billing/webhook", content=body, headers=headers | extra)
        told = assert_problem(answer, 400, "validation_failed")
        assert answer.headers["content-type"] == "application/problem+json"
        assert ("Webhook" in told["detail"]) == (language == "zh")
    assert_problem(deliver(house, b"[]"), 422, "validation_failed")


def test_a_webhook_that_is_too_large_is_not_read_to_its_end(house, stripe):
    event = stripe.account.event("customer.created", {"id": "cus_1", "note": "x" * 300_000})
    assert_problem(deliver(house, event), 413, "body_too_large")


def test_a_credential_beside_a_webhook_is_not_looked_at(house, stripe):
    event = stripe.account.event("customer.created", {"id": "cus_1"})
    body, header = signed(event)
    headers = {"Stripe-Signature": header, "Authorization": "Bearer nonsense"}
    assert house.client.post("/v1/billing/webhook", content=body, headers=headers).status_code == 200


def test_who_may_not_buy(house, stripe):
    assert_problem(checkout(house, {}), 401, "not_authenticated")
    weak = house.user("bob", scopes={Scope.ERASE, Scope.ACCOUNT_READ})
    assert_problem(checkout(house, weak), 403, "insufficient_scope")
    assert_problem(house.client.post("/v1/billing/portal", headers=weak), 403, "insufficient_scope")
    assert_problem(house.client.get("/v1/admin/payment-events", headers=weak), 403, "insufficient_scope")
    assert stripe.asked == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"plan": "gold"}, 422, "validation_failed"),
        ({"plan": "free"}, 422, "validation_failed"),
        ({}, 422, "validation_failed"),
        ({"plan": "pro", "user_id": "bob"}, 422, "validation_failed"),
        ({"plan": "pro", "return_url": "https://evil.example"}, 422, "validation_failed"),
    ],
)
def test_what_cannot_be_bought(house, stripe, body, status, code):
    alice = house.user("alice", plan="free")
    answer = house.client.post("/v1/billing/checkout", json=body, headers=alice)
    assert_problem(answer, status, code)
    assert stripe.sessions() == []


def test_who_never_bought_has_no_page_of_invoices(house, stripe):
    alice = house.user("alice", plan="free")
    assert_problem(house.client.post("/v1/billing/portal", headers=alice), 409, "conflict")


def test_a_stripe_that_is_down_is_503_with_a_time_to_wait(house, stripe):
    alice = house.user("alice", plan="free")
    stripe.down = 503
    answer = checkout(house, alice)
    assert_problem(answer, 503, "provider_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    event = stripe.account.event("customer.subscription.updated", {"id": "sub_1", "object": "subscription"})
    assert deliver(house, event).status_code == 200  # stored, for later


def test_a_refused_card_says_where_to_pay(house, stripe):
    alice = house.user("alice", plan="free")
    checkout(house, alice, "basic")
    for event in stripe.pay(stripe.sessions()[0]["id"]):
        deliver(house, event)
    wait_for_plan(house, alice, "basic")
    stripe.account.cards_refused = True
    answer = house.client.post("/v1/subscription", json={"plan": "pro"}, headers=alice)
    assert assert_problem(answer, 402, "payment_required")["pay_url"].startswith(
        "https://invoice.stripe.test/"
    )


def test_an_admin_sees_what_nobody_could_work_on_and_has_it_done_again(house, stripe):
    root, alice = house.admin(), house.user("alice", plan="free")
    checkout(house, alice)
    event = stripe.pay(stripe.sessions()[0]["id"])[0]
    subscription = stripe.account.things[stripe.sessions()[0]["subscription"]]
    kept, subscription["metadata"] = subscription["metadata"], {}
    deliver(house, event)
    for _ in range(200):
        listed = house.client.get("/v1/admin/payment-events", headers=root).json()["events"]
        if listed:
            break
        time.sleep(0.05)
    assert (listed[0]["id"], listed[0]["type"]) == (event["id"], "customer.subscription.created")
    assert "nobody's here" in listed[0]["error"]

    subscription["metadata"] = kept
    again = f"/v1/admin/payment-events/{event['id']}/retry"
    assert house.client.post(again, headers=root).status_code == 204
    wait_for_plan(house, alice, "pro")
    assert house.client.get("/v1/admin/payment-events", headers=root).json() == {"events": []}
    assert_problem(house.client.post(again, headers=root), 404, "not_found")


def test_neither_secrets_nor_what_stripe_tells_is_logged(house, stripe, caplog):
    caplog.set_level(logging.DEBUG)
    alice = house.user("alice", plan="free", email="alice@example.org")
    checkout(house, alice)
    for event in stripe.pay(stripe.sessions()[0]["id"]):
        deliver(house, event)
    wait_for_plan(house, alice, "pro")
    stripe.key = "sk_test_other"
    assert house.client.post("/v1/billing/portal", headers=alice).status_code == 503
    lines = [
        record.getMessage() for record in caplog.records if record.name != "aiosqlite"
    ]  # which tells every row
    for secret in (KEY, SECRET, "alice@example.org", "hosted_invoice_url", "cs_0"):
        assert [line for line in lines if secret in line] == []
    assert any("stripe_event_done" in line for line in lines)


@pytest.mark.parametrize("path", ["checkout", "portal", "webhook"])
def test_without_stripe_these_are_404(tmp_path, path):
    with accounts_house(tmp_path) as house:
        alice = house.user("alice", plan="free")
        answer = house.client.post(f"/v1/billing/{path}", json={"plan": "pro"}, headers=alice)
        assert "Stripe" in assert_problem(answer, 404, "not_found")["detail"]


def test_without_accounts_these_are_404(settings):
    with serve(settings.model_copy(update={"auth": AuthSettings()})) as house:
        assert_problem(house.client.post("/v1/billing/webhook", content=b"{}"), 404, "not_found")


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ({"stripe_key": ""}, "ERASER_BILLING__STRIPE_KEY"),
        ({"stripe_key": "pk_test_abc"}, "ERASER_BILLING__STRIPE_KEY"),
        ({"stripe_webhook_secret": ""}, "ERASER_BILLING__STRIPE_WEBHOOK_SECRET"),
        ({"stripe_api_base": "http://stripe.example"}, "ERASER_BILLING__STRIPE_API_BASE"),
    ],
)
def test_a_server_that_lacks_what_it_needs_for_stripe_does_not_start(settings, missing, named):
    given = json.loads(settings.billing.model_dump_json()) | {
        "stripe_key": KEY, "stripe_webhook_secret": SECRET, **missing,
    }  # fmt: skip
    with pytest.raises(SettingsError, match=named) as told:
        create_app(settings.model_copy(update={"billing": BillingSettings(**given)}))
    assert KEY not in str(told.value)

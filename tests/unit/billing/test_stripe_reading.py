"""What Stripe's objects say, in the shapes that they have."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.accounts.money import to_text
from magic_eraser.billing.stripe.link import StripeLink, intent_key
from magic_eraser.billing.stripe.reading import (
    STATES,
    Unusable,
    id_of,
    millicents,
    subscription,
    subscription_of,
)
from magic_eraser.billing.stripe.signature import TOLERANCE, NotFromStripe, check
from magic_eraser.billing.tables import SubscriptionState
from magic_eraser.errors import SettingsError
from stripe_house import book
from stripe_stand_in import KEY, SECRET, signed

BOOK = book()


def shown(**values):
    """A subscription as Stripe answers."""
    item = {
        "id": "si_1",
        "price": {"id": "price_pro"},
        "current_period_start": 100,
        "current_period_end": 200,
    }
    facts = {
        "id": "sub_1", "object": "subscription", "status": "active", "customer": "cus_1", "livemode": False,
        "metadata": {"user_id": "alice"}, "items": {"data": [item]}, "cancel_at_period_end": False, "cancel_at": None,
        "pending_update": None, "latest_invoice": "in_1",
    }  # fmt: skip
    return {**facts, **values}


def test_a_subscription_is_read():
    reading = subscription(shown(), BOOK)
    assert (reading.ref, reading.customer, reading.user_id) == ("sub_1", "cus_1", "alice")
    assert (reading.plan_id, reading.price, reading.item) == ("pro", "price_pro", "si_1")
    assert (reading.state, reading.period_start, reading.period_end) == (
        SubscriptionState.ACTIVE,
        100.0,
        200.0,
    )
    assert (reading.cancel_at_end, reading.pending_price, reading.latest_invoice) == (False, "", "in_1")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("active", "active"), ("trialing", "active"), ("past_due", "past_due"), ("unpaid", "past_due"),
        ("paused", "past_due"), ("incomplete", "awaiting_payment"), ("incomplete_expired", "ended"),
        ("canceled", "ended"),
    ],
)  # fmt: skip
def test_each_state_of_stripes_is_one_of_ours(status, state):
    assert str(subscription(shown(status=status), BOOK).state) == state
    assert len(STATES) == 8


def test_a_state_of_tomorrow_is_left_to_a_person():
    with pytest.raises(Unusable, match="hibernating"):
        subscription(shown(status="hibernating"), BOOK)
    with pytest.raises(Unusable, match="no price"):
        subscription(shown(items={"data": []}), BOOK)


@pytest.mark.parametrize(
    ("values", "ends", "flag"),
    [
        ({"cancel_at_period_end": True, "cancel_at": 200}, True, True),
        ({"cancel_at": 200}, True, False),
        ({"cancel_at": 900}, False, False),  # at the end of a later period
        ({}, False, False),
    ],
)
def test_it_ends_with_the_period_by_the_flag_or_by_the_moment(values, ends, flag):
    reading = subscription(shown(**values), BOOK)
    assert (reading.cancel_at_end, reading.cancel_flag) == (ends, flag)


def test_of_several_prices_the_one_of_a_plan_counts():
    item = shown()["items"]["data"][0]
    other = {**item, "id": "si_0", "price": {"id": "price_support"}}
    assert subscription(shown(items={"data": [other, item]}), BOOK).item == "si_1"


def test_the_plan_that_was_bought_is_remembered_with_its_price_only():
    items = {"data": [{**shown()["items"]["data"][0], "price": {"id": "price_last_year"}}]}
    told = {"user_id": "alice", "plan": "basic", "price": "price_last_year"}
    assert subscription(shown(items=items, metadata=told), BOOK).plan_id == "basic"
    assert subscription(shown(items=items, metadata={**told, "price": "price_else"}), BOOK).plan_id == ""
    assert subscription(shown(items=items, metadata={**told, "plan": "gold"}), BOOK).plan_id == ""
    assert (
        subscription(shown(metadata={**told, "price": "price_pro"}), BOOK).plan_id == "pro"
    )  # by its price first
    assert subscription(shown(metadata=None), BOOK).user_id == ""


def test_a_plan_without_a_price_is_not_that_of_a_subscription_without_one():
    unsold = replace(BOOK, plans={each.id: replace(each, stripe_price="") for each in BOOK.plans.values()})
    assert subscription(shown(), unsold).plan_id == ""


def test_whose_subscription_an_invoice_or_a_session_is():
    new = {"object": "invoice", "parent": {"subscription_details": {"subscription": "sub_1"}}}
    assert subscription_of(new) == "sub_1"
    assert subscription_of({"object": "invoice", "subscription": "sub_1"}) == "sub_1"
    assert subscription_of({"object": "checkout.session", "subscription": {"id": "sub_1"}}) == "sub_1"
    assert subscription_of({"object": "invoice", "parent": None, "subscription": None}) == ""
    assert subscription_of({"object": "subscription", "id": "sub_1"}) == "sub_1"
    assert (id_of(None), id_of("x"), id_of({"id": "x"})) == ("", "x", "x")


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (9900, "usd", "99.00"),
        (1, "eur", "0.01"),
        (9900, "jpy", "9900.00"),
        (9900, "kwd", "9.90"),
        (1, "kwd", "0.001"),
    ],
)
def test_amounts_are_counted_as_the_currency_is(amount, currency, text):
    assert to_text(millicents(amount, currency)) == text


@given(st.lists(st.integers(0, 10**9)), st.sampled_from(["usd", "jpy", "kwd"]))
def test_no_part_of_an_amount_is_lost(amounts, currency):
    assert sum(millicents(amount, currency) for amount in amounts) == millicents(sum(amounts), currency)


# --- signatures, keys ------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.integers(0, 199), st.integers(1, 255))
def test_a_signature_is_good_for_its_bytes_only(body, place, change):
    try:
        body.decode()
    except UnicodeDecodeError:
        with pytest.raises(NotFromStripe):  # Stripe sends UTF-8
            check(*signed(body), SECRET)
        return
    sent, header = signed(body)
    check(sent, header, SECRET)
    if body:
        altered = bytearray(body)
        altered[place % len(body)] ^= change
        with pytest.raises(NotFromStripe):
            check(bytes(altered), header, SECRET)
    with pytest.raises(NotFromStripe):
        check(sent, header, SECRET + "x")


@given(st.text(max_size=60))
def test_whatever_stands_in_the_header_is_refused_in_one_way(header):
    with pytest.raises(NotFromStripe):
        check(b"{}", header, SECRET)


def test_a_signature_is_good_for_five_minutes():
    check(*signed(b"{}", at=time.time() - TOLERANCE + 5), SECRET)
    with pytest.raises(NotFromStripe):
        check(*signed(b"{}", at=time.time() - TOLERANCE - 5), SECRET)


def test_one_of_several_signatures_is_enough_while_the_secret_is_changed():
    body, new = signed(b"{}")
    old = signed(b"{}", "whsec_old")[1].partition(",")[2]
    check(body, f"{new},{old}", SECRET)


def test_the_same_intent_has_the_same_key_and_another_one_another():
    assert intent_key("buy", {"a": 1, "b": 2}) == intent_key("buy", {"b": 2, "a": 1})
    others = [
        intent_key("buy", {"a": 1}),
        intent_key("buy", {"a": 2}),
        intent_key("buy", {"a": 1}, ""),
        intent_key("x"),
    ]
    assert len(set(others)) == 4
    assert all(len(key) <= 255 for key in others)


@pytest.mark.parametrize("key", ["", "pk_test_abc", "sk_test_ä", "sk_test_a b", "sk_test_a\n"])
def test_what_is_no_secret_key_stops_the_start_and_is_not_repeated(key):
    with pytest.raises(SettingsError, match="STRIPE_KEY") as told:
        StripeLink(key)
    assert not key or key.strip() not in str(told.value)


@pytest.mark.parametrize(
    "base", ["http://stripe.example", "ftp://127.0.0.1", "127.0.0.1:80", "http://127.0.0.1.example"]
)
def test_the_key_is_sent_over_https_or_to_this_machine(base):
    with pytest.raises(SettingsError, match="STRIPE_API_BASE"):
        StripeLink(KEY, api_base=base)


@pytest.mark.parametrize(
    ("key", "live"),
    [("sk_test_1", False), ("rk_test_1_2", False), ("sk_live_1", True), ("rk_live_1", True), ("x", None)],
)
def test_a_key_says_whether_money_is_real(key, live):
    link = StripeLink(key, api_base="http://127.0.0.1:1")
    assert link.livemode is live
    assert key not in repr(vars(link)) or key == "x"

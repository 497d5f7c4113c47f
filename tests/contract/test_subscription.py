"""`/v1/subscription`: asked for, paid, cancelled."""

from __future__ import annotations

import pytest

from accounts_house import accounts_house, assert_problem
from magic_eraser.accounts.principal import Scope


@pytest.fixture
def house(tmp_path):
    with accounts_house(tmp_path) as house:
        yield house


def wish(house, caller, plan, **headers):
    return house.client.post("/v1/subscription", json={"plan": plan}, headers=caller | headers)


def test_who_pays_nothing_has_no_period(house):
    alice = house.user("alice", plan="free")
    shown = house.client.get("/v1/subscription", headers=alice)
    assert shown.json() == {
        "plan": "free", "state": "ended", "wanted_plan": None, "wanted_at": None, "due": "0.00", "period_start": None,
        "period_end": None, "grace_until": None, "provider": "manual", "checkout_url": None,
    }  # fmt: skip
    assert shown.headers["cache-control"] == "private, no-store"


def test_a_dearer_plan_waits_for_its_payment_and_is_then_in_force(house):
    alice, root = house.user("alice", plan="free"), house.admin()

    asked = wish(house, alice, "basic")
    assert asked.status_code == 200
    assert (asked.json()["state"], asked.json()["wanted_plan"], asked.json()["due"]) == (
        "awaiting_payment", "basic", "29.00",
    )  # fmt: skip
    assert house.client.get("/v1/account", headers=alice).json()["plan"]["id"] == "free"

    paid = house.client.post("/v1/admin/users/alice/payments", json={"reference": "bank-1"}, headers=root)
    assert (paid.status_code, paid.json()["plan"]) == (201, "basic")
    account = house.client.get("/v1/account", headers=alice).json()
    assert (account["plan"]["id"], account["subscription"]["state"]) == ("basic", "active")
    assert account["today"]["limit"] == 100


def test_cancelled_it_stays_to_the_end_of_the_period(house):
    alice, root = house.user("alice", plan="free"), house.admin()
    wish(house, alice, "basic")
    house.client.post("/v1/admin/users/alice/payments", json={"reference": "bank-1"}, headers=root)

    left = house.client.delete("/v1/subscription", headers=alice)

    assert left.status_code == 200
    assert (left.json()["wanted_plan"], left.json()["wanted_at"]) == ("free", left.json()["period_end"])
    assert house.client.get("/v1/account", headers=alice).json()["plan"]["id"] == "basic"
    assert_problem(house.client.delete("/v1/subscription", headers=alice), 409, "conflict")


def test_a_wish_sent_twice_is_answered_twice_and_made_once(house):
    alice, root = house.user("alice", plan="free"), house.admin()
    first = wish(house, alice, "basic", **{"Idempotency-Key": "wish"})
    again = wish(house, alice, "basic", **{"Idempotency-Key": "wish"})
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert [action for _, action in house.audit(root, "alice")].count("subscription.requested") == 1
    other = wish(house, alice, "pro", **{"Idempotency-Key": "wish"})
    assert_problem(other, 422, "idempotency_mismatch")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"plan": "gold"}, 422, "validation_failed"),
        ({"plan": ""}, 422, "validation_failed"),
        ({}, 422, "validation_failed"),
        ({"plan": "pro", "due": "0"}, 422, "validation_failed"),
        ({"plan": "pro", "user_id": "bob"}, 422, "validation_failed"),
        ({"plan": "free"}, 409, "conflict"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(house, body, status, code):
    alice = house.user("alice", plan="free")
    assert_problem(house.client.post("/v1/subscription", json=body, headers=alice), status, code)
    assert house.client.get("/v1/account", headers=alice).json()["subscription"] is None


def test_there_is_nothing_to_cancel_where_nothing_is_paid_for(house):
    alice = house.user("alice", plan="free")
    assert_problem(house.client.delete("/v1/subscription", headers=alice), 409, "conflict")


def test_a_key_that_may_only_look_cannot_change_the_plan(house):
    house.user("alice", plan="free")
    looks = house.key("alice", scopes={Scope.ACCOUNT_READ})
    assert house.client.get("/v1/subscription", headers=looks).status_code == 200
    assert_problem(wish(house, looks, "pro"), 403, "insufficient_scope")
    assert_problem(house.client.delete("/v1/subscription", headers=looks), 403, "insufficient_scope")

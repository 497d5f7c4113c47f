"""`/v1/admin`: credit, payments and refunds, each once however often it is told."""

from __future__ import annotations

import pytest

from accounts_house import accounts_house, assert_problem


@pytest.fixture
def house(tmp_path):
    with accounts_house(tmp_path) as house:
        yield house


@pytest.fixture
def root(house):
    return house.admin()


@pytest.fixture
def charged(house, coffee_png, dot_png):
    """The id of a charge of 0.10 to alice, who is on basic; her headers."""
    alice = house.user("alice", plan="basic")
    files = {"image": ("a.png", coffee_png), "mask": ("b.png", dot_png)}
    erased = house.client.post("/v1/erase", files=files, data={"model": "telea"}, headers=alice)
    assert erased.status_code == 200
    (entry,) = house.client.get("/v1/account/ledger", headers=alice).json()["entries"]
    return entry["id"], alice


def account(house, caller):
    return house.client.get("/v1/account", headers=caller).json()


def test_credit_is_given_once_however_often_it_is_told(house, root):
    alice = house.user("alice")
    gift = {"amount": "12.50", "reference": "voucher-17", "note": "welcome"}
    first, again = (
        house.client.post("/v1/admin/users/alice/credit", json=gift, headers=root) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert (first.json()["from"], first.json()["to"], first.json()["amount"]) == (
        "outside",
        "credit",
        "12.50",
    )
    assert account(house, alice)["credit"] == "12.50"
    other = house.client.post("/v1/admin/users/alice/credit", json=gift | {"amount": "13"}, headers=root)
    assert_problem(other, 409, "conflict")
    assert [action for _, action in house.audit(root, "alice")].count("money.grant") == 1


@pytest.mark.parametrize(
    "amount",
    [
        "-1", "0", "", "1e3", "1_000", "NaN", "Infinity", "0.000001", "１", "١", " 1", "1\n", "9" * 11,
        1, 1.5, None, True, [],
    ],
)  # fmt: skip
def test_an_amount_is_a_plain_decimal_above_nothing(house, root, amount):
    alice = house.user("alice")
    body = {"amount": amount, "reference": "x"}
    refused = house.client.post("/v1/admin/users/alice/credit", json=body, headers=root)
    assert_problem(refused, 422, "validation_failed")
    assert account(house, alice)["credit"] == "0.00"


@pytest.mark.parametrize("reference", ["", " ", "x" * 61, "a\u0000b", 7, None])
def test_a_reference_is_one_short_line(house, root, reference):
    house.user("alice")
    body = {"amount": "1", "reference": reference}
    refused = house.client.post("/v1/admin/users/alice/credit", json=body, headers=root)
    assert_problem(refused, 422, "validation_failed")


def test_a_payment_of_calls_takes_off_what_is_owed(house, root, charged):
    _, alice = charged
    paid = house.client.post("/v1/admin/users/alice/payments", json={"reference": "bank-1"}, headers=root)
    assert (paid.status_code, paid.json()["owed"]) == (201, "0.00")
    assert account(house, alice)["owed"] == "0.00"
    again = house.client.post("/v1/admin/users/alice/payments", json={"reference": "bank-1"}, headers=root)
    assert again.status_code == 201
    sources = [
        entry["source"] for entry in house.client.get("/v1/account/ledger", headers=alice).json()["entries"]
    ]
    assert sources == ["payment", "call"]


def test_where_nothing_is_due_nothing_is_marked(house, root):
    house.user("alice")
    refused = house.client.post("/v1/admin/users/alice/payments", json={"reference": "bank-1"}, headers=root)
    assert_problem(refused, 409, "conflict")


def test_a_refund_gives_back_money_and_call_once(house, root, charged):
    entry, alice = charged
    wish = {"entry_id": entry, "reference": "ticket-1", "note": "smeared"}
    first, again = (house.client.post("/v1/admin/refunds", json=wish, headers=root) for _ in range(2))
    assert first.status_code == 201
    assert again.json() == first.json()
    told = {name: first.json()[name] for name in ("source", "calls", "amount", "original_id", "note")}
    assert told == {
        "source": "refund",
        "calls": -1,
        "amount": "0.10",
        "original_id": entry,
        "note": "smeared",
    }
    after = account(house, alice)
    assert (after["owed"], after["today"]["used"]) == ("0.00", 0)
    other = house.client.post("/v1/admin/refunds", json=wish | {"reference": "ticket-2"}, headers=root)
    assert_problem(other, 409, "conflict")
    charge = house.client.get("/v1/account/ledger", headers=alice).json()["entries"][-1]
    assert (charge["id"], charge["amount"]) == (entry, "0.10")  # it stays as it was


def test_a_part_may_be_given_back_and_the_call_kept(house, root, charged):
    entry, alice = charged
    wish = {"entry_id": entry, "amount": "0.04", "call": False, "reference": "t1"}
    assert house.client.post("/v1/admin/refunds", json=wish, headers=root).status_code == 201
    after = account(house, alice)
    assert (after["owed"], after["today"]["used"]) == ("0.06", 1)
    more = {"entry_id": entry, "amount": "0.07", "call": False, "reference": "t2"}
    assert_problem(house.client.post("/v1/admin/refunds", json=more, headers=root), 409, "conflict")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": "-0.10"}, 422, "validation_failed"),
        ({"amount": "0", "call": False}, 422, "validation_failed"),
        ({"amount": "0.11"}, 409, "conflict"),
        ({"entry_id": 0}, 422, "validation_failed"),
        ({"entry_id": 2**62}, 404, "not_found"),
        ({"entry_id": 2**63}, 422, "validation_failed"),
        ({"entry_id": 10**400}, 422, "validation_failed"),
        ({"user_id": "mallory"}, 422, "validation_failed"),
    ],
)
def test_a_refund_that_cannot_be_is_refused(house, root, charged, change, status, code):
    entry, alice = charged
    wish = {"entry_id": entry, "reference": "t"} | change
    assert_problem(house.client.post("/v1/admin/refunds", json=wish, headers=root), status, code)
    assert account(house, alice)["owed"] == "0.10"


def test_money_in_the_audit_log_says_who_moved_it(house, root, charged):
    entry, _ = charged
    house.client.post("/v1/admin/refunds", json={"entry_id": entry, "reference": "t"}, headers=root)
    actor, action = house.audit(root, "alice")[-1]
    assert (actor.split("/")[0], action) == ("root", "money.refund")

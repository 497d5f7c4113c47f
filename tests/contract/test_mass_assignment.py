"""Nobody sets what is not theirs to set, by naming it: OWASP API3:2023."""

from __future__ import annotations

from pathlib import Path

import pytest

from accounts_house import accounts_house, assert_problem
from magic_eraser.api.app import create_app
from magic_eraser.settings import Settings

PRIVILEGED = [
    "user_id", "tenant_id", "id", "role", "plan", "credit", "owed", "used", "scopes", "made_by", "disabled_at",
    "created_at", "digest", "pepper_id", "unit_price", "units", "actor", "priority", "state", "due", "period_end",
    "__class__", "$ref",
]  # fmt: skip
BODIES = {
    "POST /v1/keys": {"name": "x"},
    "POST /v1/keys/{key_id}/rotate": {"overlap_seconds": 0},
    "POST /v1/subscription": {"plan": "basic"},
    "POST /v1/billing/checkout": {"plan": "basic"},
    "POST /v1/admin/users": {"id": "new"},
    "PATCH /v1/admin/users/{user_id}": {"role": "user"},
    "POST /v1/admin/users/{user_id}/keys": {"name": "x"},
    "POST /v1/admin/users/{user_id}/credit": {"amount": "1", "reference": "r"},
    "POST /v1/admin/users/{user_id}/payments": {"amount": "1", "reference": "r"},
    "POST /v1/admin/refunds": {"entry_id": 1, "reference": "r"},
}
"""A good one of each."""
FOREIGN = {"POST /v1/billing/webhook"}
"""Stripe's own, and signed."""
ALL = create_app(Settings(data_dir=Path("/nonexistent"))).openapi()["paths"]
WITH_JSON = [
    f"{method.upper()} {path}"
    for path, methods in ALL.items()
    for method, operation in methods.items()
    if path.startswith("/v1/") and "application/json" in operation.get("requestBody", {}).get("content", {})
]
PICTURES = {"POST /v1/erase", "POST /v1/images"}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with accounts_house(tmp_path_factory.mktemp("house"), stripe=True) as house:
        yield house


@pytest.fixture(scope="module")
def root(house):
    return house.admin()


@pytest.fixture(scope="module")
def bob(house):
    return house.user("bob", plan="basic")


def test_every_body_of_ours_is_known_to_this_test():
    assert set(WITH_JSON) == {*BODIES, *FOREIGN, *PICTURES}


@pytest.mark.parametrize("operation", BODIES)
def test_the_document_says_that_no_other_fields_are_taken(operation):
    method, _, path = operation.partition(" ")
    schema = ALL[path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("operation", BODIES)
def test_a_field_that_is_not_named_is_refused_and_nothing_is_done(house, root, bob, operation):
    method, _, path = operation.partition(" ")
    schema = ALL[path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    path = path.replace("{user_id}", "bob").replace("{key_id}", "none")
    before = snapshot(house, root, bob)
    foreign = [name for name in PRIVILEGED if name not in schema["properties"]]
    assert len(foreign) > 15
    for name in foreign:
        body = {**BODIES[operation], name: "admin"}
        refused = house.client.request(method, path, json=body, headers=root)
        problem = assert_problem(refused, 422, "validation_failed")
        assert [fault["pointer"] for fault in problem["errors"]] == [f"/{name}"]
    assert snapshot(house, root, bob) == before


@pytest.mark.parametrize("name", PRIVILEGED[:-2])
def test_an_erase_takes_no_field_of_an_account(house, bob, coffee_png, dot_png, name):
    files = {"image": ("a.png", coffee_png), "mask": ("b.png", dot_png)}
    fields = {"model": "telea", name: "admin"}
    refused = house.client.post("/v1/erase", files=files, data=fields, headers=bob)
    assert_problem(refused, 422, "validation_failed")


@pytest.mark.parametrize("name", ["user_id", "tenant_id", "user", "tenant", "id"])
def test_whose_account_it_is_says_the_credential_alone(house, root, bob, name):
    """Neither a parameter nor a header of another's name."""
    headers = bob | {
        f"X-{name.replace('_', '-')}": "root",
        "X-Forwarded-User": "root",
        "X-Remote-User": "root",
    }
    shown = house.client.get(f"/v1/account?{name}=root", headers=headers).json()
    assert shown["user"]["id"] == "bob"
    keys = house.client.get(f"/v1/keys?{name}=root", headers=headers).json()["keys"]
    assert {key["made_by"] for key in keys} == {"cli:test"}
    assert len(keys) == 1


def test_a_body_given_as_a_form_is_no_body(house, root):
    refused = house.client.post("/v1/admin/users", data={"id": "formed"}, headers=root)
    assert_problem(refused, 422, "validation_failed")


def test_of_a_field_given_twice_the_answer_says_which_one_counts(house, root):
    content = b'{"id": "twice", "role": "user", "role": "admin"}'
    made = house.client.post("/v1/admin/users", content=content, headers=root)
    shown = house.client.get("/v1/admin/users/twice", headers=root).json()
    assert made.json()["role"] == shown["role"] == "admin"  # what the answer says is what was done


def snapshot(house, root, bob):
    """Everything that a field could have changed."""
    paths = (
        "/v1/admin/users",
        "/v1/admin/users/bob",
        "/v1/admin/users/bob/keys",
        "/v1/admin/users/bob/ledger",
    )
    seen = [house.client.get(path, headers=root).json() for path in paths]
    deeds = house.client.get("/v1/admin/audit?limit=200", headers=root).json()["entries"]
    for found in seen:
        for key in found.get("keys", []):
            key.pop("last_used_at")
    return seen, [deed["id"] for deed in deeds]

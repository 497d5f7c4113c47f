"""`/v1/admin/users` and keys: whom the operator lets in."""

from __future__ import annotations

import pytest

from accounts_house import accounts_house, assert_problem
from magic_eraser.accounts.tables import Role


@pytest.fixture
def house(tmp_path):
    with accounts_house(tmp_path) as house:
        yield house


@pytest.fixture
def root(house):
    return house.admin()


def test_a_user_is_made_and_gets_a_key_and_calls(house, root, coffee_png, dot_png):
    made = house.client.post(
        "/v1/admin/users", json={"id": "alice", "email": "alice@example.com", "plan": "basic"}, headers=root
    )
    assert made.status_code == 201
    assert made.headers["cache-control"] == "private, no-store"
    told = {
        name: made.json()[name] for name in ("id", "email", "plan", "role", "disabled_at", "credit", "owed")
    }
    assert told == {
        "id": "alice", "email": "alice@example.com", "plan": "basic", "role": "user", "disabled_at": None,
        "credit": "0.00", "owed": "0.00",
    }  # fmt: skip

    key = house.client.post("/v1/admin/users/alice/keys", json={"name": "shop"}, headers=root)
    assert (key.status_code, key.json()["scopes"]) == (201, ["erase", "jobs", "account:read"])
    alice = {"x-api-key": key.json()["key"]}
    files = {"image": ("a.png", coffee_png), "mask": ("b.png", dot_png)}
    erased = house.client.post("/v1/erase", files=files, data={"model": "telea"}, headers=alice)
    assert erased.status_code == 200
    shown = house.client.get("/v1/admin/users/alice", headers=root).json()
    assert (shown["today"]["used"], shown["owed"]) == (1, "0.10")
    ledger = house.client.get("/v1/admin/users/alice/ledger", headers=root).json()
    assert [entry["source"] for entry in ledger["entries"]] == ["call"]


def test_a_user_starts_on_the_default_plan(house, root):
    made = house.client.post("/v1/admin/users", json={"id": "bob"}, headers=root)
    assert (made.json()["plan"], made.json()["role"]) == ("free", "user")


@pytest.mark.parametrize(
    "body",
    [
        {}, {"id": ""}, {"id": "local"}, {"id": "anonymous@1.2.3.4"}, {"id": "a b"}, {"id": "a" * 101},
        {"id": "a\u0000"}, {"id": "é"}, {"id": 7}, {"id": "x", "plan": "gold"}, {"id": "x", "role": "owner"},
        {"id": "x", "email": "no address"}, {"id": "x", "email": "a@b\u0000"}, {"id": "x", "credit": "1000"},
        {"id": "x", "tokens_after": 0}, {"id": "x", "created_at": 0},
    ],
)  # fmt: skip
def test_a_user_that_cannot_be_is_refused(house, root, body):
    refused = house.client.post("/v1/admin/users", json=body, headers=root)
    assert_problem(refused, 422, "validation_failed")


def test_nobody_is_made_twice(house, root):
    assert house.client.post("/v1/admin/users", json={"id": "bob"}, headers=root).status_code == 201
    assert_problem(house.client.post("/v1/admin/users", json={"id": "bob"}, headers=root), 409, "conflict")


def test_the_list_is_searched_and_paged(house, root):
    for name in ("anna", "bert", "carl", "dora"):
        house.user(name, email=f"{name}@example.com")
    seen, after = [], None
    for _ in range(9):
        params = {"limit": 2} | ({} if after is None else {"after": after})
        page = house.client.get("/v1/admin/users", params=params, headers=root).json()
        seen += [user["id"] for user in page["users"]]
        after = page["next"]
        if after is None:
            break
    assert seen == ["anna", "bert", "carl", "dora", "root"]
    found = house.client.get("/v1/admin/users", params={"search": "BERT@"}, headers=root).json()
    assert [user["id"] for user in found["users"]] == ["bert"]
    nobody = house.client.get("/v1/admin/users", params={"search": "%"}, headers=root).json()
    assert nobody["users"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "after=%00", "search=%00", "search=" + "a" * 101])
def test_a_list_has_bounds(house, root, query):
    refused = house.client.get(f"/v1/admin/users?{query}", headers=root)
    assert_problem(refused, 422, "validation_failed")


@pytest.mark.parametrize("user_id", ["nobody", "%00", "a" * 200, "%F0%9F%91%A4", "a'%20or%201=1"])
def test_who_is_not_there_is_not_found(house, root, user_id):
    asked = [
        ("GET", "", None), ("PATCH", "", {"role": "user"}), ("GET", "/keys", None), ("POST", "/keys", {"name": "x"}),
        ("GET", "/ledger", None), ("POST", "/credit", {"amount": "1", "reference": "x"}),
        ("POST", "/payments", {"reference": "x"}),
    ]  # fmt: skip
    for method, path, body in asked:
        answer = house.client.request(method, f"/v1/admin/users/{user_id}{path}", json=body, headers=root)
        assert_problem(answer, 404, "not_found")


def test_a_plan_set_by_the_operator_is_in_force_at_once(house, root):
    alice = house.user("alice", plan="free")
    assert house.client.get("/v1/account", headers=alice).json()["plan"]["id"] == "free"
    changed = house.client.patch("/v1/admin/users/alice", json={"plan": "pro"}, headers=root)
    assert (changed.status_code, changed.json()["plan"]) == (200, "pro")
    assert house.client.get("/v1/account", headers=alice).json()["plan"]["id"] == "pro"
    assert house.audit(root, "alice")[-1][1] == "subscription.set"


def test_what_is_omitted_stays_and_null_takes_the_email_away(house, root):
    house.user("alice", plan="basic", email="alice@example.com")
    untouched = house.client.patch("/v1/admin/users/alice", json={}, headers=root).json()
    assert (untouched["plan"], untouched["email"], untouched["role"]) == (
        "basic",
        "alice@example.com",
        "user",
    )
    changed = house.client.patch("/v1/admin/users/alice", json={"email": None}, headers=root).json()
    assert (changed["email"], changed["plan"]) == (None, "basic")


@pytest.mark.parametrize(
    "body",
    [
        {"plan": "gold"}, {"role": "owner"}, {"disabled": "maybe"}, {"email": "none"}, {"id": "mallory"},
        {"credit": "5"}, {"plan": 3}, {"tokens_after": None},
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_is_refused_whole(house, root, body):
    house.user("alice", plan="basic", email="alice@example.com")
    before = house.client.get("/v1/admin/users/alice", headers=root).json()
    refused = house.client.patch(
        "/v1/admin/users/alice", json=body | {"disabled": body.get("disabled", False)}, headers=root
    )
    assert_problem(refused, 422, "validation_failed")
    after = house.client.get("/v1/admin/users/alice", headers=root).json()
    assert {**after, "today": None} == {**before, "today": None}


def test_a_disabled_user_is_out_with_every_key_and_comes_back_whole(house, root):
    alice = house.user("alice")
    assert house.client.get("/v1/account", headers=alice).status_code == 200
    disabled = house.client.patch("/v1/admin/users/alice", json={"disabled": True}, headers=root)
    assert disabled.json()["disabled_at"] is not None
    assert_problem(house.client.get("/v1/account", headers=alice), 403, "account_disabled")
    enabled = house.client.patch("/v1/admin/users/alice", json={"disabled": False}, headers=root)
    assert enabled.json()["disabled_at"] is None
    assert house.client.get("/v1/account", headers=alice).status_code == 200
    assert [action for _, action in house.audit(root, "alice")][-2:] == ["user.disable", "user.enable"]


def test_nobody_disables_themselves(house, root):
    house.admin("second")
    refused = house.client.patch("/v1/admin/users/root", json={"disabled": True}, headers=root)
    assert_problem(refused, 409, "conflict")
    assert house.client.get("/v1/admin/users", headers=root).status_code == 200


def test_the_last_admin_stays_one(house, root):
    refused = house.client.patch("/v1/admin/users/root", json={"role": "user"}, headers=root)
    assert_problem(refused, 409, "conflict")
    second = house.admin("second")
    demoted = house.client.patch("/v1/admin/users/root", json={"role": "user"}, headers=root)
    assert demoted.json()["role"] == "user"
    assert_problem(house.client.get("/v1/admin/users", headers=root), 403, "insufficient_scope")
    again = house.client.patch("/v1/admin/users/second", json={"role": "user"}, headers=second)
    assert_problem(again, 409, "conflict")


def test_a_disabled_admin_does_not_count_as_one(house, root):
    house.admin("second")
    assert (
        house.client.patch("/v1/admin/users/second", json={"disabled": True}, headers=root).status_code == 200
    )
    refused = house.client.patch("/v1/admin/users/root", json={"role": "user"}, headers=root)
    assert_problem(refused, 409, "conflict")
    assert (
        house.client.patch("/v1/admin/users/second", json={"role": "user"}, headers=root).status_code == 200
    )


def test_a_refused_change_changes_nothing_else(house, root):
    refused = house.client.patch(
        "/v1/admin/users/root",
        json={"role": "user", "plan": "enterprise", "email": "r@example.com"},
        headers=root,
    )
    assert_problem(refused, 409, "conflict")
    shown = house.client.get("/v1/admin/users/root", headers=root).json()
    assert (shown["plan"], shown["email"], shown["role"]) == ("pro", None, "admin")


def test_an_admins_key_is_for_admins(house, root):
    house.user("alice")
    wish = {"name": "x", "scopes": ["admin"]}
    refused = house.client.post("/v1/admin/users/alice/keys", json=wish, headers=root)
    assert_problem(refused, 403, "insufficient_scope")
    house.user("second", role=Role.ADMIN)
    made = house.client.post("/v1/admin/users/second/keys", json=wish, headers=root)
    assert made.status_code == 201
    assert house.client.get("/v1/admin/users", headers={"x-api-key": made.json()["key"]}).status_code == 200


def test_who_is_no_admin_any_more_has_no_admins_key(house, root):
    second = house.admin("second")
    assert house.client.get("/v1/admin/users", headers=second).status_code == 200
    house.client.patch("/v1/admin/users/second", json={"role": "user"}, headers=root)
    assert_problem(house.client.get("/v1/admin/users", headers=second), 403, "insufficient_scope")


def test_a_key_of_anybody_is_revoked_by_the_operator(house, root):
    alice = house.user("alice")
    (key,) = house.client.get("/v1/admin/users/alice/keys", headers=root).json()["keys"]
    assert key["made_by"] == "cli:test"
    assert house.client.delete(f"/v1/admin/keys/{key['id']}", headers=root).status_code == 204
    assert_problem(house.client.get("/v1/account", headers=alice), 401, "invalid_token")
    assert_problem(house.client.delete("/v1/admin/keys/none", headers=root), 404, "not_found")
    actor, action = house.audit(root, "alice")[-1]
    assert (actor.split("/")[0], action) == ("root", "key.revoke")

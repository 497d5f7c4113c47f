"""`/v1/keys`: made, shown once, rotated, revoked; never more than its maker may."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from accounts_house import accounts_house, assert_problem
from magic_eraser.accounts.principal import Scope
from magic_eraser.accounts.tables import Role

USERS_OWN = {Scope.ERASE, Scope.JOBS, Scope.ACCOUNT_READ, Scope.ACCOUNT}


@pytest.fixture
def house(tmp_path):
    with accounts_house(tmp_path) as house:
        yield house


@pytest.fixture
def alice(house):
    return house.user("alice", plan="pro")


def bearer(made) -> dict[str, str]:
    return {"x-api-key": made.json()["key"]}


def test_a_key_is_told_once_and_never_again(house, alice):
    made = house.client.post("/v1/keys", json={"name": " shop "}, headers=alice)

    assert made.status_code == 201
    assert made.headers["cache-control"] == "private, no-store"
    body = made.json()
    assert body.keys() == {"id", "name", "key", "ending", "scopes", "created_at", "expires_at"}
    assert (body["name"], body["expires_at"]) == ("shop", None)
    assert body["key"].startswith("eras_live_")
    assert body["key"].endswith(body["ending"])
    listed = house.client.get("/v1/keys", headers=alice)
    mine = next(key for key in listed.json()["keys"] if key["id"] == body["id"])
    assert mine.keys() == {
        "id", "name", "ending", "scopes", "made_by", "created_at", "expires_at", "revoked_at", "last_used_at",
    }  # fmt: skip
    assert mine["made_by"] == "alice"
    root = house.admin()
    for path in ("/v1/keys", "/v1/account", "/v1/account/usage?by=key"):
        assert body["key"] not in house.client.get(path, headers=bearer(made)).text
    for path in ("users/alice", "users/alice/keys", "audit", "users"):
        assert body["key"] not in house.client.get(f"/v1/admin/{path}", headers=root).text


def test_a_new_key_may_what_a_program_needs(house, alice):
    made = house.client.post("/v1/keys", json={"name": "shop"}, headers=alice)
    assert made.json()["scopes"] == ["erase", "jobs", "account:read"]
    assert house.client.get("/v1/account", headers=bearer(made)).status_code == 200
    refused = house.client.post("/v1/keys", json={"name": "more"}, headers=bearer(made))
    assert_problem(refused, 403, "insufficient_scope")


def test_a_key_cannot_give_what_it_has_not(house):
    house.user("alice")
    narrow = house.key("alice", scopes={Scope.ACCOUNT, Scope.ERASE})
    for scopes in (["jobs"], ["erase", "account:read"], ["admin"]):
        refused = house.client.post("/v1/keys", json={"name": "x", "scopes": scopes}, headers=narrow)
        assert_problem(refused, 403, "insufficient_scope")
    made = house.client.post("/v1/keys", json={"name": "x"}, headers=narrow)
    assert made.json()["scopes"] == ["erase"]


def test_nobody_becomes_an_admin_by_a_key(house, alice):
    refused = house.client.post("/v1/keys", json={"name": "x", "scopes": ["admin"]}, headers=alice)
    assert_problem(refused, 403, "insufficient_scope")


def test_a_key_with_fewer_scopes_cannot_rotate_one_with_more(house):
    house.user("root", role=Role.ADMIN)
    narrow = house.key("root", scopes={Scope.ACCOUNT, Scope.ACCOUNT_READ})
    strong = next(
        key for key in house.client.get("/v1/keys", headers=narrow).json()["keys"] if "admin" in key["scopes"]
    )
    refused = house.client.post(f"/v1/keys/{strong['id']}/rotate", json={}, headers=narrow)
    assert_problem(refused, 403, "insufficient_scope")


def test_a_rotated_key_works_beside_its_heir_for_a_while(house, alice):
    old = house.client.post("/v1/keys", json={"name": "shop", "scopes": ["account:read"]}, headers=alice)
    new = house.client.post(f"/v1/keys/{old.json()['id']}/rotate", json={"overlap_seconds": 1}, headers=alice)
    assert new.status_code == 201
    assert (new.json()["name"], new.json()["scopes"]) == ("shop", ["account:read"])
    assert new.json()["key"] != old.json()["key"]
    for key in (old, new):
        assert house.client.get("/v1/account", headers=bearer(key)).status_code == 200
    time.sleep(1.6)  # and the half second of the cache
    assert_problem(house.client.get("/v1/account", headers=bearer(old)), 401, "token_expired")
    assert house.client.get("/v1/account", headers=bearer(new)).status_code == 200


def test_rotation_needs_no_body_and_overlaps_a_day(house, alice):
    old = house.client.post("/v1/keys", json={"name": "shop"}, headers=alice).json()
    assert house.client.post(f"/v1/keys/{old['id']}/rotate", headers=alice).status_code == 201
    listed = {key["id"]: key for key in house.client.get("/v1/keys", headers=alice).json()["keys"]}
    left = datetime.fromisoformat(listed[old["id"]]["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < left < timedelta(hours=25)
    again = house.client.post(f"/v1/keys/{old['id']}/rotate", headers=alice)
    assert_problem(again, 409, "conflict")


@pytest.mark.parametrize("seconds", [-1, 604_801, "soon", 0.5, None])
def test_an_overlap_has_bounds(house, alice, seconds):
    key = house.client.post("/v1/keys", json={"name": "shop"}, headers=alice).json()
    refused = house.client.post(
        f"/v1/keys/{key['id']}/rotate", json={"overlap_seconds": seconds}, headers=alice
    )
    assert_problem(refused, 422, "validation_failed")


def test_a_revoked_key_works_no_more_at_once(house, alice):
    made = house.client.post("/v1/keys", json={"name": "shop"}, headers=alice)
    assert house.client.get("/v1/account", headers=bearer(made)).status_code == 200  # it is in the cache now

    gone = house.client.delete(f"/v1/keys/{made.json()['id']}", headers=alice)

    assert (gone.status_code, gone.content) == (204, b"")
    assert_problem(house.client.get("/v1/account", headers=bearer(made)), 401, "invalid_token")
    listed = {key["id"]: key for key in house.client.get("/v1/keys", headers=alice).json()["keys"]}
    assert listed[made.json()["id"]]["revoked_at"] is not None
    assert house.client.delete(f"/v1/keys/{made.json()['id']}", headers=alice).status_code == 204


def test_a_key_may_revoke_itself(house, alice):
    made = house.client.post("/v1/keys", json={"name": "shop", "scopes": sorted(USERS_OWN)}, headers=alice)
    own = house.client.delete(f"/v1/keys/{made.json()['id']}", headers=bearer(made))
    assert own.status_code == 204
    assert_problem(house.client.get("/v1/keys", headers=bearer(made)), 401, "invalid_token")


def test_without_api_access_there_is_one_key_of_ones_own(house):
    alice = house.user("alice", plan="basic")  # the operator's key does not count
    first = house.client.post("/v1/keys", json={"name": "one"}, headers=alice)
    assert first.status_code == 201
    refused = assert_problem(
        house.client.post("/v1/keys", json={"name": "two"}, headers=alice), 409, "conflict"
    )
    assert refused["limit"] == 1
    assert house.client.post(f"/v1/keys/{first.json()['id']}/rotate", headers=alice).status_code == 201
    assert_problem(house.client.post("/v1/keys", json={"name": "two"}, headers=alice), 409, "conflict")
    for key in house.client.get("/v1/keys", headers=alice).json()["keys"]:
        if key["made_by"] == "alice":
            house.client.delete(f"/v1/keys/{key['id']}", headers=alice)
    assert house.client.post("/v1/keys", json={"name": "two"}, headers=alice).status_code == 201


def test_with_api_access_there_are_fifty(house, alice):
    for number in range(50):
        made = house.client.post("/v1/keys", json={"name": f"n{number}"}, headers=alice)
        assert made.status_code == 201
    assert_problem(house.client.post("/v1/keys", json={"name": "51"}, headers=alice), 409, "conflict")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "   "}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": "a\x00b"}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "x" * 200_000}, "/name"),
        ({"name": 7}, "/name"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["everything"]}, "/scopes/0"),
        ({"name": "x", "scopes": "erase"}, "/scopes"),
        ({"name": "x", "scopes": ["erase"] * 1000}, "/scopes"),
        ({"name": "x", "expires_in_days": 0}, "/expires_in_days"),
        ({"name": "x", "expires_in_days": 3651}, "/expires_in_days"),
        ({"name": "x", "user_id": "root"}, "/user_id"),
        ({"name": "x", "made_by": "root"}, "/made_by"),
    ],
)
def test_a_wish_that_cannot_be_met_names_the_field(house, alice, body, pointer):
    refused = assert_problem(
        house.client.post("/v1/keys", json=body, headers=alice), 422, "validation_failed"
    )
    assert refused["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"name":"\\ud800"}', b"[" * 10_000]
)
def test_a_body_that_is_no_object_is_refused(house, alice, content):
    refused = house.client.post("/v1/keys", content=content, headers=alice)
    assert_problem(refused, 422, "validation_failed")


def test_a_stranger_is_turned_away_before_the_body_is_looked_at(house):
    assert_problem(house.client.post("/v1/keys", content=b"{"), 401, "not_authenticated")


def test_days_become_an_end(house, alice):
    made = house.client.post("/v1/keys", json={"name": "x", "expires_in_days": 30}, headers=alice).json()
    life = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert abs(life - timedelta(days=30)) < timedelta(seconds=2)


@pytest.mark.parametrize("strange", ["x", "%00", "..", "a" * 5000, "%27%20or%201%3D1", "🔑"])
def test_a_strange_id_is_not_found(house, alice, strange):
    for method, path in (("DELETE", ""), ("POST", "/rotate")):
        answer = house.client.request(method, f"/v1/keys/{strange}{path}", headers=alice)
        assert answer.status_code in {404, 405}, answer.text


def test_the_same_idempotency_key_makes_two_keys_as_no_answer_with_a_secret_is_kept(house, alice):
    headers = alice | {"Idempotency-Key": "once"}
    first, second = (house.client.post("/v1/keys", json={"name": "x"}, headers=headers) for _ in range(2))
    assert first.json()["key"] != second.json()["key"]
    assert "idempotency-replayed" not in second.headers


def test_each_deed_is_in_the_audit_log(house, alice):
    made = house.client.post("/v1/keys", json={"name": "x"}, headers=alice).json()
    new = house.client.post(f"/v1/keys/{made['id']}/rotate", headers=alice).json()
    house.client.delete(f"/v1/keys/{new['id']}", headers=alice)
    deeds = house.audit(house.admin(), "alice")
    assert [action for actor, action in deeds if actor.startswith("alice/")] == [
        "key.create", "key.rotate", "key.revoke",
    ]  # fmt: skip

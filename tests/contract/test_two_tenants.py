"""A second tenant asks for everything of the first one's: 404, or its own, on every route (OWASP API1:2023)."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from accounts_house import accounts_house, assert_problem
from magic_eraser.api.app import create_app
from magic_eraser.settings import Settings

DOCUMENT = create_app(Settings(data_dir=Path("/nonexistent"))).openapi()["paths"]
ALL = [f"{method.upper()} {path}" for path, methods in DOCUMENT.items() for method in methods]
WITH_ID = [name for name in ALL if "{" in name]
BODIES = {
    "POST /v1/keys/{key_id}/rotate": {"overlap_seconds": 0},
    "PATCH /v1/admin/users/{user_id}": {"role": "admin"},
    "POST /v1/admin/users/{user_id}/keys": {"name": "x"},
    "POST /v1/admin/users/{user_id}/credit": {"amount": "1", "reference": "r"},
    "POST /v1/admin/users/{user_id}/payments": {"amount": "1", "reference": "r"},
}
FOUND = {
    "GET /v1/images/{image_id}": 200,
    "GET /v1/images/{image_id}/content": 200,
    "GET /v1/images/{image_id}/preview": 200,
    "DELETE /v1/images/{image_id}": 204,
    "GET /v1/jobs/{job_id}": 200,
    "GET /v1/jobs/{job_id}/items/{index}": 200,
    "GET /v1/jobs/{job_id}/archive": 200,
    "GET /v1/jobs/{job_id}/events": 200,
    "DELETE /v1/jobs/{job_id}": 204,
    "POST /v1/keys/{key_id}/rotate": 201,
    "DELETE /v1/keys/{key_id}": 204,
}
"""What the first tenant itself is answered, so that a 404 is of the tenant and not of the address. A new route with a
parameter has to stand here, or below."""
OPERATORS = {name for name in WITH_ID if " /v1/admin/" in name}
"""Of no tenant at all: 403 for both."""


@pytest.fixture
def house(tmp_path):
    with accounts_house(tmp_path, stripe=True) as house:
        yield house


@pytest.fixture
def pictures(coffee_png, dot_png):
    return {"image": ("holiday.png", coffee_png), "mask": ("mask.png", dot_png)}


@pytest.fixture
def alice(house):
    return house.user("alice", plan="pro", email="alice@example.com")


@pytest.fixture
def bob(house):
    return house.user("bob", plan="pro")


@pytest.fixture
def ids(house, alice, pictures):
    """What alice has, by the names of path parameters."""
    image = house.client.post("/v1/images", files={"image": pictures["image"]}, headers=alice)
    job = house.client.post("/v1/jobs", files=list(pictures.items()), data={"model": "telea"}, headers=alice)
    key = house.client.post("/v1/keys", json={"name": "alices-shop"}, headers=alice)
    assert (image.status_code, job.status_code, key.status_code) == (201, 202, 201)
    deadline = time.monotonic() + 60
    while house.client.get(f"/v1/jobs/{job.json()['id']}", headers=alice).json()["state"] != "succeeded":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return {
        "image_id": image.json()["id"], "job_id": job.json()["id"], "index": "0", "key_id": key.json()["id"],
        "user_id": "alice", "model_id": "telea", "event_id": "evt_1",
    }  # fmt: skip


def ask(house, operation, ids, headers):
    method, _, path = operation.partition(" ")
    filled = re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], path)
    return house.client.request(method, filled, json=BODIES.get(operation), headers=headers)


def test_every_route_with_a_parameter_is_in_this_test():
    assert set(WITH_ID) == {*FOUND, *OPERATORS}


def test_no_route_hides_from_the_document():
    """Those that are not in it would not be in this test either."""
    app = create_app(Settings(data_dir=Path("/nonexistent")))
    routes = list(every_route(app.routes))
    assert len(routes) > len(ALL)
    hidden = [route.path for route in routes if not getattr(route, "include_in_schema", False)]
    assert not [path for path in hidden if "{" in path]


def every_route(routes):
    """Those of included routers as well, which FastAPI keeps as they are."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from every_route(route.original_router.routes)
        else:
            yield route


@pytest.mark.parametrize("operation", FOUND)
def test_what_is_anothers_is_not_there(house, alice, bob, ids, operation):
    refused = ask(house, operation, ids, bob)

    assert_problem(refused, 404, "not_found")
    nothing = ask(house, operation, ids | {"image_id": "x" * 22, "job_id": "x" * 22, "key_id": "x" * 22}, bob)
    assert without_its_own(refused.json()) == without_its_own(nothing.json())  # not even that it exists
    answered = ask(house, operation, ids, alice)
    assert answered.status_code == FOUND[operation], answered.text


@pytest.mark.parametrize("operation", sorted(OPERATORS))
def test_what_is_the_operators_is_nobodys(house, alice, bob, ids, operation):
    for caller in (alice, bob):
        assert_problem(ask(house, operation, ids, caller), 403, "insufficient_scope")
    shown = house.client.get("/v1/account", headers=alice).json()
    assert (shown["user"]["role"], shown["credit"]) == ("user", "0.00")


def test_lists_are_of_ones_own(house, alice, bob, ids):
    assert house.client.get("/v1/jobs", headers=bob).json() == {"jobs": [], "next": None}
    assert [job["id"] for job in house.client.get("/v1/jobs", headers=alice).json()["jobs"]] == [
        ids["job_id"]
    ]
    names = [key["name"] for key in house.client.get("/v1/keys", headers=bob).json()["keys"]]
    assert names == ["test"]
    assert house.client.get("/v1/account/ledger", headers=bob).json() == {"entries": [], "next": None}
    assert len(house.client.get("/v1/account/ledger", headers=alice).json()["entries"]) == 1
    for by in ("day", "model", "key"):
        usage = house.client.get(f"/v1/account/usage?by={by}", headers=bob)
        assert usage.json()["total"]["calls"] == 0
        assert ids["key_id"] not in usage.text
    assert house.client.get("/v1/account/usage", headers=alice).json()["total"]["calls"] == 1
    everything = "".join(
        house.client.get(path, headers=bob).text
        for path in ("/v1/account", "/v1/account/ledger", "/v1/account/ledger?format=csv", "/v1/keys", "/v1/jobs",
                     "/v1/subscription", "/v1/account/usage?by=key&format=csv")
    )  # fmt: skip
    assert "alice" not in everything


def test_a_page_cannot_begin_after_what_is_anothers(house, bob, ids):
    refused = house.client.get("/v1/jobs", params={"after": ids["job_id"]}, headers=bob)
    assert_problem(refused, 404, "not_found")


def test_the_ledgers_of_two_are_two_wherever_a_page_begins(house, alice, bob, ids):
    (entry,) = house.client.get("/v1/account/ledger", headers=alice).json()["entries"]
    for after in (entry["id"], entry["id"] + 1, 2**60):
        page = house.client.get("/v1/account/ledger", params={"after": after}, headers=bob)
        assert page.json() == {"entries": [], "next": None}


def test_another_uses_no_picture_of_ones_own(house, bob, ids, pictures):
    files, fields = {"mask": pictures["mask"]}, {"image_id": ids["image_id"], "model": "telea"}
    assert_problem(house.client.post("/v1/erase", files=files, data=fields, headers=bob), 404, "not_found")


def test_the_result_that_one_keeps_is_not_anothers(house, alice, bob, pictures):
    erased = house.client.post("/v1/erase", files=pictures, data={"model": "telea"}, headers=alice)
    image_id = erased.headers["x-eraser-image-id"]
    assert house.client.get(f"/v1/images/{image_id}", headers=alice).status_code == 200
    assert_problem(house.client.get(f"/v1/images/{image_id}", headers=bob), 404, "not_found")


def test_the_cache_of_one_tells_another_nothing(house, alice, bob, pictures):
    def erased(caller):
        answer = house.client.post("/v1/erase", files=pictures, data={"model": "telea"}, headers=caller)
        assert answer.status_code == 200
        return answer.headers["x-eraser-cache"]

    assert (erased(alice), erased(alice)) == ("miss", "hit")
    assert (erased(bob), erased(bob)) == ("miss", "hit")
    for caller in (alice, bob):
        assert house.client.get("/v1/account", headers=caller).json()["today"]["used"] == 2  # a hit is a call


def test_the_same_idempotency_key_of_two_is_two(house, alice, bob, pictures):
    def erased(caller, mask):
        files = {**pictures, "mask": mask}
        headers = caller | {"Idempotency-Key": "monday"}
        return house.client.post("/v1/erase", files=files, data={"model": "telea"}, headers=headers)

    first = erased(alice, pictures["mask"])
    other = erased(bob, ("mask.png", pictures["mask"][1]))
    assert (first.status_code, other.status_code) == (200, 200)
    assert "idempotency-replayed" not in other.headers
    assert erased(alice, pictures["mask"]).headers["idempotency-replayed"] == "true"


def test_the_same_wish_of_two_is_two(house, alice, bob):
    wish = {"Idempotency-Key": "upgrade"}
    for caller in (alice, bob):
        asked = house.client.post("/v1/subscription", json={"plan": "free"}, headers=caller | wish)
        assert asked.status_code == 200
        assert "idempotency-replayed" not in asked.headers


def test_the_limit_of_one_does_not_stop_another(house, pictures):
    poor, rich = house.user("poor", plan="free"), house.user("rich", plan="free")
    for seed in range(10):
        fields = {"model": "telea", "seed": str(seed)}
        assert house.client.post("/v1/erase", files=pictures, data=fields, headers=poor).status_code == 200
    fields = {"model": "telea", "seed": "99"}
    refused = house.client.post("/v1/erase", files=pictures, data=fields, headers=poor)
    assert_problem(refused, 429, "quota_exhausted")
    assert house.client.post("/v1/erase", files=pictures, data=fields, headers=rich).status_code == 200


def test_a_subscription_is_ones_own(tmp_path):
    with accounts_house(tmp_path / "manual") as house:
        alice, bob = house.user("alice", plan="free"), house.user("bob", plan="free")
        house.client.post("/v1/subscription", json={"plan": "pro"}, headers=alice)
        assert house.client.get("/v1/subscription", headers=alice).json()["wanted_plan"] == "pro"
        assert house.client.get("/v1/subscription", headers=bob).json()["wanted_plan"] is None
        assert_problem(house.client.delete("/v1/subscription", headers=bob), 409, "conflict")
        assert house.client.get("/v1/subscription", headers=alice).json()["wanted_plan"] == "pro"


def test_callers_without_a_credential_are_apart_from_users(tmp_path, pictures):
    with accounts_house(tmp_path / "optional", mode="optional") as house:
        alice = house.user("alice", plan="pro")
        image = house.client.post("/v1/images", files={"image": pictures["image"]}, headers=alice).json()
        assert_problem(house.client.get(f"/v1/images/{image['id']}"), 404, "not_found")
        strangers = house.client.post("/v1/images", files={"image": pictures["image"]}).json()
        assert house.client.get(f"/v1/images/{strangers['id']}").status_code == 200
        assert_problem(house.client.get(f"/v1/images/{strangers['id']}", headers=alice), 404, "not_found")


def without_its_own(problem):
    """A problem without what differs between two requests; ids in sentences as one."""
    told = {name: value for name, value in problem.items() if name not in {"request_id", "instance"}}
    return re.sub(r"[A-Za-z0-9_-]{22}", "ID", str(told))

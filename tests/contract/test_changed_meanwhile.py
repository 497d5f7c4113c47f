"""What the operator takes away while work is under way counts for the next picture, not for the next request only."""

from __future__ import annotations

import time

import pytest
from fastapi.testclient import TestClient

from accounts_house import accounts_house
from magic_eraser.accounts.principal import USER_SCOPES
from slow_model import SlowInpainter

ITEMS = 6


@pytest.fixture
def house(tmp_path):
    with accounts_house(tmp_path, slow=SlowInpainter(seconds=0.5)) as house:
        yield house


@pytest.fixture
def pictures(coffee_png, dot_png):
    return {"image": ("a.png", coffee_png), "mask": ("m.png", dot_png)}


@pytest.fixture
def bob(house):
    return house.user("bob", plan="pro")


@pytest.fixture
def job(house, bob, pictures):
    """Under way: its first picture is done, most are not."""
    files = [part for number in range(ITEMS) for part in renamed(pictures, number)]
    made = house.client.post(
        "/v1/jobs", files=files, data={"model": "slow"}, headers={**bob, "Cache-Control": "no-store"}
    )
    assert made.status_code == 202, made.text
    path = f"/v1/jobs/{made.json()['id']}"
    wait(lambda: house.client.get(path, headers=bob).json()["succeeded"] >= 1)
    return path


def renamed(pictures, number):
    return [(field, (f"{number}.png", content)) for field, (_name, content) in pictures.items()]


def wait(reached, seconds=30):
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(house, job, caller):
    wait(lambda: house.client.get(job, headers=caller).json()["state"] not in {"queued", "running"})
    return house.client.get(job, headers=caller).json()


def charged(house, root):
    entries = house.client.get("/v1/admin/users/bob/ledger", headers=root).json()["entries"]
    return sum(entry["source"] == "call" for entry in entries)


def test_a_disabled_users_job_stops_and_only_what_was_done_is_charged(house, bob, job):
    root = house.admin()
    assert house.client.patch("/v1/admin/users/bob", json={"disabled": True}, headers=root).status_code == 200
    assert house.client.get(job, headers=bob).status_code == 403
    time.sleep(1.5)  # what was in work is over, what was not has been refused
    assert (
        house.client.patch("/v1/admin/users/bob", json={"disabled": False}, headers=root).status_code == 200
    )
    told = ended(house, job, bob)
    assert told["failed"] >= ITEMS - 3
    assert told["succeeded"] + told["failed"] == ITEMS
    assert charged(house, root) == told["succeeded"]
    assert house.client.get("/v1/account", headers=bob).json()["today"]["used"] == told["succeeded"]


def test_after_a_downgrade_the_rest_of_a_job_is_refused_as_a_new_call_would_be(house, bob, job):
    root = house.admin()
    assert house.client.patch("/v1/admin/users/bob", json={"plan": "free"}, headers=root).status_code == 200
    told = ended(house, job, bob)
    assert told["failed"] >= ITEMS - 3
    assert charged(house, root) == told["succeeded"]
    assert "slow" not in house.client.get("/v1/account", headers=bob).json()["plan"]["models"]


def test_a_job_of_a_revoked_key_stops_and_another_key_still_sees_it(house, bob, job):
    root = house.admin()
    [key] = house.client.get("/v1/keys", headers=bob).json()["keys"]
    assert house.client.delete(f"/v1/keys/{key['id']}", headers=bob).status_code == 204
    assert house.client.get(job, headers=bob).status_code == 401

    told = ended(house, job, house.key("bob", scopes=USER_SCOPES))
    assert told["failed"] >= ITEMS - 3
    assert charged(house, root) == told["succeeded"]


def test_addresses_of_one_network_share_the_calls_of_the_day(tmp_path, pictures):
    with accounts_house(tmp_path / "optional", mode="optional") as house:

        def at(host):
            client = TestClient(house.client.app, client=(host, 1))
            client.portal = house.client.portal  # the app lives in that loop
            return client

        for number, host in enumerate(["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"], 1):
            headers = {"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": "for=1.2.3.4"}
            fields = {"model": "telea", "seed": str(number)}
            erased = at(host).post("/v1/erase", files=pictures, data=fields, headers=headers)
            assert erased.status_code == 200
            assert at(host).get("/v1/account").json()["today"]["used"] == number
        assert at("2001:db8:0:1::1").get("/v1/account").json()["today"]["used"] == 0

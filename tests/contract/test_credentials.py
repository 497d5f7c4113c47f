"""Who tries to get in by tricks, or to learn of others from how it is refused (OWASP API2, API4, API7:2023)."""

from __future__ import annotations

import re
import socket
import threading

import pytest
from fastapi.testclient import TestClient

from accounts_house import House, accounts_house, assert_problem
from magic_eraser.accounts.principal import Scope
from magic_eraser.api.app import create_app
from magic_eraser.settings import AuthSettings, LimitSettings, Settings

PATHS = ["/v1/account", "/v1/keys", "/v1/jobs", "/v1/admin/users"]
UNREADABLE = {
    "latin-1 in a token": b"Bearer eyJhbGciOiJIUzI1NiJ9.\xe9.abc",
    "utf-8 in a token": "Bearer eyJhbGciOiJIUzI1NiJ9.\u5bc6\u94a5.abc".encode(),
    "latin-1 in a signature": b"Bearer eyJhbGciOiJIUzI1NiJ9.e30.\xff",
    "latin-1 in a key": b"Bearer eras_live_" + b"\xe9" * 43,
    "utf-8 in a key": "Bearer eras_live_\u5bc6\u94a5".encode(),
    "a hundred thousand letters": b"Bearer " + b"a" * 100_000,
    "a key of a hundred thousand letters": b"Bearer eras_live_" + b"a" * 100_000,
    "a token of a hundred thousand dots": b"Bearer " + b"." * 100_000,
    "control characters": b"Bearer \x01\x02\x1b[31m",
    "a token without end": b"Bearer eyJhbGciOiJIUzI1NiJ9." + b"W1tb" * 1900 + b".abc",
    "a number for an algorithm": b"Bearer eyJhbGciOjF9.e30.abc",
    "a password": b"Basic cm9vdDpyb290",
    "digest": b'Digest username="root"',
    "two in one header": b"Bearer a, Bearer b",
    "a quote": b"Bearer ' OR 1=1 --",
    "a path": b"Bearer ../../key_pepper",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with accounts_house(tmp_path_factory.mktemp("required"), stripe=True) as house:
        yield house


@pytest.fixture(scope="module")
def optional(tmp_path_factory):
    with accounts_house(tmp_path_factory.mktemp("optional"), mode="optional") as house:
        yield house


@pytest.fixture(scope="module")
def alice(house):
    return house.user("alice", plan="pro")


@pytest.fixture(scope="module")
def bob(house):
    return house.user("bob", plan="pro")


def raw(key):
    return key["Authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("trick", UNREADABLE)
def test_whatever_is_shown_it_is_refused_in_one_way(house, optional, trick):
    """Never a 500, never what was shown, never let in as somebody unknown."""
    for place in (house, optional):
        for path in PATHS:
            refused = place.client.get(path, headers={"Authorization": UNREADABLE[trick]})
            problem = assert_problem(refused, 401, "invalid_token")
            assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
            assert "a" * 20 not in str(problem)
            assert "Traceback" not in refused.text


def test_of_two_headers_that_differ_none_counts(house, alice, bob):
    both = [
        [("Authorization", alice["Authorization"]), ("Authorization", bob["Authorization"])],
        [("Authorization", bob["Authorization"]), ("Authorization", "Bearer nonsense")],
        [("x-api-key", raw(alice)), ("x-api-key", raw(bob))],
        [("Authorization", alice["Authorization"]), ("x-api-key", raw(bob))],
        [("Authorization", "Basic YTpi"), ("x-api-key", raw(bob))],
    ]
    for headers in both:
        for order in (headers, headers[::-1]):
            assert_problem(house.client.get("/v1/account", headers=order), 401, "invalid_token")


@pytest.mark.parametrize("place", ["?api_key={}", "?access_token={}", "?key={}", "?x-api-key={}"])
def test_a_key_in_an_address_is_none(house, alice, place):
    """It would be in logs and histories."""
    assert_problem(house.client.get("/v1/account" + place.format(raw(alice))), 401, "not_authenticated")


@pytest.mark.parametrize(
    "header", ["Cookie", "X-User", "X-Forwarded-User", "Proxy-Authorization", "X-Original-User"]
)
def test_no_other_header_says_who_one_is(house, alice, header):
    for value in ("alice", alice["Authorization"], f"x-api-key={raw(alice)}"):
        refused = house.client.get("/v1/account", headers={header: value})
        assert_problem(refused, 401, "not_authenticated")


@pytest.mark.parametrize(
    "header", ["X-HTTP-Method-Override", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL"]
)
def test_no_header_makes_another_request_of_it(house, bob, header):
    for value in ("DELETE", "/v1/admin/users"):
        answer = house.client.get("/v1/account", headers=bob | {header: value})
        assert answer.json()["user"]["id"] == "bob"


@pytest.mark.parametrize("path", ["/v1/admin/users", "/v1//admin/users", "/V1/ADMIN/users", "/v1/admin/./users",
                                  "/v1/account/../admin/users", "/v1/%61dmin/users", "/v1/admin/users/"])  # fmt: skip
def test_no_spelling_of_an_address_goes_by_the_guard(house, bob, path):
    for headers in ({}, bob):
        assert house.client.get(path, headers=headers, follow_redirects=True).status_code in {401, 403, 404}


# --- what a refusal tells -------------------------------------------------------------------------------


def told(response):
    """Everything of an answer but what differs between any two."""
    body = {name: value for name, value in response.json().items() if name not in {"request_id", "instance"}}
    headers = {name: value for name, value in response.headers.items() if name != "x-request-id"}
    return response.status_code, re.sub(r"[A-Za-z0-9_-]{22}|alice|nobody", "ID", str(body)), headers.keys()


def test_who_may_not_ask_is_not_told_whether_it_is_there(house, alice, bob, coffee_png):
    """Without a credential, with one that is bad, and with one that lacks the scope: the same for what is there."""
    upload = house.client.post("/v1/images", files={"image": coffee_png}, headers=alice)
    made = house.client.post("/v1/keys", json={"name": "x"}, headers=alice)
    there, gone = upload.json()["id"], "x" * 22
    key = made.json()["id"]
    pairs = [
        (f"/v1/images/{there}", f"/v1/images/{gone}"),
        (f"/v1/images/{there}/content", f"/v1/images/{gone}/content"),
        (f"/v1/keys/{key}", f"/v1/keys/{gone}"),
        ("/v1/admin/users/alice", "/v1/admin/users/nobody"),
        ("/v1/admin/users/alice/ledger", "/v1/admin/users/nobody/ledger"),
    ]
    narrow = house.key("bob", scopes={Scope.ACCOUNT_READ})
    assert house.client.get("/v1/account", headers=bob).json()["user"]["id"] == "bob"
    for headers in ({}, {"Authorization": "Bearer nonsense"}, narrow):
        for one, other in pairs:
            method = "DELETE" if "/keys/" in one else "GET"
            answers = [house.client.request(method, path, headers=headers) for path in (one, other)]
            assert answers[0].status_code in {401, 403}
            assert told(answers[0]) == told(answers[1])


def test_what_is_wrong_with_a_key_is_told_to_who_has_the_whole_of_it(house, alice):
    made = house.client.post("/v1/keys", json={"name": "short"}, headers=alice).json()
    house.client.delete(f"/v1/keys/{made['id']}", headers=alice)
    revoked = house.client.get("/v1/account", headers={"x-api-key": made["key"]})
    assert "revoked" in assert_problem(revoked, 401, "invalid_token")["detail"]
    flipped = made["key"][:-7] + ("a" if made["key"][-7] != "a" else "b") + made["key"][-6:]
    slip = assert_problem(
        house.client.get("/v1/account", headers={"x-api-key": flipped}), 401, "invalid_token"
    )
    assert made["id"] not in str(slip)
    assert "revoked" not in str(slip)


# --- how often ------------------------------------------------------------------------------------------


@pytest.fixture
def limited(tmp_path):
    settings = Settings(
        data_dir=tmp_path, auth=AuthSettings(mode="required"), limits=LimitSettings(requests_per_minute=3)
    )
    with TestClient(create_app(settings), raise_server_exceptions=False, client=("203.0.113.7", 1)) as client:
        yield House(client)


def test_who_tries_keys_is_slowed_down_and_shuts_nobody_out(limited):
    alice = limited.user("alice")
    tried = [
        limited.client.get("/v1/account", headers={"x-api-key": f"guess{number}"}) for number in range(6)
    ]
    assert [answer.status_code for answer in tried] == [401] * 3 + [429] * 3
    assert int(tried[-1].headers["retry-after"]) >= 1
    assert limited.client.get("/v1/account", headers=alice).status_code == 200  # behind the same address
    elsewhere = TestClient(limited.client.app, client=("203.0.113.8", 1))
    elsewhere.portal = limited.client.portal  # the app lives in that loop
    assert elsewhere.get("/v1/account", headers={"x-api-key": "guess"}).status_code == 401


def test_keys_of_one_user_share_its_limit_and_users_at_one_address_do_not(limited):
    first, bob = limited.user("alice"), limited.user("bob")
    second = limited.key("alice", scopes=set(Scope) - {Scope.ADMIN})

    def asked(key):
        return limited.client.post("/v1/erase", headers=key).status_code

    assert [asked(key) for key in (first, second, first, second, first)] == [422, 422, 422, 429, 429]
    assert asked(bob) == 422


# --- addresses that a caller names (OWASP API7:2023) ----------------------------------------------------


def test_no_field_makes_the_server_ask_an_address(house, alice, coffee_png):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        heard = []

        def listen():
            while not ended.is_set():
                try:
                    heard.append(listener.accept())
                except TimeoutError:
                    continue

        ended = threading.Event()
        listening = threading.Thread(target=listen)
        listening.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.png"
        bodies = [{"image": url, "mask": url}, {"image": {"url": url}, "mask": url}, {"image_url": url}]
        for body in bodies:
            for path in ("/v1/erase", "/v1/images", "/v1/jobs", "/api/predict", "/api/v1/inpaint"):
                answer = house.client.post(path, json=body, headers=alice)
                assert 400 <= answer.status_code < 500, (path, answer.text)
        files = {"image": coffee_png, "mask": coffee_png}
        hook = house.client.post("/v1/jobs", files=files, data={"webhook_url": url}, headers=alice)
        assert_problem(hook, 422, "validation_failed")
        ended.set()
        listening.join()
    assert heard == []

"""A server that asks who calls, and who comes beside it: the operator, callers without a credential, nobody."""

from __future__ import annotations

import signal
import time

import httpx2
import pytest

from accounts_at_work import Site, small_pair
from crowd import client_at, post_erase, refused, wait_until


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, bytes]:
    return small_pair()


@pytest.fixture
def site(sqlite_url, tmp_path) -> Site:
    return Site(sqlite_url, tmp_path)


# --- the operator ----------------------------------------------------------------------------------------


def test_plans_are_read_again_on_sighup_and_stay_as_they_are_where_that_is_wrong(start, site, pair):
    site.write_plans({"free": (10, "0"), "small": (1, "0.10")})
    key = site.key("alice", "small")
    server = start(**site.environment)

    def reload(what: str) -> str:
        before = server.log.count(what)
        server.signal(signal.SIGHUP)
        wait_until(lambda: server.log.count(what) > before)
        return next(line for line in reversed(server.log.splitlines()) if what in line)

    with client_at(server.url) as client:
        client.headers.update(key)
        assert post_erase(client, *pair, model="telea").status_code == 200
        refused(post_erase(client, *pair, model="telea"), 429, "quota_exhausted")

        site.write_plans({"free": (10, "0"), "small": (2, "0.50"), "new": (5, "1.00")})
        reload("plans_reloaded")
        answer = post_erase(client, *pair, model="telea")
        assert (answer.status_code, answer.headers["ratelimit"].split(";t=")[0]) == (200, '"daily";r=0')
        refused(post_erase(client, *pair, model="telea"), 429, "quota_exhausted")
        assert site.charges("alice") == [10_000, 50_000]

        good = client.get("/v1/plans").json()
        site.plans_file.write_text("default = [\n")
        assert "plans.toml:" in reload("plans_not_reloaded")
        assert client.get("/v1/plans").json() == good
        site.write_plans({"free": (10, "0")})
        assert 'the plan \\"small\\" is gone, but 1 user is on it' in reload("plans_not_reloaded")
        assert client.get("/v1/plans").json() == good
        refused(post_erase(client, *pair, model="telea"), 429, "quota_exhausted")
    assert "Traceback" not in server.log

    done = site.try_to("serve", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip().count("\n") == 0
    assert 'the plan "small" is gone, but 1 user is on it' in done.stderr
    assert "magic-eraser users set-plan USER PLAN" in done.stderr


def test_what_the_operator_types_beside_a_running_server_counts_at_once(start, site, pair):
    site.environment["ERASER_AUTH__JWT_SECRET"] = "a secret that nobody guesses, of 46 characters"
    key = site.key("alice", "twelve")
    server = start(**site.environment)

    def ask(headers: dict[str, str]) -> httpx2.Response:
        with client_at(server.url) as client:
            return post_erase(client, *pair, headers, model="telea")

    def within_a_second(headers: dict[str, str], status: int, code: str) -> None:
        typed = time.monotonic()
        while (answer := ask(headers)).status_code == 200:
            assert time.monotonic() - typed < 1
            time.sleep(0.05)
        assert (answer.status_code, answer.json()["code"]) == (status, code)

    assert ask(key).headers["ratelimit"].startswith('"daily";r=11;')
    site.operate("users", "set-plan", "alice", "thirty")
    assert ask(key).headers["ratelimit"].startswith('"daily";r=28;')

    token = {"Authorization": f"Bearer {site.operate('tokens', 'issue', 'alice')}"}
    assert ask(token).status_code == 200
    site.operate("tokens", "revoke-all", "alice")
    within_a_second(token, 401, "invalid_token")
    assert ask(key).status_code == 200  # which is no token

    site.operate("users", "disable", "alice")
    within_a_second(key, 403, "account_disabled")
    site.operate("users", "enable", "alice")
    wait_until(lambda: ask(key).status_code == 200, 1)

    ((key_id,),) = site.rows("SELECT id FROM api_keys")
    site.operate("keys", "revoke", key_id)
    within_a_second(key, 401, "invalid_token")
    assert site.faults() == []
    assert "Traceback" not in server.log


# --- without a credential --------------------------------------------------------------------------------


def test_who_shows_nothing_has_the_default_plan_by_address_and_only_a_trusted_proxy_tells_it(
    start, sqlite_url, tmp_path, pair
):
    site = Site(sqlite_url, tmp_path, "optional")
    server = start(**site.environment, ERASER_SERVER__TRUSTED_PROXIES="127.0.0.1")
    with client_at(server.url) as client:

        def ask(address: str, **headers: str) -> httpx2.Response:
            return post_erase(client, *pair, {"X-Forwarded-For": address, **headers}, model="telea")

        for left in reversed(range(10)):
            answer = ask("203.0.113.1")
            assert answer.status_code == 200
            assert answer.headers["ratelimit"].startswith(f'"daily";r={left};')
        refused(ask("203.0.113.1"), 429, "quota_exhausted")
        assert ask("203.0.113.1").json()["resets_at"].endswith("T00:00:00+00:00")
        assert ask("203.0.113.2").status_code == 200
        assert ask("2001:db8::1").status_code == 200
        assert ask("2001:db8::2").status_code == 200
        wrong = ask("203.0.113.3", Authorization="Bearer nonsense")
        assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_token")
    assert site.calls("anonymous@203.0.113.1") == (10, 0)
    assert site.calls("anonymous@2001:db8::/64") == (2, 0)  # one subscriber
    assert site.calls("anonymous@203.0.113.3") == (0, 0)
    server.stop()
    wary = start(**site.environment)
    with client_at(wary.url) as client:
        for number in range(10):
            assert post_erase(client, *pair, {"X-Forwarded-For": f"198.51.100.{number}"}).status_code == 200
        refused(post_erase(client, *pair, {"X-Forwarded-For": "198.51.100.99"}), 429, "quota_exhausted")
    assert site.calls("anonymous@127.0.0.1") == (10, 0)
    assert site.faults() == []


def test_where_a_credential_is_required_health_and_the_page_need_none_and_memory_is_small(start, site, pair):
    server = start(**site.environment)
    print(f"RSS at rest, required: {server.memory() / 2**20:.0f} MiB")
    assert server.memory() <= 140 * 2**20
    for path in ("/livez", "/readyz", "/health", "/metrics", "/v1/status", "/v1/plans", "/openapi.json"):
        assert httpx2.get(server.url + path).status_code == 200, path
    assert httpx2.get(f"{server.url}/").headers["content-type"].startswith("text/html")
    with client_at(server.url) as client:
        answer = post_erase(client, *pair)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for path in ("/v1/jobs", "/v1/keys", "/v1/account", "/v1/admin/users", "/v1/account/ledger"):
        assert httpx2.get(server.url + path).status_code in {401, 405}, path


# --- asleep ---------------------------------------------------------------------------------------------


def test_it_sleeps_and_the_next_call_wakes_it_and_is_charged(start, site, pair):
    key = site.key("alice", "thirty")
    server = start(**site.environment, ERASER_SERVER__SLEEP_AFTER_SECONDS="1")

    def wait_asleep() -> None:
        wait_until(lambda: httpx2.get(f"{server.url}/v1/status").json()["asleep"])

    with client_at(server.url) as client:
        client.headers.update(key)
        assert post_erase(client, *pair, model="telea").status_code == 200
        wait_asleep()
        woken = post_erase(client, *pair, model="telea")
        assert woken.headers["server-timing"].startswith("wake;")
        assert client.get("/v1/account").json()["today"]["used"] == 2
        wait_asleep()
    assert site.calls("alice") == (2, 0)
    assert site.rows("SELECT id FROM api_keys WHERE last_used_at IS NULL") == []
    assert site.faults() == []
    assert "Traceback" not in server.log

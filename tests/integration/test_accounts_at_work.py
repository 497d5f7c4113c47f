"""Servers that ask who calls, as processes: killed, told to leave, put to sleep, and with a database that goes away."""

from __future__ import annotations

import http.client
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import pytest

from accounts_at_work import Site, queue
from crowd import Crowd, client_at, over, plain, post_erase, post_job, refused, wait_until
from private_servers import PrivatePostgres

HOLD = {"ERASER_BILLING__HOLD_SECONDS": "60"}


@pytest.fixture(scope="module")
def pair(encode) -> tuple[bytes, bytes]:
    """Photo and mask, PNG, 80 x 60: what is measured is the house and not the fill."""
    photo = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)
    mask = np.zeros((60, 80), np.uint8)
    mask[20:30, 20:30] = 255
    return encode(photo), encode(mask)


@pytest.fixture
def site(database_url, tmp_path) -> Site:
    return Site(database_url, tmp_path, **HOLD)


# --- killed ----------------------------------------------------------------------------------------------


def test_a_server_dies_in_the_middle_and_a_plan_of_thirty_calls_is_thirty_calls(start, site, pair):
    """On PostgreSQL another one works beside it; SQLite has one server. What the dead one held is given back by the
    next that starts, once its time is over."""
    key = site.key("alice", "thirty")
    beside = site.url.startswith("postgresql")
    doomed = start(slow=0.3, **site.environment)
    first = start(slow=0.02, **site.environment) if beside else None
    asks = [plain(*pair, model="slow", **key)] * (4 if beside else 8)
    answers: list[httpx2.Response] = []
    with Crowd(doomed.url, asks) as crowd:
        crowd.wait(lambda told: told.status == 200, 3)
        wait_until(lambda: queue(doomed.url)["running"] == 3)
        doomed.signal(signal.SIGKILL)
        doomed.process.wait()
    answers += [told.response for told in crowd.told]
    held = site.calls("alice")[1]
    assert 1 <= held <= 4  # three slots; one may have been on its way in or out
    server = first or start(slow=0.02, **site.environment)
    with Crowd(server.url, [plain(*pair, model="slow", **key)] * (4 if beside else 8)) as crowd:
        crowd.wait(lambda told: told.status == 429, 10)
    answers += [told.response for told in crowd.told]
    assert site.calls("alice") == (30 - held, held)  # what nobody ended counts as under way
    assert site.reservations("alice") == {"settled": 30 - held, "held": held}

    site.rows("UPDATE reservations SET expires_at = 1 WHERE state = 'held'")
    start(**site.environment)
    wait_until(lambda: site.calls("alice")[1] == 0)
    with Crowd(server.url, [plain(*pair, model="slow", **key)] * 8) as crowd:
        crowd.wait(lambda told: told.status == 429, 10)
    answers += [told.response for told in crowd.told]

    assert site.calls("alice") == (30, 0)
    assert site.reservations("alice") == {"settled": 30, "expired": held}
    assert site.charges("alice") == [10_000] * 30
    got = sum(answer.status_code == 200 for answer in answers)
    assert 30 - 4 <= got <= 30  # charged, and then killed before it answered
    assert {answer.status_code for answer in answers} == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            refused(answer, 429, "quota_exhausted")
            assert answer.json()["resets_at"].endswith("T00:00:00+00:00")
    assert site.adds_up()
    assert "Traceback" not in server.log


def test_of_twenty_items_twelve_are_paid_for_though_the_server_dies(start, site, pair):
    key = site.key("alice", "twelve")
    rules = {
        "ERASER_JOBS__LEASE_SECONDS": "2",
        "ERASER_JOBS__CONCURRENCY": "2",
        "ERASER_BILLING__HOLD_SECONDS": "900",  # by that alone the dead server's holds would stay for long
    }
    doomed = start(slow=0.4, **{**site.environment, **rules})
    with client_at(doomed.url) as client:
        client.headers.update(key)
        answer = post_job(client, *pair, 20, model="slow")
        assert answer.status_code == 202, answer.text
        job = answer.json()
        wait_until(lambda: client.get(f"/v1/jobs/{job['id']}").json()["succeeded"] >= 4)
    doomed.signal(signal.SIGKILL)
    doomed.process.wait()
    held = site.calls("alice")[1]
    assert 1 <= held <= 2
    server = start(slow=0.05, **{**site.environment, **rules})
    with client_at(server.url) as client:
        client.headers.update(key)
        done = over(client, job)
        assert (done["state"], done["succeeded"], done["failed"]) == ("failed", 12, 8)
        assert site.calls("alice") == (12, 0)
        items = client.get(f"/v1/jobs/{job['id']}/items?limit=20").json()["items"]
        refused_items = [item for item in items if item["state"] == "failed"]
        assert {item["error"]["code"] for item in refused_items} == {"quota_exhausted"}
        assert "12" in refused_items[0]["error"]["detail"]
    assert site.reservations("alice") == {"settled": 12, "released": held}
    assert site.charges("alice") == [10_000] * 12
    told = site.rows("SELECT source_id, units, amount FROM usage_events WHERE source = 'job'")
    succeeded = {f"{job['id']}/{item['index']}" for item in items if item["state"] == "succeeded"}
    assert sorted(told) == sorted((source, 1, 10_000) for source in succeeded)
    assert site.adds_up()
    assert "Traceback" not in server.log


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
    assert site.adds_up()
    assert "Traceback" not in server.log


# --- a database that goes --------------------------------------------------------------------------------


def test_without_its_database_it_works_for_nobody_and_charges_nobody(start, empty_postgres, tmp_path, pair):
    postgres = empty_postgres
    site = Site(postgres.url, tmp_path, ERASER_DATABASE__TIMEOUT_SECONDS="1.5")
    site.operate("db", "upgrade")
    key = site.key("alice", "thirty")
    server = start(slow=1.0, **site.environment)
    with client_at(server.url) as client, ThreadPoolExecutor(1) as others:
        client.headers.update(key)
        assert post_erase(client, *pair, model="telea").status_code == 200
        made = others.submit(post_erase, client_at(server.url), *pair, key, model="slow")
        wait_until(lambda: site.calls("alice") == (1, 1))
        postgres.stop()
        gone = time.monotonic()
        while time.monotonic() - gone < 3.5:
            refused(post_erase(client, *pair, model="telea"), 503, "storage_unavailable")
            assert httpx2.get(f"{server.url}/readyz").status_code == 200
        refused(made.result(), 503, "storage_unavailable")  # done, and could not be charged
        postgres.start()
        wait_until(lambda: post_erase(client, *pair, model="telea").status_code == 200)
        assert post_erase(client, *pair, model="slow").status_code == 200
    assert site.calls("alice") == (3, 1)  # by the end of its hold that one comes back
    assert site.charges("alice") == [10_000] * 3
    assert site.adds_up()
    assert "Traceback" not in server.log


@pytest.fixture
def empty_postgres():
    with PrivatePostgres() as server:
        yield server


# --- clients that go, and that come again ----------------------------------------------------------------


def sent(server, pair, headers: dict[str, str], model: str) -> http.client.HTTPConnection:
    """A request that waits for its answer; `close` it to go away."""
    request = httpx2.Request(
        "POST", f"{server.url}/v1/erase", files={"image": pair[0], "mask": pair[1]}, data={"model": model}
    )
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request(
        "POST", "/v1/erase", request.read(), {**headers, "Content-Type": request.headers["content-type"]}
    )
    return connection


def test_a_client_that_goes_away_pays_nothing(start, site, pair):
    key = site.key("alice", "thirty")
    server = start(slow=25, **site.environment, ERASER_QUEUE__SLOTS="1")
    at_work = sent(server, pair, key, "slow")
    wait_until(lambda: site.calls("alice") == (0, 1))
    in_line = sent(server, pair, key, "telea")
    wait_until(lambda: queue(server.url)["waiting"] == 1)
    assert site.reservations("alice") == {"held": 1}  # whoever waits holds nothing

    in_line.close()
    wait_until(lambda: queue(server.url)["waiting"] == 0)
    assert site.reservations("alice") == {"held": 1}
    at_work.close()
    wait_until(lambda: site.reservations("alice") == {"released": 1}, 5)

    assert site.calls("alice") == (0, 0)
    assert site.charges("alice") == []
    with client_at(server.url) as client:
        assert post_erase(client, *pair, key, model="telea").status_code == 200
    assert site.adds_up()
    assert "Traceback" not in server.log


def test_the_same_idempotency_key_is_charged_once_however_often_it_comes(start, site, pair):
    key = site.key("alice", "thirty")
    server = start(slow=0.5, **site.environment)
    asked = {**key, "Idempotency-Key": "once"}

    def ask(_number: int) -> httpx2.Response:
        with client_at(server.url) as client:
            return post_erase(client, *pair, asked, model="slow")

    with ThreadPoolExecutor(4) as crowd:
        answers = list(crowd.map(ask, range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    again = ask(5)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert "ratelimit" not in again.headers  # it cost nothing
    assert site.calls("alice") == (1, 0)
    assert site.charges("alice") == [10_000]
    assert site.adds_up()


# --- without a credential --------------------------------------------------------------------------------


def test_who_shows_nothing_has_the_default_plan_by_address_and_only_a_trusted_proxy_tells_it(
    start, database_url, tmp_path, pair
):
    site = Site(database_url, tmp_path, "optional")
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
    assert site.adds_up()


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


# --- asleep, and leaving ---------------------------------------------------------------------------------


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
    assert site.adds_up()
    assert "Traceback" not in server.log


@pytest.mark.parametrize("drain_seconds", ["20", "0.3"])
def test_told_to_leave_it_leaves_nothing_held(start, site, pair, drain_seconds):
    """With time enough what runs is finished and charged; without, it is stopped and given back."""
    key = site.key("alice", "thirty")
    patient = drain_seconds != "0.3"
    server = start(
        slow=1.0 if patient else 30,
        **site.environment,
        ERASER_QUEUE__SLOTS="2",
        ERASER_SERVER__DRAIN_SECONDS=drain_seconds,
    )
    with ThreadPoolExecutor(3) as crowd:
        asked = [
            crowd.submit(post_erase, client_at(server.url), *pair, key, model="slow", seed=seed)
            for seed in range(3)
        ]
        wait_until(lambda: queue(server.url)["running"] == 2 and queue(server.url)["waiting"] == 1)
        wait_until(lambda: site.calls("alice") == (0, 2))
        assert server.stop() == 0
        answers = [each.result() for each in asked]
    good = sum(answer.status_code == 200 for answer in answers)
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert good == (2 if patient else 0)
    assert site.calls("alice") == (good, 0)
    assert site.reservations("alice") == ({"settled": 2} if patient else {"released": 2})
    assert site.adds_up()
    assert "Traceback" not in server.log

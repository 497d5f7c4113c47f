"""Servers that ask who calls, as processes: killed, told to leave, left by clients and by their database."""

from __future__ import annotations

import http.client
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from accounts_at_work import Site, queue, small_pair
from crowd import Crowd, client_at, over, plain, post_erase, post_job, refused, wait_until
from private_servers import PrivatePostgres

HOLD = {"ERASER_BILLING__HOLD_SECONDS": "60"}


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, bytes]:
    return small_pair()


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
    server = start(slow=0.3, **site.environment) if beside else None
    asks = [plain(*pair, model="slow", **key)] * (4 if beside else 8)
    with Crowd(doomed.url, asks) as first, Crowd((server or doomed).url, asks[: 4 * beside]) as other:
        first.wait(lambda told: told.status == 200, 4)
        wait_until(lambda: queue(doomed.url)["running"] == 3)
        time.sleep(0.1)  # in the middle of it, not while it begins
        doomed.signal(signal.SIGKILL)
        doomed.process.wait()
        if beside:
            other.wait(lambda told: told.status == 429, 10)
    answers = [told.response for told in first.told + other.told]
    if server is None:
        server = start(slow=0.02, **site.environment)
        with Crowd(server.url, asks) as crowd:
            crowd.wait(lambda told: told.status == 429, 10)
        answers += [told.response for told in crowd.told]
    used, held = site.calls("alice")
    assert 1 <= held <= 3  # one in each slot of the dead one
    assert used + held == 30  # what nobody ended counts as under way
    assert site.reservations("alice") == {"settled": 30 - held, "held": held}

    site.rows("UPDATE reservations SET expires_at = created_at WHERE state = 'held'")
    start(**site.environment)
    wait_until(lambda: site.calls("alice")[1] == 0)
    with Crowd(server.url, asks) as crowd:
        crowd.wait(lambda told: told.status == 429, 10)
    answers += [told.response for told in crowd.told]

    assert site.calls("alice") == (30, 0)
    assert site.reservations("alice") == {"settled": 30, "expired": held}
    assert site.charges("alice") == [10_000] * 30
    got = sum(answer.status_code == 200 for answer in answers)
    assert 30 - 3 <= got <= 30  # charged, and killed before it answered
    assert {answer.status_code for answer in answers} == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            refused(answer, 429, "quota_exhausted")
            assert answer.json()["resets_at"].endswith("T00:00:00+00:00")
    assert "Calls and money add up." in site.operate("db", "check")
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
    late = [item for item in done["items"] if item["success"] is False]
    assert {item["code"] for item in late} == {"quota_exhausted"}
    assert 'All 12 calls a day of the plan "twelve" are used' in late[0]["error"]
    assert site.reservations("alice") == {"settled": 12, "released": held}
    assert site.charges("alice") == [10_000] * 12
    told = site.rows("SELECT source_id, units, amount FROM usage_events WHERE source = 'job'")
    assert sorted(told) == sorted(
        (f"{job['id']}/{item['index']}", 1, 10_000) for item in done["items"] if item["success"]
    )
    assert site.faults() == []
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
        made = others.submit(post_erase, client, *pair, key, model="slow")
        wait_until(lambda: site.calls("alice") == (1, 1))
        postgres.stop()
        gone = time.monotonic()
        while time.monotonic() - gone < 3:
            refused(post_erase(client, *pair, model="telea"), 503, "storage_unavailable")
            assert httpx2.get(f"{server.url}/readyz").status_code == 200
        refused(made.result(), 503, "storage_unavailable")  # done, and could not be charged
        postgres.start()
        wait_until(lambda: post_erase(client, *pair, model="telea").status_code == 200)
        assert post_erase(client, *pair, model="slow").status_code == 200
    assert site.calls("alice") == (3, 1)  # by the end of its hold that one comes back
    assert site.charges("alice") == [10_000] * 3
    assert site.faults() == []
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
    assert site.faults() == []
    assert "Traceback" not in server.log


def test_of_clients_that_go_at_any_moment_nothing_stays_held(start, site, pair):
    """Also of those that went while the database was being asked."""
    key = site.key("alice", "pro")
    server = start(slow=0.01, **site.environment)

    def come_and_go(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(25):
            connection = sent(server, pair, key, "slow")
            time.sleep(chance.uniform(0, 0.1))
            connection.close()

    for first in range(0, 60, 6):  # until enough have gone in the middle, which a busy machine makes rare
        with ThreadPoolExecutor(6) as crowd:
            list(crowd.map(come_and_go, range(first, first + 6)))
        wait_until(lambda: site.calls("alice")[1] == 0, 5)
        if site.reservations("alice")["released"] >= 5:
            break
    assert site.reservations("alice")["released"] >= 5
    assert site.calls("alice")[0] == len(site.charges("alice"))
    assert site.faults() == []
    assert "Traceback" not in server.log


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
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
    assert site.faults() == []


# --- told to leave ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("database_url", "drain_seconds"), [("sqlite", "20"), ("postgresql", "0.3")], indirect=["database_url"]
)
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
    with ThreadPoolExecutor(3) as crowd, client_at(server.url) as client:
        asked = [crowd.submit(post_erase, client, *pair, key, model="slow", seed=seed) for seed in range(3)]
        wait_until(lambda: queue(server.url)["running"] == 2 and queue(server.url)["waiting"] == 1)
        wait_until(lambda: site.calls("alice") == (0, 2))
        assert server.stop() == 0
        answers = [each.result() for each in asked]
    if patient:  # whoever waited was let in already
        assert {answer.status_code for answer in answers} == {200}
        assert site.reservations("alice") == {"settled": 3}
    else:
        for answer in answers:
            refused(answer, 503, "draining")
        assert site.reservations("alice") == {"released": 2}
    assert site.calls("alice") == (3 if patient else 0, 0)
    assert site.faults() == []
    assert "Traceback" not in server.log

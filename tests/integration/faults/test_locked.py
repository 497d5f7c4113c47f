"""SQLite's file is locked by somebody else, such as a backup, while clients erase, use keys and make jobs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2

from crowd import Crowd, client_at, over, plain, post_erase, post_job, refused, wait_until
from ledger import charged_in_file, each_once

LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""
LOCKED_SECONDS = 5.0


@contextmanager
def locked(server) -> Iterator[float]:
    """From a moment, monotonic seconds, to the end of the block."""
    command = [sys.executable, "-c", LOCKER, str(server.data_dir / "eraser.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        yield time.monotonic()
        process.stdin.close()
        assert process.wait(10) == 0


def test_for_five_seconds_who_needs_it_waits_and_succeeds_and_the_others_notice_nothing(start, pair):
    server = start(slow=0.2, ERASER_CACHE__BACKEND="null")
    with client_at(server.url) as client, ThreadPoolExecutor(6) as others:
        running = post_job(client, *pair, 8, model="slow").json()
        wait_until(lambda: client.get(f"/v1/jobs/{running['id']}").json()["succeeded"] >= 1)
        with Crowd(server.url, [plain(*pair)] * 2) as crowd:
            with locked(server) as since:
                keyed = [
                    others.submit(post_erase, client, *pair, {"Idempotency-Key": f"k{number}"}, seed=number)
                    for number in range(3)
                ]
                made = [others.submit(post_job, client, *pair, 2, model="telea") for _ in range(3)]
                time.sleep(LOCKED_SECONDS - (time.monotonic() - since))
                assert not any(each.done() for each in (*keyed, *made))
                status = httpx2.get(f"{server.url}/v1/status").json()
                assert (
                    status["dependencies"]["database"] == "ok"
                )  # what is written is locked, not what is read
                during = crowd.since(since)
            answers = [each.result() for each in keyed]
            jobs = [each.result() for each in made]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert [answer.status_code for answer in jobs] == [202] * 3
        again = post_erase(client, *pair, {"Idempotency-Key": "k0"}, seed=0)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.content == answers[0].content
        for job, items in ((running, 8), *((each.json(), 2) for each in jobs)):
            assert over(client, job)["succeeded"] == items
            assert charged_in_file(server.data_dir, job["id"]) == each_once(job["id"], items)
    assert crowd.broken == []
    assert {told.status for told in crowd.told} == {200}
    assert len(during) >= 20
    assert max(told.seconds for told in during) < 1.5
    assert "Traceback" not in server.log


def test_for_longer_than_the_timeout_who_needs_it_is_told_and_comes_again(start, pair):
    server = start(slow=0.5, ERASER_DATABASE__TIMEOUT_SECONDS="1", ERASER_CACHE__BACKEND="null")
    key = {"Idempotency-Key": "the same"}
    with client_at(server.url) as client:
        running = post_job(client, *pair, 3, model="slow").json()
        wait_until(lambda: client.get(f"/v1/jobs/{running['id']}").json()["state"] == "running")
        with locked(server) as since:
            refused(post_erase(client, *pair, key, model="telea"), 503, "storage_unavailable")
            refused(post_job(client, *pair, 2, model="telea"), 503, "storage_unavailable")
            assert 1.8 < time.monotonic() - since < 5
            assert post_erase(client, *pair, model="telea").status_code == 200
            assert client.get(f"/v1/jobs/{running['id']}").status_code == 200
            assert client.get("/readyz").status_code == 200
        assert post_erase(client, *pair, key, model="telea").status_code == 200
        assert over(client, post_job(client, *pair, 2, model="telea").json())["succeeded"] == 2
        assert over(client, running)["succeeded"] == 3
        assert charged_in_file(server.data_dir, running["id"]) == each_once(running["id"], 3)
        assert len(client.get("/v1/jobs").json()["jobs"]) == 2  # none of the one that was refused
    assert "Traceback" not in server.log

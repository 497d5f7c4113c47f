"""A server with SQLite ends in the middle of a job, in order or by `kill -9`, and is started again."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2

from crowd import client_at, over, post_erase, post_job, refused, wait_until
from ledger import charged_in_file, each_once, rows

ITEMS = 6


def test_killed_it_goes_on_once_the_lease_is_over_and_charges_nothing_twice(start, pair, tmp_path):
    rules = {"ERASER_JOBS__LEASE_SECONDS": "1", "ERASER_CACHE__BACKEND": "null"}
    server = start(slow=0.5, data_dir=tmp_path / "kept", **rules)
    with client_at(server.url) as client:
        job = post_job(client, *pair, ITEMS, model="slow").json()
        wait_until(lambda: client.get(f"/v1/jobs/{job['id']}").json()["succeeded"] >= 1)
    server.signal(signal.SIGKILL)
    server.process.wait()
    assert sum(charged_in_file(server.data_dir, job["id"]).values()) < ITEMS
    server = start(slow=0.1, data_dir=tmp_path / "kept", **rules)
    with client_at(server.url) as client:
        assert over(client, job)["succeeded"] == ITEMS
    assert charged_in_file(server.data_dir, job["id"]) == each_once(job["id"], ITEMS)
    assert list((tmp_path / "kept").rglob("*.part")) == []
    assert "Traceback" not in server.log


def test_told_to_leave_it_gives_its_items_back_and_the_next_one_has_them_at_once(start, pair, tmp_path):
    """The lease is a minute: by it alone the next server would wait so long."""
    server = start(slow=30, data_dir=tmp_path / "kept")
    look = "SELECT state, attempts FROM job_items WHERE job_id = ?"
    with client_at(server.url) as client:
        job = post_job(client, *pair, 3, model="slow").json()
        wait_until(lambda: rows(server.data_dir, look, job["id"]).count(("leased", 1)) == 2)
    told = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - told < 4
    assert rows(server.data_dir, look, job["id"]) == [("queued", 0)] * 3
    assert charged_in_file(server.data_dir, job["id"]) == {}
    server = start(slow=0.1, data_dir=tmp_path / "kept")
    with client_at(server.url) as client:
        assert over(client, job, seconds=5)["succeeded"] == 3
    assert charged_in_file(server.data_dir, job["id"]) == each_once(job["id"], 3)
    assert "Traceback" not in server.log


def test_at_its_limit_it_closes_the_house_and_says_so_without_a_traceback(start, pair):
    server = start(slow=30, ERASER_SERVER__DRAIN_SECONDS="0.3")
    with ThreadPoolExecutor(1) as others, client_at(server.url) as client:
        answer = others.submit(post_erase, client, *pair, model="slow")
        wait_until(lambda: httpx2.get(f"{server.url}/v1/status").json()["queue"]["running"] == 1)
        told = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - told < 4
        refused(answer.result(), 503, "draining")
    assert '"stopped"' in server.log
    assert "Traceback" not in server.log

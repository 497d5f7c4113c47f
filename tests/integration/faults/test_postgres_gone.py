"""PostgreSQL goes for some seconds: who does not need it works on, who does is told at once, and nothing is lost."""

from __future__ import annotations

import threading
import time

import httpx2
import pytest

from crowd import Crowd, client_at, follow, over, plain, post_erase, post_job, refused, wait_until
from ledger import charged, each_once
from private_servers import PrivatePostgres

GONE_SECONDS, TIMEOUT = 5.0, 1.5


@pytest.mark.parametrize(("fault", "repair", "at_once"), [("stop", "start", 0.7), ("freeze", "thaw", 4.5)])
def test_work_that_needs_none_goes_on_and_the_rest_is_told_and_goes_on_later(
    start, pair, fault, repair, at_once
):
    """Frozen, it is noticed after the timeout; an answer may wait for a connection, and then for what it answers."""
    with PrivatePostgres() as postgres:
        server = start(
            slow=0.4,
            ERASER_DATABASE__URL=postgres.url,
            ERASER_DATABASE__TIMEOUT_SECONDS=str(TIMEOUT),
            ERASER_JOBS__CONCURRENCY="2",
            ERASER_CACHE__BACKEND="null",
        )
        key = {"Idempotency-Key": "before"}
        with client_at(server.url) as client, Crowd(server.url, [plain(*pair)] * 2) as crowd:
            first = post_erase(client, *pair, key)
            job = post_job(client, *pair, 8, model="slow").json()
            wait_until(lambda: client.get(f"/v1/jobs/{job['id']}").json()["succeeded"] >= 1)
            heard: list[dict] = []
            listener = threading.Thread(target=follow, args=(server.url, job, heard))
            listener.start()
            wait_until(lambda: heard)
            getattr(postgres, fault)()
            gone = time.monotonic()
            requests = (
                lambda: post_erase(client, *pair, {"Idempotency-Key": "during"}),
                lambda: post_job(client, *pair),
                lambda: client.get(f"/v1/jobs/{job['id']}"),
            )
            while time.monotonic() - gone < GONE_SECONDS:
                for request in requests:
                    began = time.monotonic()
                    refused(request(), 503, "storage_unavailable")
                    assert time.monotonic() - began < at_once
                assert client.get("/v1/status").json()["dependencies"]["database"] == "down"
                assert client.get("/readyz").status_code == 200
                assert client.get("/metrics").status_code == 200
            during = crowd.since(gone)
            getattr(postgres, repair)()
            wait_until(lambda: client.get("/v1/status").json()["dependencies"]["database"] == "ok")
            again = post_erase(client, *pair, key)
            assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
            assert post_erase(client, *pair, {"Idempotency-Key": "during"}).status_code == 200
            assert over(client, post_job(client, *pair, 2).json())["succeeded"] == 2
            assert over(client, job)["succeeded"] == 8
            listener.join(10)
        assert [each["number"] for each in heard] == list(range(1, 10))  # the stream was not cut off
        assert charged(postgres.url, job["id"]) == each_once(job["id"], 8)
        assert crowd.broken == []
        assert {told.status for told in crowd.told} == {200}
        assert len(during) >= 20
        assert max(told.seconds for told in during) < 1.5
        assert "Traceback" not in server.log
        assert httpx2.get(f"{server.url}/readyz").status_code == 200

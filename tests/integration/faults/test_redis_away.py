"""Redis goes and comes back under load: clients see nothing of it but results that are made anew."""

from __future__ import annotations

import re
import time

import httpx2
import pytest

from crowd import Crowd, plain
from private_servers import PrivateRedis


def redis_errors(server) -> float:
    text = httpx2.get(f"{server.url}/metrics").text
    return float(re.search(r"^eraser_redis_errors_total (.+)$", text, re.MULTILINE)[1])


def is_hit(told) -> bool:
    return told.response.headers.get("x-eraser-cache") == "hit"


@pytest.mark.parametrize(("fault", "repair"), [("stop", "start"), ("freeze", "thaw")])
def test_no_client_sees_it_and_then_there_are_hits_again(start, pair, fault, repair):
    with PrivateRedis() as redis:
        server = start(
            ERASER_CACHE__BACKEND="redis",
            ERASER_REDIS__URL=redis.url,
            ERASER_REDIS__TIMEOUT_SECONDS="0.2",
            ERASER_LIMITS__REQUESTS_PER_MINUTE="100000",
        )
        with Crowd(server.url, [plain(*pair, cycle=10)] * 4) as crowd:
            crowd.wait(is_hit, 10)
            assert redis_errors(server) == 0
            getattr(redis, fault)()
            gone = time.monotonic()
            crowd.wait(lambda told: told.began > gone, 40)
            assert httpx2.get(f"{server.url}/v1/status").json()["dependencies"]["redis"] == "down"
            assert httpx2.get(f"{server.url}/readyz").status_code == 200
            without = crowd.since(gone)
            getattr(redis, repair)()
            back = time.monotonic()
            crowd.wait(lambda told: told.began > back and is_hit(told), 10)
            assert httpx2.get(f"{server.url}/v1/status").json()["dependencies"]["redis"] == "ok"
        assert crowd.broken == []
        assert {told.status for told in crowd.told} == {200}
        assert not all(is_hit(told) for told in without)
        assert all(
            "ratelimit" in told.response.headers for told in crowd.told
        )  # each server counts by itself
        assert max(told.seconds for told in crowd.told) < 2.5  # two timeouts, and a busy machine
        assert redis_errors(server) > 0
        assert server.log.count("redis_down") == server.log.count("redis_back") == 1
        assert "Traceback" not in server.log

"""More than the machine can do, for some seconds: everybody is told something, in time, and nothing grows."""

from __future__ import annotations

import time
from collections import Counter

import httpx2

from crowd import Crowd, client_at, plain, post_erase

CLIENTS, SECONDS = 40, 8.0
DEADLINE = 2.0
MOST_GROWTH = 150 * 1024**2


def test_forty_clients_at_more_than_the_machine_can_do(start, coffee_jpeg, spoon_png):
    server = start(
        ERASER_QUEUE__SLOTS="2",
        ERASER_QUEUE__DEPTH="12",
        ERASER_QUEUE__DEADLINE_SECONDS=str(DEADLINE),
        ERASER_CACHE__BACKEND="null",
    )
    with client_at(server.url) as client:
        for seed in range(2):
            assert post_erase(client, coffee_jpeg, spoon_png, model="telea", seed=seed).status_code == 200
        at_rest = server.memory()
        ask = plain(coffee_jpeg, spoon_png, model="telea")
        with Crowd(server.url, [ask] * CLIENTS, pause=0.1) as crowd:
            time.sleep(SECONDS)
        assert server.memory("VmHWM") - at_rest < MOST_GROWTH
        assert post_erase(client, coffee_jpeg, spoon_png, model="telea", seed=10**7).status_code == 200
        queue = client.get("/v1/status").json()["queue"]
        assert (queue["running"], queue["waiting"]) == (0, 0)
    assert crowd.broken == []
    statuses = Counter(told.status for told in crowd.told)
    assert set(statuses) <= {200, 429, 503, 504}, statuses
    assert statuses[200] >= 20
    assert statuses[503] >= 20
    for told in crowd.told:
        if told.status == 503:
            assert told.response.json()["code"] == "queue_full"
            assert 1 <= int(told.response.headers["retry-after"]) <= 60
    took = sorted(told.seconds for told in crowd.told if told.status == 200)
    assert took[int(0.95 * len(took))] <= DEADLINE + 0.5
    assert httpx2.get(f"{server.url}/readyz").status_code == 200
    assert "Traceback" not in server.log

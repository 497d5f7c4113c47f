"""One address floods the server; another one's single requests are hardly later for it."""

from __future__ import annotations

import time

import httpx2

from crowd import Crowd, client_at, plain, post_erase, wait_until

SLOT_SECONDS, DEPTH = 0.5, 8
MARGIN = 0.4
"""Seconds, for a busy machine."""


def timed(client: httpx2.Client, pair, seed: int) -> float:
    began = time.monotonic()
    answer = post_erase(client, *pair, model="slow", seed=seed)
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began


def test_a_flood_delays_another_callers_request_by_two_slots_time_and_only_the_flood_is_refused(start, pair):
    server = start(
        slow=SLOT_SECONDS,
        ERASER_QUEUE__SLOTS="1",
        ERASER_QUEUE__DEPTH=str(DEPTH),
        ERASER_CACHE__BACKEND="null",
    )
    with client_at(server.url, "127.0.0.1") as client:
        alone = timed(client, pair, 10**7)
        flood = [plain(*pair, model="slow")] * (2 * DEPTH + 4)
        with Crowd(server.url, flood, pause=0.2, local="127.0.0.2") as crowd:
            wait_until(lambda: client.get("/v1/status").json()["queue"]["waiting"] == DEPTH)
            crowd.wait(lambda told: told.status == 503)
            flooded = []
            for number in range(4):
                time.sleep(0.13 * number)  # at different moments of a slot's time
                flooded.append(timed(client, pair, 10**7 + 1 + number))
    assert max(flooded) <= alone + 2 * SLOT_SECONDS + MARGIN
    assert crowd.broken == []
    assert {told.status for told in crowd.told} == {200, 503}
    for told in crowd.told:
        if told.status == 503:
            assert told.response.json()["code"] == "queue_full"
            assert 1 <= int(told.response.headers["retry-after"]) <= 60

"""What the server does for itself goes on, whatever one of its chores comes to."""

from __future__ import annotations

import time

from fastapi.testclient import TestClient

from magic_eraser.api.app import create_app
from magic_eraser.service.cache import NullCache
from magic_eraser.settings import ServerSettings


class CacheWithADefect(NullCache):
    def __init__(self) -> None:
        self.trimmed = 0

    async def trim(self) -> None:
        self.trimmed += 1
        raise RuntimeError("a defect of ours")


def test_a_chore_that_breaks_ends_neither_the_others_nor_the_servers_sleep(settings):
    cache = CacheWithADefect()
    nobody_comes = settings.model_copy(update={"server": ServerSettings(sleep_after_seconds=0.1)})
    app = create_app(nobody_comes, cache=cache)
    with TestClient(app) as client:
        end = time.monotonic() + 10
        while not client.get("/v1/status").json()["asleep"] and time.monotonic() < end:
            time.sleep(0.1)
        assert client.get("/v1/status").json()["asleep"]
    assert cache.trimmed

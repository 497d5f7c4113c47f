"""A stream of events, while everything around it goes wrong."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from starlette.requests import Request

from magic_eraser.api.events import EventResponse, follow
from magic_eraser.api.streams import EventStreams
from magic_eraser.errors import NotFound, RateLimited, StorageUnavailable
from magic_eraser.jobs.job import Job
from magic_eraser.jobs.tables import JobState

OPEN = Job("job", "local", JobState.RUNNING, 1, 0, 0, 0, 0.0, None, None)
OVER = Job("job", "local", JobState.SUCCEEDED, 1, 1, 0, 7, 0.0, 1.0, 2.0)


class Told:
    """What the database says, look by look; an exception is raised, and the last goes on for ever."""

    def __init__(self, *looks) -> None:
        self.looks = list(looks)
        self.after: list[int] = []

    async def events(self, tenant_id, job_id, after):
        self.after.append(after)
        news = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(news, Exception):
            raise news
        return news


def rooms_with(told: Told):
    return SimpleNamespace(jobs=told, admission=SimpleNamespace(draining=False))


def request() -> Request:
    return Request({"type": "http", "headers": [], "root_path": ""})


async def heard(rooms, **options) -> list[str]:
    async with asyncio.timeout(5):
        return [text async for text in follow(request(), rooms, OPEN, 3, look_seconds=0.001, **options)]


def test_it_says_first_when_to_come_back_and_ends_with_the_job():
    told = Told([], [OVER])
    first, last = asyncio.run(heard(rooms_with(told)))
    assert first == "retry: 3000\n\n"
    assert last.startswith('id: 7\nevent: job\ndata: {"id":"job","state":"succeeded"')
    assert last.endswith("}\n\n")
    assert last.count("\n") == 4
    assert told.after == [3, 3]


def test_it_waits_while_the_database_is_away():
    told = Told(StorageUnavailable(), StorageUnavailable(), [OVER])
    assert len(asyncio.run(heard(rooms_with(told)))) == 2


def test_it_ends_when_the_job_is_removed():
    assert len(asyncio.run(heard(rooms_with(Told([], NotFound()))))) == 1


def test_it_speaks_now_and_then_so_that_proxies_do_not_close_it():
    async def story():
        stream = follow(request(), rooms_with(Told([])), OPEN, 0, look_seconds=0.001, heartbeat_seconds=0.01)
        async with asyncio.timeout(5):
            assert [await anext(stream) for _ in range(3)][1:] == [": still here\n\n"] * 2
        await stream.aclose()

    asyncio.run(story())


def test_it_ends_when_the_server_leaves_in_the_middle():
    async def story():
        rooms = rooms_with(Told([]))
        asyncio.get_running_loop().call_later(0.05, setattr, rooms.admission, "draining", True)
        assert len(await heard(rooms)) == 1

    asyncio.run(story())


def test_each_caller_has_a_bound_of_its_own_and_what_ended_does_not_count():
    streams = EventStreams(most=2)
    end = streams.begin("a")
    streams.begin("a")
    streams.begin("b")
    with pytest.raises(RateLimited):
        streams.begin("a")
    end()
    end()
    streams.begin("a")
    assert streams.count == 3
    with pytest.raises(RateLimited):
        streams.begin("a")


def test_a_client_that_goes_away_ends_its_stream():
    async def story():
        streams = EventStreams()
        stream = follow(request(), rooms_with(Told([])), OPEN, 0, look_seconds=0.001)
        response = EventResponse(stream, streams.begin("a"))
        begun = asyncio.Event()

        async def receive():
            await begun.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message["type"] == "http.response.body":
                begun.set()

        async with asyncio.timeout(5):
            await response({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
        assert streams.count == 0

    asyncio.run(story())

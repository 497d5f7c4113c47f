"""Clients that go on asking while something breaks, and what each of them was told.

with Crowd(server.url, [plain(photo, mask)] * 4) as crowd:
    redis.stop()
    crowd.wait(lambda told: told.began > moment, 20)   # twenty answers to what was asked after that
assert crowd.broken == []
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import httpx2

Ask = Callable[[httpx2.Client, int], httpx2.Response]
"""One request; the number is unlike that of any other."""


@dataclass(frozen=True, slots=True)
class Told:
    """One answer: when it was asked for (monotonic seconds), how long it took, and what it was."""

    began: float
    seconds: float
    response: httpx2.Response

    @property
    def status(self) -> int:
        return self.response.status_code


class Crowd:
    """One thread for each of `asks`, which asks again and again until the block ends.

    Attributes:
        told: every answer, in the order in which they came.
        broken: every failure to get one: connections that were refused, cut off or not answered.
    """

    def __init__(
        self, url: str, asks: Sequence[Ask], *, pause: float = 0.01, local: str | None = None
    ) -> None:
        self.told: list[Told] = []
        self.broken: list[httpx2.TransportError] = []
        self._url = url
        self._pause = pause
        self._local = local
        self._over = threading.Event()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._go_on, args=(ask,)) for ask in asks]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def since(self, moment: float) -> list[Told]:
        """Answers to what was asked after that moment."""
        return [told for told in list(self.told) if told.began > moment]

    def wait(self, which: Callable[[Told], bool], count: int = 1, seconds: float = 30) -> None:
        """Until so many of the answers are such."""
        wait_until(lambda: sum(map(which, list(self.told))) >= count, seconds)

    def _go_on(self, ask: Ask) -> None:
        with client_at(self._url, self._local) as client:
            while not self._over.is_set():
                began = time.monotonic()
                try:
                    response = ask(client, next(self._numbers))
                    self.told.append(Told(began, time.monotonic() - began, response))
                except httpx2.TransportError as error:
                    self.broken.append(error)
                    time.sleep(0.05)
                self._over.wait(self._pause)


def client_at(url: str, local: str | None = None) -> httpx2.Client:
    """A client of a server; `local` is the address that it calls from."""
    return httpx2.Client(base_url=url, timeout=60, transport=httpx2.HTTPTransport(local_address=local))


def plain(photo: bytes, mask: bytes, model: str = "telea", cycle: int = 10**6, **headers: str) -> Ask:
    """`POST /v1/erase`, another seed each time, of `cycle` different ones."""

    def ask(client: httpx2.Client, number: int) -> httpx2.Response:
        return post_erase(client, photo, mask, headers, model=model, seed=number % cycle)

    return ask


def post_erase(
    client: httpx2.Client, photo: bytes, mask: bytes, headers: Mapping[str, str] | None = None, **fields: Any
) -> httpx2.Response:
    files = {"image": ("photo", photo), "mask": ("mask", mask)}
    data = {name: str(value) for name, value in fields.items()}
    return client.post("/v1/erase", files=files, data=data, headers=dict(headers or {}))


def post_job(
    client: httpx2.Client,
    photo: bytes,
    mask: bytes,
    count: int = 1,
    headers: Mapping[str, str] | None = None,
    **fields,
) -> httpx2.Response:
    files = [("image", (f"{number}.png", photo)) for number in range(count)] + [("mask", ("m", mask))] * count
    return client.post("/v1/jobs", files=files, data=fields, headers=dict(headers or {}))


def over(client: httpx2.Client, job: Mapping[str, Any], seconds: float = 30) -> dict[str, Any]:
    """The job once it is."""
    give_up = time.monotonic() + seconds
    while True:
        seen = client.get(f"/v1/jobs/{job['id']}").json()
        if seen.get("finished_at"):
            return seen
        assert time.monotonic() < give_up, seen
        time.sleep(0.05)


def follow(url: str, job: Mapping[str, Any], heard: list[dict[str, Any]]) -> None:
    """The events of a job, up to the end of the stream; `number` is the id of each."""
    fields: dict[str, str] = {}
    with httpx2.stream("GET", f"{url}/v1/jobs/{job['id']}/events", timeout=60) as response:
        for line in response.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                data = json.loads(fields["data"])
                heard.append({"event": fields["event"], "number": int(fields["id"]), **data})
                fields = {}


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.03)


def refused(response: httpx2.Response, status: int, code: str) -> None:
    """A problem of that kind, with a sentence, and when to come again."""
    assert (response.status_code, response.json().get("code")) == (status, code), response.text
    assert int(response.headers["retry-after"]) >= 1
    assert response.json()["detail"]

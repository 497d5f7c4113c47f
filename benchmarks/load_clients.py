"""Clients that cost little: raw HTTP/1.1 on asyncio, all of them in one process of their own."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

LARGEST_HEAD = 64 * 1024
GAVE_UP = 0
"""The status of an answer that never came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP, or `GAVE_UP`.
        headers: by names in lower case.
        begun: when it was sent, of the monotonic clock.
        seconds: until its last byte.
    """

    status: int
    headers: dict[str, str]
    begun: float
    seconds: float
    body: bytes = field(default=b"", repr=False)


class Line:
    """A connection that is kept, and opened anew where the other side closed it.

    Args:
        address: of ours; another loopback address is another caller.
    """

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self._port = port
        self._address = address
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes, *, keep_body: bool = False) -> Answer:
        """Send a whole request and wait for the whole answer; one that never comes has the status `GAVE_UP`."""
        begun = time.monotonic()
        used_before = self._writer is not None
        try:
            try:
                status, headers, body = await self._ask(request)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                if not used_before or getattr(error, "partial", b""):
                    raise
                # the server closed what had been idle: every client asks anew (RFC 9112, 9.3.1)
                await self.close()
                status, headers, body = await self._ask(request)
        except (OSError, EOFError, ValueError):
            await self.close()
            return Answer(GAVE_UP, {}, begun, time.monotonic() - begun)
        if headers.get("connection", "").lower() == "close":
            await self.close()
        return Answer(status, headers, begun, time.monotonic() - begun, body if keep_body else b"")

    async def close(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(
                "127.0.0.1", self._port, local_addr=(self._address, 0), limit=LARGEST_HEAD
            )
        with suppress(ConnectionError):  # it may have answered and closed before it had read all
            self._writer.write(request)
            await self._writer.drain()
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return int(first.split()[1]), headers, body


@dataclass(frozen=True, slots=True)
class Load:
    """What a crowd of clients does.

    Attributes:
        port: of the server.
        requests: sent in turn, each whole.
        clients: at once.
        seconds: for how long new requests are sent; what is open then is waited for.
        per_second: by all together, whether or not what was sent is answered; None: each client sends its next
            request once it has its answer.
        address: see `Line`.
        after: seconds to wait first.
        pause: seconds between an answer and the client's next request.
    """

    port: int
    requests: Sequence[bytes]
    clients: int
    seconds: float
    per_second: float | None = None
    address: str = "127.0.0.1"
    after: float = 0.0
    pause: float = 0.0


def drive(load: Load) -> list[Answer]:
    """Send it and wait; in order of the answers."""
    return asyncio.run(_drive(load))


def drive_together(loads: Sequence[Load]) -> list[list[Answer]]:
    """Several crowds at once; the answers of each."""

    async def all_of_them() -> list[list[Answer]]:
        return await asyncio.gather(*map(_drive, loads))

    return asyncio.run(all_of_them())


def start(load: Load, pool: ProcessPoolExecutor) -> Future[list[Answer]]:
    """`drive` in `pool`, made by `one_process`."""
    return pool.submit(drive, load)


def one_process() -> ProcessPoolExecutor:
    """For clients: a single process beside the server's."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


async def _drive(load: Load) -> list[Answer]:
    turns = itertools.cycle(load.requests)
    answers: list[Answer] = []
    await asyncio.sleep(load.after)
    end = time.monotonic() + load.seconds
    if load.per_second is None:
        work = [_one_by_one(load, turns, end, answers) for _ in range(load.clients)]
    else:
        beat = load.clients / load.per_second
        firsts = [time.monotonic() + beat * number / load.clients for number in range(load.clients)]
        work = [_steady(load, beat, first, turns, end, answers) for first in firsts]
    await asyncio.gather(*work)
    return answers


async def _one_by_one(load: Load, turns: Iterator[bytes], end: float, answers: list[Answer]) -> None:
    line = Line(load.port, load.address)
    while time.monotonic() < end:
        answers.append(await line.ask(next(turns)))
        await asyncio.sleep(load.pause)
    await line.close()


async def _steady(
    load: Load, beat: float, due: float, turns: Iterator[bytes], end: float, answers: list[Answer]
) -> None:
    """A request at each beat; one that finds its client's lines all busy opens another."""
    free: list[Line] = []

    async def send() -> None:
        line = free.pop() if free else Line(load.port, load.address)
        answers.append(await line.ask(next(turns)))
        free.append(line)

    async with asyncio.TaskGroup() as open_requests:
        while due < end:
            await asyncio.sleep(due - time.monotonic())
            open_requests.create_task(send())
            due += beat
    for line in free:
        await line.close()

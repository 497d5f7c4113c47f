"""HTTP to one server, from any thread, and let go the moment nobody waits for the answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from magic_eraser.errors import UnusableOutput
from magic_eraser.models.remote.address import Address
from magic_eraser.models.remote.faults import Broken, Reply
from magic_eraser.models.watch import Watch

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 5.0
SILENT_SECONDS = 600.0
"""Without a deadline: longest wait for the next byte."""
LOOK_SECONDS = 0.05
"""How often the watch is looked at while waiting."""
OF_THE_TIME = 0.95
"""Share of the time left that the server is given (a server of ours heeds it): the rest is for the way back."""
WORDS = 256 * 1024
"""Most bytes of an answer that is no picture; IOPaint's longest is its list of models."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request: `path` below the server's base, `body` as keyword arguments of httpx (`json`, `data`, `files`)."""

    method: str
    path: str
    body: Mapping[str, Any] = field(default_factory=dict)


class Line:
    """A client with its connections, on an event loop in a thread of its own: cancelling closes the connection, and
    the server hears of it. Redirects are not followed.

    Args:
        address: of the server.
        key: sent as bearer token and as `X-API-Key`; empty for none.
        transport: instead of the network.
    """

    def __init__(
        self, address: Address, key: str = "", transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        import httpx2

        self._address = address
        headers = {"Accept-Encoding": "identity", "Accept-Language": "en"}
        if key:
            headers |= {"Authorization": f"Bearer {key}", "X-API-Key": key}
        timeout = httpx2.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS)
        self._client = httpx2.AsyncClient(
            headers=headers, timeout=timeout, transport=transport, follow_redirects=False
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="remote-model", daemon=True)
        self._thread.start()

    def ask(self, question: Question, watch: Watch, most: int = WORDS) -> Reply:
        """The server's answer.

        Args:
            question: what to ask.
            watch: looked at every 0.05 s; its deadline goes with the question.
            most: bytes that the body of a 200 may have; others are cut at `WORDS`.

        Raises:
            Broken: no connection, or it broke off.
            UnusableOutput: more than `most` bytes.
            Cancelled, DeadlineExceeded: as `watch` says; the connection is closed then.
        """
        watch.check()
        left = watch.remaining()
        headers = {} if left is None else {"X-Eraser-Deadline": f"{max(0.01, OF_THE_TIME * left):.2f}"}
        future = asyncio.run_coroutine_threadsafe(self._exchange(question, headers, most), self._loop)
        try:
            while not wait([future], LOOK_SECONDS).done:
                watch.check()
            return future.result()
        finally:
            future.cancel()

    async def _exchange(self, question: Question, headers: dict[str, str], most: int) -> Reply:
        import httpx2

        url = self._address.base + question.path
        try:
            async with self._client.stream(
                question.method, url, headers=headers, **question.body
            ) as response:
                body = bytearray()
                whole = response.status_code == 200
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > (most if whole else WORDS):
                        break
                if whole and len(body) > most:
                    raise UnusableOutput(
                        f"The remote server {self._address} answered more than {most} bytes.",
                        f"远程服务器 {self._address} 的回答超过 {most} 字节。",
                    )
                return Reply(
                    response.status_code, bytes(body[:WORDS] if not whole else body), response.headers
                )
        except httpx2.RequestError as error:
            reason = str(error) or type(error).__name__
            raise Broken(
                f"The remote server {self._address} cannot be reached: {reason}.",
                f"无法连接远程服务器 {self._address}：{reason}。",
                retry_after=5,
            ) from error

    def close(self) -> None:
        """Break off what runs, close the connections, end the thread."""
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _leave(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.aclose()

"""Connections that never send a whole request: uvicorn would wait for its head for ever."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.auto import AutoHTTPProtocol

TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def with_head_limit(seconds: float) -> type[asyncio.Protocol]:
    """For `uvicorn.Config(http=...)`: its own protocol, with the time limit of `PatientProtocol`."""
    return type("LimitedProtocol", (PatientProtocol,), {"head_seconds": seconds})


class PatientProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # httptools' where installed, else h11's
    """The head of a request must be whole so many seconds after the connection was made, or after its first byte on a
    connection that is used again. Bodies, answers, and the wait for another request are not its business.
    """

    head_seconds: ClassVar[float] = 20.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._received = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        self._received = True
        request = self.cycle
        super().data_received(data)
        if self.cycle is not request or self.transport.get_protocol() is not self:
            self._stop_timer()  # the head is whole, or a WebSocket took over
        elif self._between_requests():
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _between_requests(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body)

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.transport.is_closing() or not self._between_requests():
            return
        if self._received:
            self.transport.write(TOO_SLOW)
        self.transport.close()

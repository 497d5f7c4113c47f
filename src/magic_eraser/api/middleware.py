"""What happens to every request: an id, limits to its body, a metric, a log line, and no traceback ever."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from magic_eraser.api.body.spool import SPOOLS, Spool
from magic_eraser.api.metered import rate_headers
from magic_eraser.api.problems import problem
from magic_eraser.errors import BodyTooLarge, Cancelled, Draining, InternalError, RequestTimeout
from magic_eraser.telemetry.logging import get_logger
from magic_eraser.telemetry.metrics import Metrics

log = get_logger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestContext:
    """Outermost: gives each request its id, and answers what nobody else did."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                _decorate(headers, request_id)
                if status >= 400 or endpoint_of(scope).startswith("/v1/"):
                    headers.setdefault(
                        "Cache-Control", "no-store"
                    )  # it is one caller's, whichever header named it
                # of routes that are metered, their failures as well
                state = scope.get("state", {})
                headers.update(rate_headers(state.get("rate"), state.get("charged")))
            await send(message)

        start = time.monotonic()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, send_with_id)
        except (ClientDisconnect, Cancelled):
            status = Cancelled.status
        except asyncio.CancelledError:  # the server ends, and waits no longer for what runs
            if status == 0:
                await problem(Request(scope), Draining())(scope, receive, send_with_id)
        except Exception:
            log.exception("request_failed")
            if status == 0:
                await problem(Request(scope), InternalError())(scope, receive, send_with_id)
        finally:
            self._record(scope, status or Cancelled.status, time.monotonic() - start)
            structlog.contextvars.unbind_contextvars("request_id")

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        endpoint = endpoint_of(scope)
        self.metrics.requests.labels(method, endpoint, str(status)).inc()
        self.metrics.request_seconds.labels(method, endpoint).observe(seconds)
        log.info(
            "request",
            method=method,
            endpoint=endpoint,
            status=status,
            milliseconds=round(seconds * 1000, 1),
        )


def _decorate(headers: MutableHeaders, request_id: str) -> None:
    headers["X-Request-Id"] = request_id
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")


def endpoint_of(scope: Scope) -> str:
    """The route's template, never the path that was sent: the number of labels stays bounded."""
    path = getattr(scope.get("route"), "path", None)
    if isinstance(path, str):
        return path
    for mount in ("/ui", "/static"):
        if scope["path"].startswith(scope.get("root_path", "") + mount) or scope["path"].startswith(mount):
            return mount
    return "unmatched"


LINGER_SECONDS = 3.0
SMALL = 64 * 1024
SOON_SECONDS = 0.05
"""That a refusal waits for the rest of a small body: clients send it right behind the head, and may then keep their
connection."""
GRACE_SECONDS = 10.0
"""Before then, the mean rate of a body is not judged: connections start slowly."""


class BodyCap:
    """Ends the reading of a body that is too large (`BodyTooLarge`) or too slow (`RequestTimeout`), lets a client that
    is refused in the middle of its sending hear why, and closes the body's file when the request is over.

    An answer that begins before the body was read goes out at once, but is not ended yet: what the client still sends
    is read, and thrown away, for some seconds and up to twice the cap. A connection that is closed on a client in the
    middle of its sending resets, and the answer is lost. Such an answer says `Connection: close`, as the rest of
    the body may never come. A client that waits for `100 Continue` sends nothing, and is not waited for.

    Args:
        max_bytes: largest body.
        caps: the same for single paths, below the root path.
        idle_seconds: without a byte, while one is waited for.
        min_bytes_per_second: slowest mean rate while bytes are waited for; 0 for any.
        grace_seconds: of waiting, before which the rate is not judged.
        linger_seconds: that a refused body is read on.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        *,
        caps: Mapping[str, int] | None = None,
        idle_seconds: float = 20,
        min_bytes_per_second: int = 4096,
        grace_seconds: float = GRACE_SECONDS,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.caps = dict(caps or {})
        self.idle_seconds = idle_seconds
        self.min_bytes_per_second = min_bytes_per_second
        self.grace_seconds = grace_seconds
        self.linger_seconds = linger_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(headers := Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        body = _Body(self, self.cap_of(scope), headers, receive, send)
        spools: list[Spool] = scope.setdefault(SPOOLS, [])
        try:
            await self.app(scope, body.receive, body.send)
        finally:
            for spool in spools:
                spool.release()

    def cap_of(self, scope: Scope) -> int:
        path, root = scope["path"], scope.get("root_path", "")
        return self.caps.get(path.removeprefix(root).rstrip("/"), self.max_bytes)


class _Body:
    """One body, between the server and the app."""

    def __init__(self, rules: BodyCap, cap: int, headers: Headers, receive: Receive, send: Send) -> None:
        self._rules = rules
        self._cap = cap
        self._receive = receive
        self._send = send
        declared = headers.get("content-length", "")
        self._declared = int(declared) if declared.isdecimal() and len(declared) < 20 else 0
        self._waits = "100-continue" in headers.get("expect", "").lower()
        """Whether the client sends nothing until it is asked to, which the first call of `receive` does."""
        self._seen = 0
        self._waited = 0.0
        self._over = False
        """Nothing more will come, or is waited for."""
        self._too_slow = False

    async def receive(self) -> Message:
        if self._over:
            return await self._receive()
        if self._declared > self._cap:
            raise self._too_large()
        message = await self._in_time()
        self._count(message)
        if self._seen > self._cap:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if not self._over and not self._waits:
                await self._discard(SOON_SECONDS if 0 < self._declared <= SMALL else 0)
            if not self._over or self._too_slow:
                MutableHeaders(scope=message)["Connection"] = "close"
        elif not self._over and message["type"] == "http.response.body" and not message.get("more_body"):
            await self._send({**message, "more_body": True})
            if not self._waits:
                await self._discard(self._rules.linger_seconds)
            self._over = True
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _in_time(self) -> Message:
        """The next message; only the time in which the client is waited for counts, not the app's own."""
        self._waits = False
        loop = asyncio.get_running_loop()
        start = loop.time()
        rate = self._rules.min_bytes_per_second
        left = self._rules.idle_seconds
        if rate > 0:
            left = min(left, max(self._rules.grace_seconds, self._seen / rate) - self._waited)
        try:
            async with asyncio.timeout(left):
                return await self._receive()
        except TimeoutError:
            self._over = self._too_slow = True
            raise RequestTimeout from None
        finally:
            self._waited += loop.time() - start

    async def _discard(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._over and self._seen <= 2 * self._cap:
                    self._count(await self._receive())

    def _count(self, message: Message) -> None:
        self._seen += len(message.get("body", b""))
        self._over = message["type"] != "http.request" or not message.get("more_body")

    def _too_large(self) -> BodyTooLarge:
        mebibytes = self._cap / 1024 / 1024
        return BodyTooLarge(
            f"The request body is larger than {mebibytes:.4g} MiB.",
            f"请求内容超过 {mebibytes:.4g} MiB。",
            extra={"max_bytes": self._cap},
        )


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"

"""What happens to every request: an id, a cap on its body, a metric, a log line, and no traceback ever."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from contextlib import suppress

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from magic_eraser.api.problems import problem
from magic_eraser.errors import BodyTooLarge, Cancelled, InternalError
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
                _decorate(MutableHeaders(scope=message), request_id)
            await send(message)

        start = time.monotonic()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, send_with_id)
        except (ClientDisconnect, Cancelled):
            status = Cancelled.status
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


class BodyCap:
    """Counts a body while it streams in; one byte too many ends the reading with `BodyTooLarge`.

    `Content-Length` is believed only where it already says too much, so that `Expect: 100-continue` clients
    need not send in vain. Others are read on, and thrown away, for some seconds and up to twice the cap: a
    connection that is closed on a client in the middle of its sending resets, and the answer is lost.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "")
        waits = "100-continue" in headers.get("expect", "").lower()
        seen = 0

        async def capped() -> Message:
            nonlocal seen
            if seen == 0 and declared.isdecimal() and int(declared) > self.max_bytes:
                if not waits:
                    await _discard(receive, 2 * self.max_bytes - seen)
                raise self._refusal()
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self.max_bytes:
                    await _discard(receive, 2 * self.max_bytes - seen)
                    raise self._refusal()
            return message

        await self.app(scope, capped, send)

    def _refusal(self) -> BodyTooLarge:
        mebibytes = self.max_bytes / 1024 / 1024
        return BodyTooLarge(
            f"The request body is larger than {mebibytes:.4g} MiB.",
            f"请求内容超过 {mebibytes:.4g} MiB。",
            extra={"max_bytes": self.max_bytes},
        )


async def _discard(receive: Receive, most: int) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while most > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
                most -= len(message.get("body", b""))

"""What a server answers where it does not answer with a picture, as errors of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from magic_eraser.errors import ContentBlocked, DeadlineExceeded, ModelUnavailable
from magic_eraser.models.remote.address import Address

_BUSY = frozenset({429, 502, 503, 504})
"""Answers after which the same request may succeed."""


class Passing(ModelUnavailable):
    """The server is there, and busy: worth another try.

    Attributes:
        wait: seconds that it asks to be left alone; None where it does not say.
    """

    def __init__(self, detail: str, detail_zh: str, wait: float | None) -> None:
        super().__init__(detail, detail_zh, retry_after=wait)
        self.wait = wait


class Broken(ModelUnavailable):
    """The server cannot be reached or cannot answer: worth another try, and what a circuit breaker counts."""


class Defect(Broken):
    """A defect of the server's own, which another try would meet again."""


class Refused(ModelUnavailable):
    """The server does not take such a request."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        status: of HTTP.
        body: the whole body.
        headers: names in lower case.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def raise_if_broken(reply: Reply, server: Address) -> None:
    """For answers of 500 and above, but not for those that say when to come again: such a server is alive.

    Raises:
        Broken, Defect: see there.
    """
    if reply.status < 500 or retry_after(reply) is not None or _code(reply) == DeadlineExceeded.code:
        return
    kind = Broken if reply.status in _BUSY else Defect
    raise kind(*_sentences(server, reply), retry_after=5 if kind is Broken else None)


def raise_unless_ok(reply: Reply, server: Address) -> None:
    """For every other answer but 200.

    Raises:
        Passing, Refused: see there.
        ContentBlocked, DeadlineExceeded: as a server of ours says.
        ModelUnavailable: it wants another key, or sends elsewhere; the sentence says the way out.
    """
    if reply.status == 200:
        return
    code = _code(reply)
    if code == ContentBlocked.code:
        raise ContentBlocked
    if code == DeadlineExceeded.code:
        raise DeadlineExceeded(
            f"The remote server {server} did not finish within its own time limit.",
            f"远程服务器 {server} 未能在其时限内完成。",
        )
    if 300 <= reply.status < 400:
        to = plain(reply.headers.get("location", "?"))
        raise ModelUnavailable(
            f"The remote server {server} sends requests on to {to}; add the model with its final address instead.",
            f"远程服务器 {server} 重定向到 {to}；请直接使用最终地址添加该模型。",
        )
    if reply.status in (401, 403):
        raise ModelUnavailable(
            f"The remote server {server} wants another key ({reply.status}: {_said(reply)}); it is taken from the "
            "environment variable that the model was added with.",
            f"远程服务器 {server} 拒绝了密钥（{reply.status}：{_said(reply)}）；密钥取自添加模型时指定的环境变量。",
        )
    if reply.status in _BUSY:
        raise Passing(*_sentences(server, reply), retry_after(reply))
    raise Refused(*_sentences(server, reply), retry_after=retry_after(reply))


def _sentences(server: Address, reply: Reply) -> tuple[str, str]:
    return (
        f"The remote server {server} answered {reply.status}: {_said(reply)}",
        f"远程服务器 {server} 返回 {reply.status}：{_said(reply)}",
    )


def _said(reply: Reply) -> str:
    """The server's own words: of an error of ours or IOPaint's, of pydantic, or of `/readyz`."""
    body = reply.json()
    if not isinstance(body, dict):
        return "(no reason given)"
    detail = body.get("detail") or body.get("status")
    if isinstance(detail, list):  # of pydantic: one entry a field
        detail = "; ".join(str(fault.get("msg")) for fault in detail if isinstance(fault, dict))
    return (plain(detail) if isinstance(detail, str) else "") or "(no reason given)"


def plain(text: str) -> str:
    """One line of printable text, at most 300 characters: it ends up in logs and on pages."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:300]).strip()


def _code(reply: Reply) -> str | None:
    """The code of an error of ours."""
    body = reply.json() if reply.status >= 400 else None
    code = body.get("code") if isinstance(body, dict) else None
    return code if isinstance(code, str) else None


def retry_after(reply: Reply) -> float | None:
    """Seconds, not below 0, by `Retry-After` (RFC 9110, 10.2.3: seconds or a date); None where it says nothing."""
    given = reply.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdecimal():
        return float(given[:9])
    try:
        date = parsedate_to_datetime(given)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())

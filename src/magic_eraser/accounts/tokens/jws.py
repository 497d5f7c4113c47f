"""Signed texts in their compact form (RFC 7515): taken apart without mercy, signed and checked by HS256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from magic_eraser.errors import InvalidToken

MOST_BYTES = 8 * 1024
HS256 = "HS256"
TYPES = ("jwt", "at+jwt")
"""RFC 7519, 5.1, and RFC 9068, 2.1; in any case, as media types are."""
_BASE64URL = re.compile("[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Jws:
    """A text that says it is signed; nothing of it is to be believed before its signature was checked.

    Attributes:
        algorithm: `alg` of its header.
        key_id: `kid`; None where it names no key.
        signed: what the signature is of.
        signature: as it came.
        payload: what it says.
    """

    algorithm: str
    key_id: str | None
    signed: bytes
    signature: bytes
    payload: bytes

    def claims(self) -> dict[str, Any]:
        """The payload as a JSON object.

        Raises:
            InvalidToken: it is none, or has a name twice.
        """
        return _object(self.payload)


def parse(text: str) -> Jws:
    """A text of three parts. The header's `jku`, `jwk`, `x5u` and the like are not looked at: which keys count is not
    for the token to say (RFC 8725, 3.10).

    Raises:
        InvalidToken: not in that form, of another type, with extensions (`crit`, `b64`), or larger than `MOST_BYTES`.
    """
    if len(text) > MOST_BYTES:
        raise refused(f"it has more than {MOST_BYTES} bytes", f"长度超过 {MOST_BYTES} 字节")
    parts = text.split(".")
    if len(parts) != 3:
        raise refused("it does not have three parts", "应由三段组成")
    header = _object(_decoded(parts[0]))
    _check(header)
    payload, signature = _decoded(parts[1]), _decoded(parts[2])
    return Jws(
        algorithm=header["alg"],
        key_id=header.get("kid"),
        signed=f"{parts[0]}.{parts[1]}".encode("ascii"),  # which they are, as they were decoded
        signature=signature,
        payload=payload,
    )


def sign(claims: Mapping[str, Any], secret: bytes) -> str:
    """Claims as a token, signed by HS256."""
    head = _encoded(json.dumps({"alg": HS256, "typ": "JWT"}, separators=(",", ":")).encode())
    body = _encoded(json.dumps(claims, separators=(",", ":")).encode())
    return f"{head}.{body}.{_encoded(_digest(f'{head}.{body}'.encode('ascii'), secret))}"


def is_signed_by(jws: Jws, secret: bytes) -> bool:
    """Whether HS256 with this secret made the signature. The algorithm that the header names is the caller's to
    check."""
    return hmac.compare_digest(_digest(jws.signed, secret), jws.signature)


def refused(why: str, zh: str) -> InvalidToken:
    """The error, with a reason that says nothing of secrets or of other users."""
    return InvalidToken(f"The token is not valid: {why}.", f"令牌无效：{zh}。")


def _check(header: dict[str, Any]) -> None:
    if not isinstance(header.get("alg"), str):
        raise refused("its header names no algorithm", "头部未指明签名算法")
    if not isinstance(header.get("kid", ""), str):
        raise refused("kid is not a text", "kid 不是文本")
    if "crit" in header or header.get("b64", True) is not True:
        raise refused("it needs extensions that are not supported here", "包含不受支持的扩展")
    type_ = header.get("typ", "JWT")
    if not isinstance(type_, str) or type_.lower() not in TYPES:
        raise refused("it is a token of another type", "令牌类型不符")


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _broken()
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two would count is read in different ways by different programs (RFC 8725, 2.5)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_number(_text: str) -> NoReturn:
    raise ValueError


def _decoded(text: str) -> bytes:
    """Base64url without padding, in the one way in which bytes are written."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if _BASE64URL.fullmatch(text) else None
    except binascii.Error:
        data = None
    if data is None or _encoded(data) != text:
        raise _broken()
    return data


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _digest(data: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, data, hashlib.sha256).digest()


def _broken() -> InvalidToken:
    return refused("it was not copied whole, or is none", "内容不完整或格式错误")

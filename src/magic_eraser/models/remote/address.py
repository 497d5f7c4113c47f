"""Where a remote model is, as an operator writes it down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args
from urllib.parse import unquote, urlsplit

from magic_eraser.errors import ValidationFailed

DialectName = Literal["eraser", "iopaint"]


@dataclass(frozen=True, slots=True)
class Address:
    """A server, what it speaks, and which of its models is meant.

    Attributes:
        base: `http(s)://host[:port][/path]`, without a slash at its end.
        model: of the server; empty for the one that it takes by default.
        dialect: what it speaks; None where that is to be found out at the first contact.
    """

    base: str
    model: str = ""
    dialect: DialectName | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """`http://host:8080/path#model`; `iopaint+http://...` or `eraser+http://...` says what is spoken there.

        Raises:
            ValidationFailed: another scheme, no host, a query, or a name and password in it.
        """
        said, plus, rest = text.strip().partition("+")
        if not plus or "/" in said:
            said, rest = "", text.strip()
        try:
            parts = urlsplit(rest)
            host, _port = parts.hostname, parts.port
        except ValueError as error:
            raise _unusable(text, str(error)) from None
        if " " in rest or not rest.isprintable():
            raise _unusable(text, "it holds a space, or what cannot be printed")
        if parts.scheme not in ("http", "https") or not host:
            raise _unusable(text, "it does not begin with http:// or https:// and a host")
        if said and said not in get_args(DialectName):
            raise _unusable(text, f"nothing here speaks {said}; there are eraser+ and iopaint+")
        if parts.username is not None or parts.password is not None:
            raise ValidationFailed(
                "The address of a remote model holds a name or a password; name the environment variable that holds "
                "its key instead.",
                "远程模型的地址不能包含用户名或密码；请改为提供存放密钥的环境变量名。",
            )
        if parts.query:
            raise _unusable(text, "it has a query (?...)")
        base = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        return cls(base, unquote(parts.fragment), cast("DialectName", said) if said else None)

    def __str__(self) -> str:
        return self.base


def _unusable(text: str, reason: str) -> ValidationFailed:
    shown = text.rpartition("@")[2][:200]  # without a password
    return ValidationFailed(
        f"{shown!r} is no address of a remote model: {reason}. It looks like http://host:8080#model.",
        f"{shown!r} 不是可用的远程模型地址，应形如 http://host:8080#model。",
    )

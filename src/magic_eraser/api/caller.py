"""Who calls: by what it shows, or else by the address it calls from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from magic_eraser.accounts.principal import LOCAL_OWNER, Principal
from magic_eraser.api.rooms import Rooms
from magic_eraser.errors import InvalidToken, RateLimited

HOME = 64
"""Bits of an IPv6 address that stand for one subscriber (RFC 6177): the rest is theirs to choose."""


async def caller_of(rooms: Rooms, connection: HTTPConnection) -> Principal:
    """Who calls, from the headers and from the address that the server sees: behind proxies that are trusted, what
    they say.

    Raises:
        NotAuthenticated, InvalidToken, TokenExpired, AccountDisabled: see `SignIn.principal`.
        RateLimited: too many wrong credentials from this address.
    """
    host = connection.client.host if connection.client else ""
    return await identified(rooms, connection.headers, host)


async def identified(rooms: Rooms, headers: Mapping[str, str], host: str) -> Principal:
    """The same of a door that is no route of ours: by its headers (names in lower case) and the client's address."""
    address = grouped(host)
    if rooms.accounts is None:
        return replace(LOCAL_OWNER, address=address)
    try:
        return await rooms.accounts.sign_in.principal(credential_of(headers), address)
    except InvalidToken:
        rate = await rooms.rates.count(f"refused@{address}")
        if rate is not None and not rate.allowed:
            raise RateLimited(
                "Too many wrong keys or tokens from this address.",
                "此地址提交了过多错误的密钥或令牌。",
                retry_after=rate.reset,
            ) from None
        raise


def credential_of(headers: Mapping[str, str]) -> str | None:
    """What the caller shows: `Authorization: Bearer ...` (RFC 6750) or `x-api-key`; None where it shows nothing.

    Raises:
        InvalidToken: another scheme, two that differ, or a header that came twice: which of them counts is not for
            a proxy and us to read in different ways.
    """
    scheme, _, shown = _only(headers, "authorization").partition(" ")
    key = _only(headers, "x-api-key")
    if scheme and (scheme.lower() != "bearer" or not shown.strip()):
        raise InvalidToken(
            "The Authorization header is not of the form: Bearer KEY_OR_TOKEN.",
            "Authorization 头的格式应为：Bearer 密钥或令牌。",
        )
    shown = shown.strip()
    if shown and key and shown != key:
        raise InvalidToken(
            "Authorization and x-api-key differ; send one of them.",
            "Authorization 与 x-api-key 不一致，请只发送一个。",
        )
    return shown or key or None


def _only(headers: Mapping[str, str], name: str) -> str:
    """A header that may come once; empty where it did not."""
    given = headers.getlist(name) if isinstance(headers, Headers) else [headers.get(name, "")]
    if len(given) > 1:
        raise InvalidToken(f"The header {name} came more than once.", f"{name} 头出现了多次。")
    return given[0].strip() if given else ""


def grouped(host: str) -> str:
    """A client's address as one subscriber's; empty where it is none (a Unix socket, a test)."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        rest = 128 - HOME
        return f"{IPv6Address(int(address) >> rest << rest)}/{HOME}"
    return str(address)

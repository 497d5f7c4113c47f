"""Who calls, while nobody is asked: the local owner, told apart by address where turns and rates are counted."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection

from magic_eraser.accounts.principal import LOCAL_OWNER, Principal

HOME = 64
"""Bits of an IPv6 address that stand for one subscriber (RFC 6177): the rest is theirs to choose."""


def caller_of(connection: HTTPConnection) -> Principal:
    """The owner, from the address that the server sees: behind proxies that are trusted, what they say."""
    return at_address(connection.client.host if connection.client else "")


def at_address(host: str) -> Principal:
    """The owner at a client's address; at none where it is not one (a Unix socket, a test)."""
    return replace(LOCAL_OWNER, address=_grouped(host))


def _grouped(host: str) -> str:
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

"""Where webhooks may go: anybody names an address, so it must not be one of our own network's (OWASP: SSRF)."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from magic_eraser.errors import ValidationFailed

if TYPE_CHECKING:
    import httpx2

LONGEST = 2000
RESOLVE_SECONDS = 5.0
POINTER = "/webhook_url"
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
"""A name, or an address; IPv6 without its brackets."""
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) to its addresses; raises `OSError` where there are none."""
_NEVER = tuple(
    ip_network(network)
    for network in (
        "64:ff9b::/96", "64:ff9b:1::/48",  # translated to IPv4 by a gateway, private ones among them
        "2002::/16", "2001::/32", "192.88.99.0/24",  # 6to4 and Teredo: the same by tunnels
        "::/96", "::ffff:0:0:0/96",  # IPv4 written in old ways
        "fec0::/10",  # private once
    )
)  # fmt: skip
"""Beyond what `is_global` knows."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL, and the addresses behind its host that were looked at: one of them is connected to, and no other."""

    url: httpx2.URL
    addresses: tuple[str, ...]


class Gate:
    """Lets pass what is on the open internet, and what the operator allows.

    Args:
        allow: hosts, addresses or networks (CIDR) that are let pass although they are private.
        resolve: asks the names' servers; the system's own where None.
    """

    def __init__(self, allow: Iterable[str] = (), resolve: Resolve | None = None) -> None:
        self._hosts: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        self._resolve = resolve or ask_system
        for each in allow:
            try:
                self._networks.append(ip_network(each.strip("[]"), strict=False))
            except ValueError:
                self._hosts.add(each.lower().rstrip("."))

    async def destination(self, text: str) -> Destination:
        """A URL, judged.

        Raises:
            ValidationFailed: not http or https, with credentials, unknown, or private; points at `/webhook_url`.
        """
        url = _parsed(text)
        host = url.raw_host.decode("ascii")
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                addresses = tuple(await self._resolve(host, port))
        except (OSError, UnicodeError, TimeoutError):
            addresses = ()
        allowed = host.lower().rstrip(".") in self._hosts
        if not addresses or not (allowed or all(map(self._is_open, addresses))):
            # one sentence for both: which names are known inside is nobody's business
            raise _refused(
                f'"{host[:100]}" is not known, or not on the open internet',
                f"“{host[:100]}”无法解析，或不是公网地址",
            )
        return Destination(url, addresses)

    def _is_open(self, address: str) -> bool:
        found = ip_address(address)
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        if any(found.version == network.version and found in network for network in self._networks):
            return True
        barred = any(found.version == network.version and found in network for network in _NEVER)
        return found.is_global and not found.is_multicast and not barred


async def ask_system(host: str, port: int) -> list[str]:
    """`getaddrinfo`, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _parsed(text: str) -> httpx2.URL:
    import httpx2  # 0.1 s, and only for those who ask for a webhook

    if len(text) > LONGEST:
        raise _refused(f"it is longer than {LONGEST} characters", f"超过 {LONGEST} 个字符")
    try:
        url = httpx2.URL(text)
        port = url.port
    except (httpx2.InvalidURL, ValueError):
        raise _refused("it is no URL", "不是有效的网址") from None
    host = url.raw_host.decode("ascii")
    if not _HOST.fullmatch(host) or not (port is None or 0 < port < 65536):
        raise _refused("its host or its port is none", "主机或端口无效")
    if url.scheme not in ("http", "https"):
        raise _refused(
            "it does not begin with https:// or http:// and a host", "须以 https:// 或 http:// 开头"
        )
    if url.userinfo:
        raise _refused("it holds a user or a password", "不得包含用户名或密码")
    return url.copy_with(fragment=None)


def _refused(why: str, zh: str) -> ValidationFailed:
    return ValidationFailed(
        f"The webhook_url is refused: {why}.",
        f"webhook_url 被拒绝：{zh}。",
        extra={"errors": [{"pointer": POINTER, "message": why}]},
    )

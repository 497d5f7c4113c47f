"""An issuer's public keys, fetched from its address and kept."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2

from magic_eraser.accounts.tokens import jwk_set
from magic_eraser.accounts.tokens.jwk_set import KeySet, PublicKey
from magic_eraser.accounts.tokens.jws import refused
from magic_eraser.errors import ProviderUnavailable, SettingsError
from magic_eraser.telemetry.logging import get_logger

if TYPE_CHECKING:
    import ssl

log = get_logger(__name__)

FRESH_SECONDS = 600.0
"""That keys are used without asking again."""
KEPT_SECONDS = 86_400.0
"""That they are used while the issuer does not answer."""
COOL_DOWN_SECONDS = 30.0
"""Between two fetches: whoever makes up names of keys must not make us a tool against the issuer."""
EAGER_SECONDS = 5.0
"""The same while there are no keys at all."""
FETCH_SECONDS = 5.0
"""That one fetch may take, connection and name included."""
MOST_BYTES = 256 * 1024


class Jwks:
    """The keys behind one address. Used in one event loop.

    Args:
        url: https, or http to this machine.
        clock: seconds that only grow.
        seconds: that one fetch may take.
        transport: instead of the network.

    Raises:
        SettingsError: the address is another.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = FETCH_SECONDS,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        _check_address(url)
        self._url = url
        self._clock = clock
        self._seconds = seconds
        self._transport = transport
        self._certificates: ssl.SSLContext | None = None
        self._keys: KeySet | None = None
        self._fetched_at = self._tried_at = -math.inf
        self._failing = False
        self._flight: asyncio.Task[None] | None = None

    async def find(self, algorithm: str, key_id: str | None) -> PublicKey:
        """The key by which a token says that it is signed. Asks the issuer where the keys are old, or the key is not
        among them; never more often than `COOL_DOWN_SECONDS`, and once for all who wait.

        Raises:
            InvalidToken: the issuer does not publish such a key, or did not when it was asked last.
            ProviderUnavailable: there are no keys, as it does not answer.
        """
        if self._age() >= FRESH_SECONDS:
            await self._refresh()
        found = self._find(algorithm, key_id)
        if found is None:
            await self._refresh()
            found = self._find(algorithm, key_id)
        if self._keys is None:
            raise ProviderUnavailable(
                "The keys of the issuer of tokens cannot be fetched right now.",
                "暂时无法获取令牌签发方的公钥。",
                retry_after=max(1.0, self._pause()),
            )
        if found is None:
            raise refused("its issuer does not publish the key that it names", "签发方未公布该令牌所用的密钥")
        return found

    def _find(self, algorithm: str, key_id: str | None) -> PublicKey | None:
        if self._age() >= KEPT_SECONDS:
            self._keys = None
        return None if self._keys is None else self._keys.find(algorithm, key_id)

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _pause(self) -> float:
        """Seconds until the issuer may be asked again."""
        least = EAGER_SECONDS if self._keys is None else COOL_DOWN_SECONDS
        return self._tried_at + least - self._clock()

    async def _refresh(self) -> None:
        """Fetch, or wait for the fetch that runs; nothing within the cool-down. A caller that goes away does not take
        the fetch from the others."""
        if self._flight is None or self._flight.done():
            if self._pause() > 0:
                return
            self._tried_at = self._clock()
            self._flight = asyncio.create_task(self._fetch())
        await asyncio.shield(self._flight)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                keys = jwk_set.read(await self._get())
        except TimeoutError:
            self._failed(f"no answer within {self._seconds:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            self._failed(type(error).__name__)
        except ValueError as error:
            self._failed(str(error))
        else:
            if self._failing or not keys.keys:
                log.warning("jwks_fetched", usable_keys=len(keys.keys))
            self._keys, self._fetched_at, self._failing = keys, self._clock(), False

    def _failed(self, reason: str) -> None:
        """Told once, until it goes well again."""
        if not self._failing:
            log.warning("jwks_not_fetched", reason=reason, kept=self._keys is not None)
        self._failing = True

    async def _get(self) -> bytes:
        """The body; raises `ValueError` where the answer is none that counts."""
        if self._certificates is None:
            self._certificates = await asyncio.to_thread(httpx2.create_ssl_context)  # heeds SSL_CERT_FILE
        headers = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
        async with (
            httpx2.AsyncClient(
                transport=self._transport,
                verify=self._certificates,
                timeout=self._seconds,
                follow_redirects=False,  # where else keys may come from is not for the answer to say
                trust_env=self._url.lower().startswith("https:"),  # a proxy knows no way to this machine
            ) as client,
            client.stream("GET", self._url, headers=headers) as answer,
        ):
            if answer.status_code != 200:
                raise ValueError(f"status {answer.status_code}")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("packed, which was not asked for")
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > MOST_BYTES:
                    raise ValueError(f"more than {MOST_BYTES} bytes")
            return bytes(body)


def _check_address(url: str) -> None:
    name = "ERASER_AUTH__JWKS_URL"
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(f"{name} is no address.") from None
    if not host or parts.scheme not in ("https", "http"):
        raise SettingsError(f"{name} does not begin with https:// and a host.")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(f"{name} holds a user or a password; keys are public.")
    if parts.scheme == "http" and not _is_here(host):
        raise SettingsError(f"{name} must be https: whoever can change the keys on their way can be anybody.")


def _is_here(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"

"""Requests to Stripe by its own library, off the event loop, and what its errors are to us."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from urllib.parse import urlsplit

from magic_eraser.errors import (
    Conflict,
    EraserError,
    InternalError,
    PaymentRequired,
    ProviderUnavailable,
    SettingsError,
)
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

SECONDS = 10.0
"""That one attempt waits for a connection, and for each byte of the answer."""
ALL_SECONDS = 35.0
"""That all attempts of one request may take together: three, and the pauses between them."""
RETRIES = 2
THREADS = 4
"""The library has no asynchronous client without a package that we do not need otherwise. These threads are its own, so
that a Stripe that hangs takes none from pictures."""

Call = Callable[[Any], Any]
"""Given a `stripe.StripeClient`, what it answers."""


class MissingThere(Exception):
    """Stripe has no such object, or not for this key.

    Attributes:
        param: which parameter named it, as Stripe says; empty where that is the address.
    """

    def __init__(self, param: str) -> None:
        self.param = param
        super().__init__(param)


class StripeLink:
    """One Stripe account.

    Args:
        key: secret or restricted; `sk_...`, `rk_...`.
        api_base: another address than Stripe's own; https, or of this machine.
        seconds, all_seconds: see `SECONDS`, `ALL_SECONDS`.

    Raises:
        SettingsError: the library is missing, or a value cannot be used.
    """

    def __init__(
        self, key: str, *, api_base: str = "", seconds: float = SECONDS, all_seconds: float = ALL_SECONDS
    ) -> None:
        stripe = load()
        import requests

        _check(key, api_base)
        self.livemode = _livemode(key)
        self._errors = stripe
        self._all_seconds = all_seconds
        self._session = requests.Session()
        self._client = stripe.StripeClient(
            key,
            base_addresses={"api": api_base.rstrip("/")} if api_base else None,
            max_network_retries=RETRIES,
            http_client=stripe.RequestsClient(timeout=seconds, session=self._session),
        )
        self._threads = ThreadPoolExecutor(THREADS, "stripe")

    async def ask(self, call: Call) -> Any:
        """What Stripe answers, as plain dicts and lists.

        Raises:
            ProviderUnavailable: it does not answer, or not to this key.
            PaymentRequired: the card was refused.
            MissingThere: there is no such object.
            Conflict: it refuses for another reason, which is logged.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._all_seconds):
                answer = await loop.run_in_executor(self._threads, call, self._client)
        except TimeoutError as error:
            raise ProviderUnavailable(
                f"Stripe gave no answer within {self._all_seconds:g} s.",
                f"Stripe 在 {self._all_seconds:g} 秒内没有响应。",
            ) from error
        except self._errors.StripeError as error:
            raise self._translated(error) from None  # its own text may quote what was sent
        return answer.to_dict()

    async def close(self) -> None:
        """Waits for no answer any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def _translated(self, error: Any) -> EraserError | MissingThere:
        stripe = self._errors
        if isinstance(error, stripe.CardError):
            return PaymentRequired(
                "The card was refused. Put in another one and try again.",
                "银行卡被拒绝。请更换银行卡后重试。",
            )
        code, param = error.code or "", str(getattr(error, "param", None) or "")
        if code == "resource_missing":
            return MissingThere(param)
        told = {"kind": type(error).__name__, "status": error.http_status, "code": code}
        log.warning("stripe_refused", **told, request=error.request_id, param=param)
        if isinstance(error, (stripe.AuthenticationError, stripe.PermissionError)):
            return ProviderUnavailable(
                "Stripe does not accept this server's key; its operator has to look after that.",
                "Stripe 不接受此服务器的密钥，需由管理员处理。",
            )
        if isinstance(error, (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError)):
            return ProviderUnavailable("Stripe does not answer right now.", "Stripe 暂时没有响应。")
        if isinstance(error, stripe.InvalidRequestError):
            return Conflict(
                "Stripe refuses this as things are; its operator finds the reason in the log.",
                "Stripe 拒绝了此请求；管理员可在日志中查看原因。",
                extra={"provider_code": code} if code else None,
            )
        return InternalError()


def load() -> Any:
    """The library `stripe`; its import takes 0.4 s. Its log would repeat whole answers, so it is kept to warnings.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        stripe: Any = importlib.import_module("stripe")
    except ImportError:
        raise SettingsError(
            'ERASER_BILLING__PROVIDER=stripe needs the package "stripe": '
            f"{sys.executable} -m pip install 'magic-eraser[billing]'"
        ) from None
    logging.getLogger("stripe").setLevel(logging.WARNING)
    stripe.enable_telemetry = False
    return stripe


def intent_key(intent: str, *facts: Any) -> str:
    """An idempotency key: the same for the same facts, so that what is asked twice is done once."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return f"{intent}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def list_of(answer: Any) -> list[dict[str, Any]]:
    """The objects of a list, its first page."""
    return cast("list[dict[str, Any]]", answer["data"])


def _livemode(key: str) -> bool | None:
    """None where the key does not say."""
    parts = key.split("_", 2)
    return {"live": True, "test": False}.get(parts[1]) if len(parts) == 3 else None


def _check(key: str, api_base: str) -> None:
    if not key:
        raise SettingsError("ERASER_BILLING__PROVIDER=stripe needs ERASER_BILLING__STRIPE_KEY")
    if key.startswith("pk_") or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            "ERASER_BILLING__STRIPE_KEY: not a secret key; it begins with sk_ or rk_ (docs/stripe.md)"
        )
    if not api_base:
        return
    address = urlsplit(api_base)
    local = address.hostname in {"127.0.0.1", "::1", "localhost"}
    if address.scheme != "https" and not (address.scheme == "http" and local):
        raise SettingsError(
            f"ERASER_BILLING__STRIPE_API_BASE: the key goes there, so it must be https, or http on this machine "
            f"(got {api_base!r})"
        )

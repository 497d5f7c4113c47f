"""Tells others when a job is over, signed as Standard Webhooks has it (standardwebhooks.com), until they have heard."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.errors import EraserError, ValidationFailed
from magic_eraser.jobs.webhook_address import Destination, Gate
from magic_eraser.jobs.webhook_store import Delivery, WebhookStore
from magic_eraser.telemetry.logging import get_logger
from magic_eraser.version import __version__

if TYPE_CHECKING:
    import ssl

    import httpx2

log = get_logger(__name__)

SECONDS = 10.0
"""That one attempt may take, names and connection included."""
IDLE_SECONDS = 15.0
"""Between two looks into the outbox, for what another server left there."""
EAGER_SECONDS = 1.0
"""The same while a job has just ended here, or another attempt is due soon."""
EAGER_FOR = 10.0
SWEEP_SECONDS = 3600.0
PREFIX = "whsec_"


class WebhookSender:
    """Empties the outbox, one message at a time; several servers may do so at once.

    Args:
        store: the outbox.
        secret: signs; base64 after `whsec_`, or any text.
        gate: judges addresses, when a job is made and again at every attempt.
        owner: names this server.
        clock: seconds since 1970, for the signature.
        seconds: that one attempt may take.
        transport: instead of the network.
    """

    def __init__(
        self,
        store: WebhookStore,
        secret: str,
        gate: Gate,
        *,
        owner: str,
        clock: Callable[[], float] = time.time,
        seconds: float = SECONDS,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.gate = gate
        self._store = store
        self._key = signing_key(secret)
        self._owner = owner
        self._clock = clock
        self._seconds = seconds
        self._transport = transport
        self._certificates: ssl.SSLContext | None = None
        self._woken = asyncio.Event()
        self._eager_until = 0.0
        self._swept = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    async def on_over(self, connection: AsyncConnection, job_id: str) -> None:
        """For the transaction that ends a job: an `endings.OnOver`."""
        if await self._store.on_over(connection, job_id):
            self.wake()

    def wake(self) -> None:
        """There may be something to send, now or in a moment: the transaction that says so may not be over yet."""
        self._eager_until = time.monotonic() + EAGER_FOR
        self._woken.set()

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; what is being sent is broken off, and given back."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def send_due(self) -> int:
        """Try everything that is due, one after the other; how many attempts that were.

        Raises:
            StorageUnavailable: the database is gone.
        """
        count = 0
        while (delivery := await self._store.claim(self._owner)) is not None:
            await self._try(delivery)
            count += 1
        return count

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self.send_due()
                if time.monotonic() - self._swept > SWEEP_SECONDS:
                    await self._store.sweep()
                    self._swept = time.monotonic()
            except EraserError as error:
                log.warning("webhooks_wait", reason=error.code)
            except Exception:
                log.exception("webhooks_look_failed")
            eager = time.monotonic() < self._eager_until
            with suppress(TimeoutError):
                async with asyncio.timeout(EAGER_SECONDS if eager else IDLE_SECONDS):
                    await self._woken.wait()
                await asyncio.sleep(0.05)  # for the transaction that woke us

    async def _try(self, delivery: Delivery) -> None:
        try:
            reason, for_good = await self._send(delivery)
        except Exception:  # one that nobody can send must not keep the others from their turn
            log.exception("webhook_not_sent", job=delivery.job_id)
            reason, for_good = "a defect of ours", False
        except BaseException:
            await asyncio.shield(self._give_back(delivery))
            raise
        if reason is None:
            await self._store.delivered(delivery)
            log.info("webhook_delivered", job=delivery.job_id, attempts=delivery.attempts)
            return
        again = await self._store.failed(delivery, reason, for_good=for_good)
        log.warning(
            "webhook_failed", job=delivery.job_id, attempts=delivery.attempts, reason=reason, again=again
        )

    async def _give_back(self, delivery: Delivery) -> None:
        with suppress(EraserError):  # the lease runs out by itself
            await self._store.give_back(delivery)

    async def _send(self, delivery: Delivery) -> tuple[str | None, bool]:
        """(None where it arrived, else why not; whether that is for good)."""
        try:
            async with asyncio.timeout(self._seconds):
                status = await self._post(await self.gate.destination(delivery.url), delivery)
        except ValidationFailed as error:  # a name's address may be right the next time
            return error.detail, False
        except TimeoutError:
            return f"no answer within {self._seconds:g} s", False
        except OSError as error:
            return str(error) or type(error).__name__, False
        if 200 <= status < 300:
            return None, False
        return f"answered {status}", status == 410  # Standard Webhooks: Gone means nobody wants it any more

    async def _post(self, to: Destination, delivery: Delivery) -> int:
        """The status of the answer.

        Raises:
            ConnectionError: there is none.
        """
        import httpx2

        moment = int(self._clock())
        body = delivery.body.encode()
        headers = {
            "Host": to.url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": f"magic-eraser/{__version__}",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(moment),
            "webhook-signature": sign(self._key, delivery.id, moment, body),
        }
        name = to.url.raw_host.decode("ascii")
        reason = "no address"
        if self._certificates is None:
            self._certificates = (
                httpx2.create_ssl_context()
            )  # 20 ms; heeds SSL_CERT_FILE, which the client would not
        async with httpx2.AsyncClient(
            transport=self._transport,
            verify=self._certificates,
            trust_env=False,
            follow_redirects=False,
            timeout=self._seconds,
        ) as client:
            for address in to.addresses:  # a name may have one of a kind of network that we are not on
                url = to.url.copy_with(host=address)
                extensions = {"sni_hostname": name}  # also the name that the certificate must have
                try:
                    async with client.stream(
                        "POST", url, content=body, headers=headers, extensions=extensions
                    ) as answer:
                        return answer.status_code
                except httpx2.ConnectError as error:
                    reason = f"cannot be reached: {error}"
                except (httpx2.RequestError, httpx2.InvalidURL) as error:
                    raise ConnectionError(f"broke off: {error or type(error).__name__}") from error
        raise ConnectionError(reason)


def signing_key(secret: str) -> bytes:
    """The bytes that sign, by a secret as Standard Webhooks writes them (`whsec_` and base64), or any other text."""
    if secret.startswith(PREFIX):
        with suppress(binascii.Error):
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    return secret.encode()


def sign(key: bytes, message_id: str, moment: int, body: bytes) -> str:
    """`v1,<base64 of HMAC-SHA256 over "id.timestamp.body">`."""
    signed = f"{message_id}.{moment}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")

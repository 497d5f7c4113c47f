"""What Stripe tells: stored before it is answered, worked on once, by whichever server, until it is done."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from magic_eraser.accounts.plans import Plans
from magic_eraser.billing.stripe import signature as stripe_signature
from magic_eraser.billing.stripe.events import OF_INTEREST, StripeEvents
from magic_eraser.billing.stripe.provider import NAME, StripeProvider
from magic_eraser.billing.stripe.reading import Unusable
from magic_eraser.billing.stripe.rows import Claimed, InboxRows, Parked
from magic_eraser.billing.stripe.signature import NotFromStripe
from magic_eraser.billing.subscriptions.subscriptions import Subscriptions
from magic_eraser.db.database import Database
from magic_eraser.errors import (
    EraserError,
    ProviderUnavailable,
    SettingsError,
    StorageFull,
    StorageUnavailable,
    ValidationFailed,
)
from magic_eraser.settings import BillingSettings
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

IDLE_SECONDS = 300.0
"""Between two looks where nothing is known to wait: for what another server left there."""
LATER = (ProviderUnavailable, StorageUnavailable, StorageFull)
"""What says nothing about the event itself."""


class StripeInbox:
    """The inbox of one server; several may work on one database.

    Args:
        database: where it lies.
        plans: for the currency of payments.
        provider: asked how things are at Stripe.
        subscriptions: told of it.
        secret: signs webhooks.
        idle_seconds: see `IDLE_SECONDS`.
    """

    def __init__(
        self,
        database: Database,
        plans: Plans,
        provider: StripeProvider,
        subscriptions: Subscriptions,
        *,
        secret: str,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._rows = InboxRows(database, NAME)
        self._events = StripeEvents(database, plans, provider, subscriptions)
        self._secret = secret
        self._idle_seconds = idle_seconds
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def from_settings(
        cls,
        billing: BillingSettings,
        database: Database,
        plans: Plans,
        provider: StripeProvider,
        subscriptions: Subscriptions,
    ) -> StripeInbox:
        """By `ERASER_BILLING__STRIPE_WEBHOOK_SECRET`.

        Raises:
            SettingsError: it is not set.
        """
        secret = billing.stripe_webhook_secret.get_secret_value().strip()
        if not secret:
            raise SettingsError(
                "ERASER_BILLING__PROVIDER=stripe needs ERASER_BILLING__STRIPE_WEBHOOK_SECRET (docs/stripe.md)"
            )
        return cls(database, plans, provider, subscriptions, secret=secret)

    async def accept(self, body: bytes, signature: str | None) -> bool:
        """Store an event and have it worked on; whether it is new.

        Args:
            body: as it came.
            signature: the header `Stripe-Signature`.

        Raises:
            NotFromStripe: see there.
            ValidationFailed: signed, but no event.
            StorageUnavailable, StorageFull: it is not stored; Stripe sends it again.
        """
        stripe_signature.check(body, signature, self._secret)
        event_id, kind = _names(body)
        to_do = kind in OF_INTEREST
        is_new = await self._rows.store(event_id, kind, body.decode() if to_do else "", to_do=to_do)
        log.info("stripe_event", event_id=event_id, type=kind, new=is_new, to_do=to_do)
        if to_do and is_new:
            self.wake()
        return is_new

    async def work(self) -> int:
        """Work on everything that is due; how many events that were.

        Raises:
            StorageUnavailable, StorageFull: what was claimed is done by somebody, later.
        """
        count = 0
        while (claimed := await self._rows.claim()) is not None:
            await self._work_on(claimed)
            count += 1
        return count

    async def parked(self, limit: int = 50) -> list[Parked]:
        """Events that a person has to look at, the newest first."""
        return await self._rows.parked(limit)

    async def again(self, event_id: str) -> None:
        """Have such an event worked on once more.

        Raises:
            NotFound: none of that id is parked.
        """
        await self._rows.again(event_id)
        self.wake()

    async def prune(self) -> int:
        """Forget what was worked on a month ago; how many events."""
        return await self._rows.prune()

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; what is being worked on is given back."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        pause = 0.0
        while True:
            self._woken.clear()
            try:
                await self.work()
                due = await self._rows.next_due()
                pause = self._idle_seconds if due is None else min(max(due, 0.05), self._idle_seconds)
            except EraserError as error:
                log.warning("stripe_inbox_waits", reason=error.code)
                pause = min(max(2 * pause, 1.0), 60.0)
            except Exception:
                log.exception("stripe_inbox_failed")
                pause = min(max(2 * pause, 1.0), 60.0)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()

    async def _work_on(self, claimed: Claimed) -> None:
        told = {"event_id": claimed.event_id, "type": claimed.type, "attempts": claimed.attempts}
        try:
            await self._events.work_on(json.loads(claimed.body))
        except LATER as error:
            log.warning("stripe_event_waits", **told, reason=error.code)
            await self._rows.wait(claimed, error.detail)
        except Unusable as error:
            log.error("stripe_event_parked", **told, reason=str(error))  # noqa: TRY400 (it is no defect)
            await self._rows.park(claimed, str(error))
        except EraserError as error:
            log.warning("stripe_event_failed", **told, reason=error.code)
            await self._rows.failed(claimed, error.detail)
        except Exception as error:  # one that nobody can work on must not keep the others from their turn
            log.exception("stripe_event_failed", **told)
            await self._rows.failed(claimed, f"A defect of ours: {type(error).__name__}.")
        except BaseException:
            await asyncio.shield(self._give_back(claimed))
            raise
        else:
            await self._rows.done(claimed)
            log.info("stripe_event_done", **told)

    async def _give_back(self, claimed: Claimed) -> None:
        with suppress(EraserError):  # the lease runs out by itself
            await self._rows.give_back(claimed)


def _names(body: bytes) -> tuple[str, str]:
    """Id and type of an event."""
    try:
        event: Any = json.loads(body)
    except (ValueError, RecursionError):
        event = None
    names: list[Any] = [event.get(name) for name in ("id", "type")] if isinstance(event, dict) else []
    if len(names) != 2 or not all(isinstance(name, str) and _usable(name) for name in names):
        raise ValidationFailed(
            "The body is signed, but it is no event of Stripe's.", "请求已签名，但内容不是 Stripe 事件。"
        )
    return names[0], names[1]


def _usable(name: str) -> bool:
    return 0 < len(name) <= 100 and name.isascii() and name.isprintable()


__all__ = ["NotFromStripe", "Parked", "StripeInbox"]

"""Works through the queue of items beside the requests of a server."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from magic_eraser.accounts.principal import Principal
from magic_eraser.billing.quota import Reservation
from magic_eraser.db.blobs import Blobs
from magic_eraser.errors import EraserError, InternalError, StorageFull, StorageUnavailable
from magic_eraser.jobs.claims import Claimed, Claims, Key
from magic_eraser.jobs.options import from_json
from magic_eraser.models.watch import Watch
from magic_eraser.service.request import EraseRequest, EraseResult
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

POLL_SECONDS = 1.0
DOZE_SECONDS = 15.0
"""Between two looks at the queue while the server sleeps: another one may have been given a job."""
LONGEST_PAUSE = 5.0
"""Between two tries while the database is away."""


class Eraser(Protocol):
    """The part of `EraseService` that is used."""

    async def erase(
        self,
        principal: Principal,
        request: EraseRequest,
        watch: Watch | None = None,
        *,
        prepaid: Reservation | None = None,
    ) -> EraseResult: ...


def owner_name() -> str:
    """Of this server, unlike any other's and its own before a restart."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(6)}"


class JobRunner:
    """Claims items as long as there is room, does them by the service, and tells their end.

    Args:
        claims: the queue.
        service: where every erase goes; an item waits there like any request, in the lowest class.
        blobs: the pictures.
        concurrency: items at once.
        item_seconds: that an item may take once it has a slot.
        owner: by which its claims are known.
    """

    def __init__(
        self,
        claims: Claims,
        service: Eraser,
        blobs: Blobs,
        *,
        concurrency: int,
        item_seconds: float,
        owner: str | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._claims = claims
        self._service = service
        self._blobs = blobs
        self._concurrency = concurrency
        self._item_seconds = item_seconds
        self.owner = owner or owner_name()
        self._poll_seconds = poll_seconds
        self._pause = poll_seconds
        self._working: dict[Key, asyncio.Task[None]] = {}
        self._look = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def busy(self) -> bool:
        """Whether it has items."""
        return bool(self._working)

    def start(self) -> None:
        """Begin to look for items."""
        self._loops = [asyncio.create_task(self._poll()), asyncio.create_task(self._renew())]

    def wake(self) -> None:
        """Look now: there is a new job, or one was cancelled."""
        self._look.set()

    def doze(self) -> None:
        """Look seldom, until `rouse`."""
        self._pause = DOZE_SECONDS

    def rouse(self) -> None:
        self._pause = self._poll_seconds
        self._look.set()

    async def stop(self) -> None:
        """Take nothing more, stop what runs and give it back for the next server; can be called again."""
        self._stopping = True
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        working = list(self._working.values())
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    # --- the loops ------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        away = 0
        while True:
            self._look.clear()
            try:
                await self._drop_lost()
                await self._take()
            except (StorageUnavailable, StorageFull) as error:
                if not away:
                    log.warning("jobs_without_database", reason=error.detail)
                away += 1
            else:
                if away:
                    log.info("jobs_with_database_again")
                away = 0
            pause = min(LONGEST_PAUSE, self._pause * 2**away) if away else self._pause
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._look.wait()

    async def _take(self) -> None:
        while len(self._working) < self._concurrency:
            claimed = await self._claims.claim(self.owner)
            if claimed is None:
                return
            self._working[claimed.key] = asyncio.create_task(self._do(claimed))

    async def _drop_lost(self) -> None:
        """Stop the work on what is not ours any more: its job was cancelled, or another server has it."""
        working = dict(self._working)
        if not working:
            return
        held = await self._claims.held(self.owner)
        for key in working.keys() - held:
            if key in self._working:  # it did not end meanwhile
                log.info("item_lost", job=key[0], index=key[1])
                working[key].cancel()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._claims.lease_seconds / 3)
            if self._working:
                with suppress(StorageUnavailable, StorageFull):  # the poll says so
                    await self._claims.renew(self.owner)

    # --- one item -------------------------------------------------------------------------------------

    async def _do(self, claimed: Claimed) -> None:
        try:
            await self._erase(claimed)
        except asyncio.CancelledError:
            give = self._claims.give_back if self._stopping else self._claims.let_go
            await self._told(lambda: give(claimed), claimed)
        except EraserError as failure:
            error = failure
            await self._told(lambda: self._claims.fail(claimed, error), claimed)
        except Exception:
            log.exception("item_failed", job=claimed.job_id, index=claimed.index)
            await self._told(lambda: self._claims.fail(claimed, InternalError()), claimed)
        finally:
            del self._working[claimed.key]
            self._look.set()

    async def _erase(self, claimed: Claimed) -> None:
        options, output = from_json(claimed.options)
        image = await self._blobs.get(claimed.image_blob)
        mask = await self._blobs.get(claimed.mask_blob)
        request = EraseRequest(image, mask, options, output)
        watch = Watch.waiting(self._item_seconds)
        result = await self._service.erase(claimed.principal, request, watch, prepaid=claimed.reservation)
        assert result.encoded is not None
        blob = await self._blobs.put(claimed.job_id, result.encoded.data)
        ours: list[bool] = []

        async def finish() -> None:
            ours.append(await self._claims.finish(claimed, result, blob))

        await self._told(finish, claimed)
        if ours != [True]:
            await self._blobs.delete(blob)

    async def _told(self, step: Callable[[], Awaitable[None]], claimed: Claimed) -> None:
        """Write the end of an item down, also where the database is away for a while; not longer than anybody else
        leaves the item alone."""
        loop = asyncio.get_running_loop()
        until = loop.time() + (2.0 if self._stopping else self._claims.lease_seconds)
        pause = 0.1
        while True:
            try:
                await step()
                return
            except (StorageUnavailable, StorageFull) as error:
                if loop.time() + pause > until:
                    log.warning(
                        "item_not_ended", job=claimed.job_id, index=claimed.index, reason=error.detail
                    )
                    return
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

"""Works through the queue of items beside the requests of a server."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

from magic_eraser.accounts.principal import Principal
from magic_eraser.billing.quota import Reservation
from magic_eraser.db.blobs import Blobs
from magic_eraser.errors import EraserError, InternalError, NotFound, StorageFull, StorageUnavailable
from magic_eraser.jobs.claims import Claimed, Claims, Key
from magic_eraser.jobs.options import from_json
from magic_eraser.models.watch import Watch
from magic_eraser.service.request import EraseRequest, EraseResult, Keeping
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)
T = TypeVar("T")
OUT_OF_REACH = (StorageUnavailable, StorageFull)

POLL_SECONDS = 1.0
DOZE_SECONDS = 15.0
"""Between two looks at the queue while the server sleeps: another one may have been given a job."""
LONGEST_PAUSE = 5.0
"""Between two tries while the database is away."""
PATIENCE_LEAVING = 2.0
"""Seconds for which the end of an item is told again by a server that leaves; the lease's length by one that stays."""


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
        self._ending: set[Key] = set()  # stopped already, or past the point where that saves anything
        self._claiming = False  # a claim is under way, or went unanswered: it may have been granted
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
        for key in self._working:
            self._end_early(key)
        await asyncio.gather(*self._working.values(), return_exceptions=True)
        if self._claiming:
            with suppress(*OUT_OF_REACH):  # the lease ends by itself
                await self._claims.give_back_strays(self.owner, ())
            self._claiming = False

    # --- the loops ------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        away = 0
        while True:
            self._look.clear()
            try:
                await self._compare()
                await self._take()
            except OUT_OF_REACH as error:
                if not away:
                    log.warning("jobs_without_database", reason=error.detail)
                away += 1
            except Exception:
                log.exception("jobs_look_failed")
                away += 1
            else:
                if away:
                    log.info("jobs_with_database_again")
                away = 0
            if away:
                await asyncio.sleep(min(LONGEST_PAUSE, self._poll_seconds * 2.0 ** min(away, 10)))
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._look.wait()

    async def _take(self) -> None:
        while len(self._working) < self._concurrency:
            self._claiming = True
            claimed = await self._claims.claim(self.owner)
            self._claiming = False
            if claimed is None:
                return
            self._working[claimed.key] = asyncio.create_task(self._do(claimed))

    async def _compare(self) -> None:
        """What is ours by the database with what is worked on. Work on anything else is stopped: its job was cancelled,
        or another server has it. What nobody here works on is given back."""
        working = set(self._working)
        if not working and not self._claiming:
            return
        held = await self._claims.held(self.owner)
        for key in working - held:
            if self._end_early(key):
                log.info("item_lost", job=key[0], index=key[1])
        if held - working:
            strays = await self._claims.give_back_strays(self.owner, working)
            log.warning("items_astray", count=strays)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._claims.lease_seconds / 3)
            if self._working:
                try:
                    await self._claims.renew(self.owner)
                except OUT_OF_REACH:
                    pass  # the poll says so
                except Exception:
                    log.exception("jobs_renewal_failed")

    def _end_early(self, key: Key) -> bool:
        """Stop the work on an item, once, unless it is done; whether there was any."""
        if key not in self._working or key in self._ending:
            return False
        self._ending.add(key)
        self._working[key].cancel()
        return True

    # --- one item -------------------------------------------------------------------------------------

    async def _do(self, claimed: Claimed) -> None:
        try:
            end = await self._attempt(claimed)
            self._ending.add(claimed.key)
            if end is not None:
                await self._tell(claimed, end)
        finally:
            del self._working[claimed.key]
            self._ending.discard(claimed.key)
            self._look.set()

    async def _attempt(self, claimed: Claimed) -> Callable[[], Awaitable[None]] | None:
        """What is left to be told; nothing where the item succeeded."""
        claims = self._claims
        try:
            result = await self._erase(claimed)
            self._ending.add(claimed.key)
            await self._keep(claimed, result)
        except asyncio.CancelledError:
            return partial(claims.give_back if self._stopping else claims.let_go, claimed)
        except EraserError as error:
            return partial(claims.fail, claimed, error)
        except Exception:
            log.exception("item_failed", job=claimed.job_id, index=claimed.index)
            return partial(claims.fail, claimed, InternalError())
        return None

    async def _erase(self, claimed: Claimed) -> EraseResult:
        options, output, keeping = from_json(claimed.options)
        try:
            image = await self._blobs.get(claimed.image_blob)
            mask = await self._blobs.get(claimed.mask_blob)
        except NotFound:
            raise NotFound(
                "The picture or its mask is not there any more.", "图片或其蒙版已不存在。"
            ) from None
        if claimed.fence > 1 and keeping is Keeping.ALLOWED:
            keeping = Keeping.REFRESH  # a claim before may have kept its result and not lived to charge it
        request = EraseRequest(image, mask, options, output, keeping)
        watch = Watch.waiting(self._item_seconds)
        return await self._service.erase(claimed.principal, request, watch, prepaid=claimed.reservation)

    async def _keep(self, claimed: Claimed, result: EraseResult) -> None:
        assert result.encoded is not None
        data = result.encoded.data
        blob = await self._patiently(lambda: self._blobs.put(claimed.job_id, data))
        if not await self._patiently(lambda: self._claims.finish(claimed, result, blob)):
            with suppress(*OUT_OF_REACH):  # it goes with the job's folder
                await self._blobs.delete(blob)

    async def _tell(self, claimed: Claimed, step: Callable[[], Awaitable[None]]) -> None:
        """How the item came to nothing; where that cannot be written, it is a stray, or its lease ends."""
        try:
            await self._patiently(step)
        except OUT_OF_REACH as error:
            log.warning("item_not_ended", job=claimed.job_id, index=claimed.index, reason=error.detail)
        except Exception:
            log.exception("item_not_ended", job=claimed.job_id, index=claimed.index)

    async def _soon(self, step: Callable[[], Awaitable[T]]) -> T:
        """A server that leaves does not wait for the time limits of a database that answers nothing."""
        try:
            async with asyncio.timeout(PATIENCE_LEAVING if self._stopping else None):
                return await step()
        except TimeoutError as error:
            raise StorageUnavailable from error

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do it, also where the database is away, or has no room, for a while: not for longer than others leave the
        item alone."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        pause = 0.1
        while True:
            try:
                return await self._soon(step)
            except OUT_OF_REACH:
                patience = PATIENCE_LEAVING if self._stopping else self._claims.lease_seconds
                if loop.time() + pause > begin + patience:
                    raise
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

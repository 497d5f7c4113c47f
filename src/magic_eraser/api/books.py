"""What keeps calls and money right while nobody looks: holds that nobody ends, periods that are over, sums."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from magic_eraser.api.rooms import Rooms
from magic_eraser.billing import invariants
from magic_eraser.billing.calls import reaper
from magic_eraser.billing.subscriptions.renewals import renew_due
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)

HOUR, DAY = 3600.0, 86_400.0


class Books:
    """Chores of a server with accounts; each does no more than is due, however often it is called.

    Args:
        rooms: those of the app.
        clock: seconds that only grow.
    """

    def __init__(self, rooms: Rooms, clock: Callable[[], float] = time.monotonic) -> None:
        self._rooms = rooms
        self._clock = clock
        self._done: dict[str, float] = {}

    async def keep(self) -> None:
        """Holds and last uses of keys at every call, renewals once an hour, the sums once a day; nothing without
        accounts."""
        if self._rooms.accounts is None:
            return
        await self._rooms.accounts.keys.write_uses()
        hold_seconds = self._rooms.settings.billing.hold_seconds
        await reaper.reap(
            self._rooms.database, hold_seconds=hold_seconds, on_event=self._rooms.metrics.quota_event
        )
        await self._every(HOUR, self._renew)
        await self._every(DAY, self._check)

    async def _every(self, seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
        last = self._done.get(chore.__name__)
        if last is None or self._clock() - last >= seconds:
            await chore()
            self._done[chore.__name__] = self._clock()

    async def _renew(self) -> None:
        assert self._rooms.accounts is not None
        await renew_due(self._rooms.database, self._rooms.accounts.subscriptions)

    async def _check(self) -> None:
        await reaper.prune(self._rooms.database)
        assert self._rooms.accounts is not None
        if self._rooms.accounts.inbox is not None:
            await self._rooms.accounts.inbox.prune()
        for sentence in await invariants.check(self._rooms.database):
            log.error("ledger_does_not_add_up", what=sentence)

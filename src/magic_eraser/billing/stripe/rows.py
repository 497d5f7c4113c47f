"""The inbox of payment events, as it lies in the database: each stored once, and worked on by one server at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from magic_eraser.billing.tables import payment_inbox
from magic_eraser.db.base import has_come, now
from magic_eraser.db.database import Database
from magic_eraser.db.upsert import insert_into
from magic_eraser.errors import NotFound

MOST_ATTEMPTS = 10
"""After that many an event is parked: a person has to look at it."""
LEASE_SECONDS = 180.0
"""That an event belongs to the server that works on it; three requests to Stripe that all time out are over by then."""
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0
"""Between two attempts; the first one, and the most. By the tenth more than three hours have passed."""
LONGEST_WAIT = 600.0
"""Between two attempts while Stripe does not answer, which are not counted."""
KEPT_SECONDS = 30 * 86_400.0
"""That events stay which were worked on: as long as Stripe keeps its own."""

_rows = payment_inbox.c
_open = sa.and_(_rows.processed_at.is_(None), _rows.attempts < MOST_ATTEMPTS)
_parked = sa.and_(_rows.processed_at.is_(None), _rows.attempts >= MOST_ATTEMPTS)


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event that is ours until `lease`, seconds since 1970; `attempts` has this one counted."""

    event_id: str
    type: str
    body: str
    attempts: int
    lease: float


@dataclass(frozen=True, slots=True)
class Parked:
    """An event that nobody works on any more; `error` says why, for the operator."""

    event_id: str
    type: str
    received_at: float
    error: str


class InboxRows:
    """Rows of one provider.

    Args:
        database: where they lie.
        provider: as in the table.
    """

    def __init__(self, database: Database, provider: str) -> None:
        self._database = database
        self._mine = _rows.provider == provider
        self._provider = provider

    async def store(self, event_id: str, type: str, body: str, *, to_do: bool) -> bool:
        """Keep an event; whether it is new.

        Args:
            to_do: whether it is to be worked on.

        Raises:
            StorageUnavailable, StorageFull: see `Database.write`.
        """
        statement = (
            insert_into(payment_inbox, is_sqlite=self._database.is_sqlite)
            .values(
                provider=self._provider,
                event_id=event_id,
                type=type,
                body=body,
                received_at=now(),
                run_at=now(),
                processed_at=None if to_do else now(),
            )
            .on_conflict_do_nothing()
            .returning(_rows.event_id)
        )
        async with self._database.write() as connection:
            return (await connection.execute(statement)).first() is not None

    async def claim(self) -> Claimed | None:
        """The next one that is due; None where none is."""
        due = (
            sa.select(_rows.event_id)
            .where(self._mine, _open, has_come(_rows.run_at, LONGEST_PAUSE))
            .order_by(_rows.run_at, _rows.received_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as connection:
            found = await connection.scalar(due)
            if found is None:
                return None
            claimed = await connection.execute(
                payment_inbox.update()
                .where(self._mine, _rows.event_id == found)
                .values(run_at=now() + LEASE_SECONDS, attempts=_rows.attempts + 1)
                .returning(_rows.event_id, _rows.type, _rows.body, _rows.attempts, _rows.run_at)
            )
            return Claimed(*claimed.one())

    async def done(self, claimed: Claimed) -> None:
        """It was worked on."""
        await self._end(claimed, {"processed_at": now(), "error": None})

    async def failed(self, claimed: Claimed, reason: str) -> None:
        """It will be tried again later; parked after the last attempt."""
        pause = min(LONGEST_PAUSE, SHORTEST_PAUSE * 3.0 ** (claimed.attempts - 1))
        await self._end(claimed, {"run_at": now() + pause, "error": reason})

    async def wait(self, claimed: Claimed, reason: str) -> None:
        """It could not be tried. The pause is as long as the event has waited already, within limits."""
        waited = now() - _rows.received_at
        pause = sa.case(
            (waited < SHORTEST_PAUSE, SHORTEST_PAUSE), (waited > LONGEST_WAIT, LONGEST_WAIT), else_=waited
        )
        await self._end(claimed, {"run_at": now() + pause, "attempts": claimed.attempts - 1, "error": reason})

    async def park(self, claimed: Claimed, reason: str) -> None:
        """Another attempt would not help."""
        await self._end(claimed, {"attempts": MOST_ATTEMPTS, "error": reason})

    async def give_back(self, claimed: Claimed) -> None:
        """Anybody may have it at once; the attempt does not count."""
        await self._end(claimed, {"run_at": now(), "attempts": claimed.attempts - 1})

    async def next_due(self) -> float | None:
        """Seconds until the next one is due, below 0 where it is; None where there is none."""
        query = sa.select(sa.func.min(_rows.run_at) - now()).where(self._mine, _open)
        async with self._database.read() as connection:
            return await connection.scalar(query)

    async def parked(self, limit: int) -> list[Parked]:
        """Those that are parked, the newest first."""
        query = (
            sa.select(_rows.event_id, _rows.type, _rows.received_at, _rows.error)
            .where(self._mine, _parked)
            .order_by(_rows.received_at.desc(), _rows.event_id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            found = (await connection.execute(query)).all()
        ended = "The server ended each time while it worked on this."
        return [Parked(row.event_id, row.type, row.received_at, row.error or ended) for row in found]

    async def again(self, event_id: str) -> None:
        """Have one that is parked worked on once more.

        Raises:
            NotFound: none of that id is parked.
        """
        reset = (
            payment_inbox.update()
            .where(self._mine, _parked, _rows.event_id == event_id)
            .values(attempts=0, run_at=now())
            .returning(_rows.event_id)
        )
        async with self._database.write() as connection:
            if (await connection.execute(reset)).first() is None:
                raise NotFound(
                    f'No payment event "{event_id}" waits for a person.',
                    f"没有待处理的支付事件“{event_id}”。",
                )

    async def prune(self) -> int:
        """Forget those that were worked on a month ago; how many."""
        old = _rows.processed_at < now() - KEPT_SECONDS
        async with self._database.write() as connection:
            return (await connection.execute(payment_inbox.delete().where(self._mine, old))).rowcount

    async def _end(self, claimed: Claimed, values: dict[str, Any]) -> None:
        """Unless another server has it by now."""
        ours = (self._mine, _rows.event_id == claimed.event_id, _rows.run_at == claimed.lease)
        async with self._database.write() as connection:
            await connection.execute(payment_inbox.update().where(*ours).values(values))

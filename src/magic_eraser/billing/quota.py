"""Reserve before the work, settle or release after it: exactly once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from magic_eraser.accounts.principal import Principal

if TYPE_CHECKING:  # the library needs no database
    from sqlalchemy.ext.asyncio import AsyncConnection

    from magic_eraser.accounts.plans import Plan


@dataclass(frozen=True, slots=True)
class Reservation:
    """A hold on one call of the caller's.

    Attributes:
        id: by which it is settled or released; empty where nothing is counted.
        units: the weight of the model: how many times the price of a call is held.
        unit_price: milli-cents.
        plan: of the caller, as the database has it now; None where there is none.
        day: the day it counts for.
        left: calls of that day that are left beside this one; None for no limit.
        resets_at: when the next day begins, seconds since 1970; None for no limit.
        resets_in: seconds that was away when it was held, by the same clock; None for no limit.
    """

    id: str
    units: int
    unit_price: int = 0
    plan: Plan | None = None
    day: str = ""
    left: int | None = None
    resets_at: float | None = None
    resets_in: float | None = None


class Quota(Protocol):
    """The ledger as the service sees it.

    Each step is a transaction of its own, or joins the caller's where one is given as `within`: an item of a job is
    charged in the transaction that ends it.
    """

    async def reserve(
        self, principal: Principal, units: int, within: AsyncConnection | None = None
    ) -> Reservation:
        """Hold a call of weight `units`, or raise `QuotaExhausted`, `PaymentRequired`, or one of 401 and 403 where the
        caller's user or key is not good any more."""
        ...

    async def settle(
        self, reservation: Reservation, units: int, within: AsyncConnection | None = None
    ) -> bool:
        """The work is done and weighs `units` (at most what was held; 0 for a result from the cache: it costs
        no money, and counts as a call unless the plan has `free_cached`). A second
        call does nothing.

        Returns:
            Whether the call counts, by this or an earlier telling. False where it weighs nothing, and where what was
            held for it was given back meanwhile.
        """
        ...

    async def release(self, reservation: Reservation, within: AsyncConnection | None = None) -> None:
        """The work failed or was never done: nothing is charged. A second call does nothing. Only `id` is looked at."""
        ...

    async def renew(self, ids: Collection[str], within: AsyncConnection) -> None:
        """These are still worked on: they end later by themselves."""
        ...


class NullQuota:
    """Counts nothing, refuses nobody: the library, the command line, a private server."""

    async def reserve(
        self, principal: Principal, units: int, within: AsyncConnection | None = None
    ) -> Reservation:
        return Reservation(id="", units=units, plan=principal.plan)

    async def settle(
        self, reservation: Reservation, units: int, within: AsyncConnection | None = None
    ) -> bool:
        return units > 0

    async def release(self, reservation: Reservation, within: AsyncConnection | None = None) -> None:
        return None

    async def renew(self, ids: Collection[str], within: AsyncConnection) -> None:
        return None

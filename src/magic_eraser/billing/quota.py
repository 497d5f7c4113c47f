"""Reserve before the work, settle or release after it: exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from magic_eraser.accounts.principal import Principal

if TYPE_CHECKING:  # the library needs no database
    from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Reservation:
    """A hold on `units` of the caller's quota."""

    id: str
    units: int


class Quota(Protocol):
    """The ledger as the service sees it.

    Each step is a transaction of its own, or joins the caller's where one is given as `within`: an item of a job is
    charged in the transaction that ends it.
    """

    async def reserve(
        self, principal: Principal, units: int, within: AsyncConnection | None = None
    ) -> Reservation:
        """Hold `units`, or raise `QuotaExhausted`, `PaymentRequired` or a `PlanForbids...`."""
        ...

    async def settle(
        self, reservation: Reservation, units: int, within: AsyncConnection | None = None
    ) -> None:
        """The work is done and cost `units` (at most what was held). A second call does nothing."""
        ...

    async def release(self, reservation: Reservation, within: AsyncConnection | None = None) -> None:
        """The work failed or was never done: nothing is charged. A second call does nothing."""
        ...


class NullQuota:
    """Counts nothing, refuses nobody: the library, the command line, a private server."""

    async def reserve(
        self, principal: Principal, units: int, within: AsyncConnection | None = None
    ) -> Reservation:
        return Reservation(id="", units=units)

    async def settle(
        self, reservation: Reservation, units: int, within: AsyncConnection | None = None
    ) -> None:
        return None

    async def release(self, reservation: Reservation, within: AsyncConnection | None = None) -> None:
        return None

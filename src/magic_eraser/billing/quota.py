"""Reserve before the work, settle or release after it: exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from magic_eraser.accounts.principal import Principal


@dataclass(frozen=True, slots=True)
class Reservation:
    """A hold on `units` of the caller's quota."""

    id: str
    units: int


class Quota(Protocol):
    """The ledger as the service sees it."""

    async def reserve(self, principal: Principal, units: int) -> Reservation:
        """Hold `units`, or raise `QuotaExhausted`, `PaymentRequired` or a `PlanForbids...`."""
        ...

    async def settle(self, reservation: Reservation, units: int) -> None:
        """The work is done and cost `units` (at most what was held). A second call does nothing."""
        ...

    async def release(self, reservation: Reservation) -> None:
        """The work failed or was never done: nothing is charged. A second call does nothing."""
        ...


class NullQuota:
    """Counts nothing, refuses nobody: the library, the command line, a private server."""

    async def reserve(self, principal: Principal, units: int) -> Reservation:
        return Reservation(id="", units=units)

    async def settle(self, reservation: Reservation, units: int) -> None:
        return None

    async def release(self, reservation: Reservation) -> None:
        return None

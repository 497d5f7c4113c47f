"""One piece of work that was done for somebody."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """What reports are made of. No money is counted by it: the ledger is for that.

    Attributes:
        source: who tells it: `job`, `request`.
        source_id: unique for that source, at most 60 characters: told twice, it is written once.
        tenant_id, subject: of the `Principal`.
        model: that ran; of a result from the cache, that made it.
        units: what it weighed on the price; 0 for what was not charged: it is no call in reports.
        amount: milli-cents.
        plan: that it was charged by; None where there is none.
        cached: it came from the cache, and is no call.
        pixels: of the picture, width times height.
        seconds: that it took, all stages together.
        at: when it ended, seconds since 1970; None: now, by the clock of the database.
        day: that it counts for, `2026-11-24`; None or empty: that of `at` in the time zone of the plans.
    """

    source: str
    source_id: str
    tenant_id: str
    subject: str
    model: str
    units: int
    amount: int = 0
    plan: str | None = None
    cached: bool = False
    pixels: int = 0
    seconds: float = 0.0
    at: float | None = None
    day: str | None = None

    def free(self) -> UsageEvent:
        """The same, not charged."""
        return replace(self, units=0, amount=0)

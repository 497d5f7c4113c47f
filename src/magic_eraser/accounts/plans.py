"""What a plan gives and costs. Facts only: `plan_file` reads them, `billing` counts by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from magic_eraser.accounts.priority import Priority
from magic_eraser.models.card import ModelCard

MILLICENTS = 100_000
"""In one unit of the currency: the smallest price of a call is a thousandth of a cent."""


class Feature(StrEnum):
    """What a plan may include, by the names of the deployment guide."""

    BASIC_INPAINT = "basic_inpaint"
    """Erase at all, by the models that the plan lists."""
    HD_PROCESSING = "hd_processing"
    """Pictures as large as the server takes; without it the plan's `max_pixels`."""
    ALL_MODELS = "all_models"
    """Every model of the catalogue but those that the operator added."""
    BATCH_PROCESSING = "batch_processing"
    """Jobs, and `Prefer: respond-async`."""
    API_ACCESS = "api_access"
    """As many keys of one's own as one likes, for programs; without it one."""
    PRIORITY_SUPPORT = "priority_support"
    """First in the queue."""
    CUSTOM_MODELS = "custom_models"
    """Models that the operator added."""


class Charging(StrEnum):
    """When calls are paid for."""

    INVOICE = "invoice"
    """Afterwards: they add up to what the user owes."""
    CREDIT = "credit"
    """Beforehand: from credit that was bought; 402 `payment_required` when it is used up."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan.

    Attributes:
        id: its name in the file and on the wire.
        title, title_zh: for people.
        price: a month, in milli-cents (`MILLICENTS`).
        calls_a_day: None for no limit.
        cost_a_call: in milli-cents, times the model's weight.
        features: see `Feature`.
        models: ids included beside what `ALL_MODELS` and `CUSTOM_MODELS` bring.
        max_pixels: largest picture, width times height; None: as large as the server takes.
        charging: see there.
        free_cached: a result from the cache, which costs no money in any plan, is no call of the day either.
        retired: no longer offered; who has it keeps it.
        stripe_price: the id of its price at Stripe; empty where it cannot be bought there.
    """

    id: str
    title: str
    title_zh: str
    price: int
    calls_a_day: int | None
    cost_a_call: int
    features: frozenset[Feature]
    models: frozenset[str]
    max_pixels: int | None = None
    charging: Charging = Charging.INVOICE
    free_cached: bool = False
    retired: bool = False
    stripe_price: str = ""

    @property
    def priority(self) -> Priority:
        return Priority.FIRST if Feature.PRIORITY_SUPPORT in self.features else Priority.NORMAL

    def allows(self, card: ModelCard) -> bool:
        """Whether it includes a model."""
        if card.id in self.models:
            return True
        return (Feature.CUSTOM_MODELS if card.added else Feature.ALL_MODELS) in self.features


@dataclass(frozen=True, slots=True)
class PlanBook:
    """All plans of a server, as one file has them.

    Attributes:
        plans: by id, in the order of the file, cheapest first by convention only.
        default: for users and callers that nobody put on another.
        zone: whose midnight begins the day of `calls_a_day`.
        currency: ISO 4217, lower case.
        weights: of models on the price of a call, by id; a model that is not named weighs what its card says.
    """

    plans: Mapping[str, Plan]
    default: Plan
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    currency: str = "usd"
    weights: Mapping[str, int] = field(default_factory=dict)

    def find(self, plan_id: str) -> Plan | None:
        return self.plans.get(plan_id)

    def weight(self, card: ModelCard) -> int:
        """How many calls' price one call of the model has."""
        return self.weights.get(card.id, card.cost)

    def day(self, at: float) -> str:
        """The day of a moment (seconds since 1970): `2026-11-24`."""
        return self._local(at).date().isoformat()

    def next_day(self, at: float) -> float:
        """When the day after begins, seconds since 1970. Right where a clock change makes days of 23 and 25 hours."""
        midnight = self._local(at).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        return (midnight + timedelta(days=1)).timestamp()

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC).astimezone(self.zone)


class Plans:
    """The book that is in force; another one may take its place while the server runs (SIGHUP)."""

    def __init__(self, book: PlanBook) -> None:
        self.book = book

    def of(self, plan_id: str) -> Plan:
        """The plan by id; the default one where it is gone, so that a user is never without."""
        return self.book.find(plan_id) or self.book.default

    def weight(self, card: ModelCard) -> int:
        """See `PlanBook.weight`."""
        return self.book.weight(card)

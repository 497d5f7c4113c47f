"""An account as the wire shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.principal import Scope
from magic_eraser.accounts.tables import Role
from magic_eraser.api.views.plans import PlanView
from magic_eraser.billing.standing import Standing
from magic_eraser.billing.subscriptions.subscription import Subscription
from magic_eraser.billing.tables import SubscriptionState

NO_STORE = {"Cache-Control": "private, no-store"}


class View(BaseModel):
    """What all of them have in common."""

    model_config = ConfigDict(use_attribute_docstrings=True, populate_by_name=True)

    def as_json(self) -> dict[str, Any]:
        """JSON values, by the names of the wire."""
        return self.model_dump(mode="json", by_alias=True)


class TodayView(View):
    """Calls of today, as the next call will find them."""

    day: str
    """In the time zone of the plans."""
    used: int
    """Calls that were charged."""
    held: int
    """Calls under way, which count until they end."""
    limit: int | None
    """null for no limit."""
    left: int | None
    """null for no limit."""
    resets_at: datetime
    """When the next day begins."""

    @classmethod
    def of(cls, standing: Standing) -> TodayView:
        return cls(
            day=standing.day,
            used=standing.used,
            held=standing.held,
            limit=standing.limit,
            left=standing.left,
            resets_at=moment(standing.resets_at),
        )


class SubscriptionView(View):
    """What is paid for, and what is asked for."""

    plan: str
    """In force, or what was until it ended."""
    state: SubscriptionState
    """active, awaiting_payment, past_due or ended."""
    wanted_plan: str | None
    """Asked for, and not in force yet."""
    wanted_at: datetime | None
    """When it comes into force; null: when it is paid."""
    due: str
    """To be paid, as a decimal."""
    period_start: datetime | None
    """null where none was paid for yet."""
    period_end: datetime | None
    grace_until: datetime | None
    """When the plan goes, should the payment not come."""
    provider: str
    """manual or stripe."""
    checkout_url: str | None
    """Where to pay, in the answer to a wish."""

    @classmethod
    def of(cls, had: Subscription) -> SubscriptionView:
        return cls(
            plan=had.plan,
            state=had.state,
            wanted_plan=had.wanted_plan,
            wanted_at=moment_or_none(had.wanted_at),
            due=to_text(had.due),
            period_start=moment_or_none(had.period_start),
            period_end=moment_or_none(had.period_end),
            grace_until=moment_or_none(had.grace_until),
            provider=had.provider,
            checkout_url=had.checkout_url,
        )


class UserFacts(View):
    """Whose credential was shown."""

    id: str
    email: str | None
    role: Role


class AccountView(View):
    """Who the caller is to this server, and what it may do."""

    mode: Literal["off", "optional", "required"]
    """Whether callers are asked who they are; where it is off, there is no plan and no limit."""
    signed_in: bool
    user: UserFacts | None
    scopes: list[Scope]
    plan: PlanView | None
    today: TodayView | None
    credit: str | None
    """Bought and left, as a decimal."""
    owed: str | None
    """To be paid; below 0 where more was paid than was owed."""
    subscription: SubscriptionView | None
    payments: Literal["manual", "stripe"] | None
    """Who takes the money for plans: the operator, or Stripe."""


class TallyView(View):
    """A sum of calls."""

    calls: int
    cached: int
    """Results from the cache: no money, and of the day's calls unless the plan has `free_cached`."""
    units: int
    """What the calls weighed: a call of a heavy model has the price of several."""
    amount: str


class UsageRowView(TallyView):
    """Of a day, a model, a key or a user: one of those names it."""

    day: str | None = None
    model: str | None = None
    key: str | None = None
    name: str | None = None
    """Of a key."""
    user: str | None = None


class UsageView(View):
    """What was used on some days."""

    from_: str = Field(alias="from")
    to: str
    by: Literal["day", "model", "key", "user"]
    rows: list[UsageRowView]
    """Every day in its order; else those that cost most first, 200 at most."""
    total: TallyView


def in_order(scopes: frozenset[Scope]) -> list[Scope]:
    """As they are listed, whatever a set says."""
    return [scope for scope in Scope if scope in scopes]


def moment(seconds: float) -> datetime:
    """Of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(seconds)

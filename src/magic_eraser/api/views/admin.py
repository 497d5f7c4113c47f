"""Users and deeds as the wire shows them to an admin."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from magic_eraser.accounts.deeds import Deed
from magic_eraser.accounts.tables import Role
from magic_eraser.accounts.user import User
from magic_eraser.api.views.account import SubscriptionView, TodayView, View, moment, moment_or_none


class UserView(View):
    """A user, as an admin sees it in a list."""

    id: str
    email: str | None
    role: Role
    plan: str
    created_at: datetime
    disabled_at: datetime | None
    """Since when no credential of it works."""

    @classmethod
    def of(cls, user: User) -> UserView:
        return cls(
            id=user.id,
            email=user.email,
            role=user.role,
            plan=user.plan,
            created_at=moment(user.created_at),
            disabled_at=moment_or_none(user.disabled_at),
        )


class UserDetails(UserView):
    """The same, with where it stands."""

    today: TodayView
    credit: str
    owed: str
    subscription: SubscriptionView | None


class UserList(View):
    """By id."""

    users: list[UserView]
    next: str | None
    """The `after` of the next page; null on the last."""


class PaymentView(View):
    """What a payment came to."""

    plan: str
    """In force now."""
    credit: str
    owed: str
    subscription: SubscriptionView | None


class DeedView(View):
    """Who did what to whom."""

    id: int
    at: datetime
    actor: str
    """USER/CREDENTIAL; cli:NAME for a person at the machine; system; stripe."""
    action: str
    """key.create, user.role, money.refund, ..."""
    target: str
    details: dict[str, Any]

    @classmethod
    def of(cls, deed: Deed) -> DeedView:
        return cls(
            id=deed.id,
            at=moment(deed.at),
            actor=deed.actor,
            action=deed.action,
            target=deed.target,
            details=dict(deed.details),
        )


class DeedList(View):
    """The newest first."""

    entries: list[DeedView]
    next: int | None
    """The `after` of the next page; null on the last."""

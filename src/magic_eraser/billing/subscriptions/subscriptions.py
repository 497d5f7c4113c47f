"""Subscriptions of all users: wished for, paid, renewed, ended. Nobody is charged twice for the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts.plans import Plans
from magic_eraser.billing.ledger import Ledger
from magic_eraser.billing.payments import PaymentProvider
from magic_eraser.billing.subscriptions import dues, marked_payments, provider_states, wishes
from magic_eraser.billing.subscriptions.changes import Change, Subscriber, ended, find, lock, make
from magic_eraser.billing.subscriptions.dues import charged_by, unpaid_elsewhere
from magic_eraser.billing.subscriptions.marked_payments import Told
from magic_eraser.billing.subscriptions.provider_steps import take
from magic_eraser.billing.subscriptions.subscription import ProviderState, Subscription
from magic_eraser.billing.subscriptions.wishes import Decision
from magic_eraser.billing.tables import SubscriptionState
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.errors import Conflict, EraserError, ValidationFailed

__all__ = ["ProviderState", "Subscription", "Subscriptions"]

DAY_SECONDS = 86_400.0
SYSTEM = "system"
"""The actor of what is due by the clock."""


class Subscriptions:
    """All changes of subscriptions, and of users' plans. Each is one transaction with its event and its line in the
    audit log; the provider is asked between transactions only.

    Args:
        database: where they lie.
        plans: what is on offer.
        ledger: where payments and fees are posted.
        provider: who takes payments.
        grace_days: that a plan stays after its payment failed or is late.
        forget: told whose plan may have changed, so that no cached one is used any longer.
    """

    def __init__(
        self,
        database: Database,
        plans: Plans,
        ledger: Ledger,
        *,
        provider: PaymentProvider,
        grace_days: float,
        forget: Callable[[str], None],
    ) -> None:
        self._database = database
        self._plans = plans
        self._ledger = ledger
        self._provider = provider
        self._grace = grace_days * DAY_SECONDS
        self._forget = forget

    async def get(self, user_id: str) -> Subscription | None:
        """The user's, also one that ended; None where there never was one."""
        async with self._database.read() as connection:
            return await find(connection, user_id)

    async def request(
        self, user_id: str, plan_id: str, *, actor: str, return_url: str = ""
    ) -> Subscription | None:
        """The user wants another plan. A dearer one waits for its payment: `due` is the difference for the rest of the
        period, or the whole price where none runs. A cheaper one comes with the next period. The one in force drops an
        earlier wish; any other wish takes its place.

        Args:
            actor: see `audit.record`.
            return_url: where a payment service sends the user back to.

        Returns:
            The subscription, with `checkout_url` where there is a page to pay on; None where a plan that costs nothing
            is in force at once and there never was a subscription.

        Raises:
            NotFound: no such user.
            ValidationFailed: no such plan on offer; `extra["plans"]` are those that are.
            Conflict: the user is on it, a payment is late, or an upgrade is being paid.
            ProviderUnavailable: nothing was changed.
        """
        async with self._database.write() as connection:
            who = await self._up_to_date(connection, user_id)
            decision = wishes.ask(who, plan_id, self._plans.book, self._provider.name)
            asked = await make(connection, who, decision.change, actor)
        self._forget(user_id)
        return await self._tell(who, asked, decision, actor, return_url)

    async def cancel(self, user_id: str, *, actor: str) -> Subscription:
        """The subscription ends with its period. At once, where it waits for its first payment, or where a payment is
        late.

        Raises:
            NotFound: no such user.
            Conflict: there is nothing to cancel, or it is cancelled already.
            ProviderUnavailable: nothing was changed.
        """
        async with self._database.write() as connection:
            who = await self._up_to_date(connection, user_id)
            decision = wishes.leave(who, self._plans.book, self._provider.name)
            asked = await make(connection, who, decision.change, actor)
        self._forget(user_id)
        left = await self._tell(who, asked, decision, actor, "")
        assert left is not None
        return left

    async def paid(
        self, user_id: str, *, amount: int | None, reference: str, actor: str, note: str = ""
    ) -> Subscription | None:
        """An admin marks a payment. It puts in force what it was due for: a first period, an upgrade for the rest of
        one, or the next one where that was late. Where nothing is due it pays calls.

        Args:
            amount: milli-cents; None for what is due, or for all calls to be paid where nothing is.
            reference: 1..60 characters: told twice for a user, it counts once.

        Returns:
            The subscription as it is then; None where there never was one.

        Raises:
            NotFound: no such user.
            ValidationFailed: less than what is due, or more than that and the calls.
            Conflict: nothing is due, the reference is known with another amount, or the plan is gone.
        """
        told = Told(amount, reference, actor, note)
        async with self._database.write() as connection:
            who = await self._up_to_date(connection, user_id)
            if await marked_payments.known(connection, user_id, told) is None:
                who = await marked_payments.mark(connection, self._ledger, who, told, self._plans.book)
        self._forget(user_id)
        return who.subscription

    async def invoice_paid(
        self,
        user_id: str,
        *,
        amount: int,
        reference: str,
        actor: str,
        note: str = "",
        within: AsyncConnection | None = None,
    ) -> None:
        """A payment service was paid for a plan: posted as payment and fee, and nothing else. What is in force is said
        by `apply_provider_state`.

        Args:
            amount: milli-cents, above 0.
            reference: of the invoice, 1..60 characters: told twice, it counts once.

        Raises:
            NotFound: no such user.
            Conflict: the reference is known with another amount.
        """
        told = Told(amount, reference, actor, note)
        async with self._database.joined(within) as connection:
            who = await lock(connection, user_id)
            if await marked_payments.known(connection, user_id, told) is None:
                source = marked_payments.FEE
                await marked_payments.post(
                    connection, self._ledger, user_id, told, amount, amount, source, who.plan
                )
                details = {"reference": reference}
                await make(connection, who, Change("paid", None, amount=amount, details=details), actor)

    async def payment_failed(
        self, user_id: str, *, actor: str, note: str = "", within: AsyncConnection | None = None
    ) -> Subscription:
        """A payment of the running plan came to nothing: the plan stays for the days of grace, and its price is due.
        Told again, it changes nothing.

        Raises:
            NotFound: no such user, or no subscription that has begun.
        """
        async with self._database.joined(within) as connection:
            who = await lock(connection, user_id)
            change = dues.failed(who, self._plans.book, self._grace, note)
            if change is not None:
                who = await make(connection, who, change, actor)
        self._forget(user_id)
        assert who.subscription is not None
        return who.subscription

    async def set_plan(self, user_id: str, plan_id: str, *, actor: str) -> None:
        """The operator puts the user on a plan: at once, free of charge and without a period. Ends a subscription.

        Raises:
            NotFound: no such user.
            ValidationFailed: no such plan.
            Conflict: the subscription is paid through a service that this server does not use, or it changed meanwhile.
            ProviderUnavailable: the service could not be told to charge nothing more; nothing was changed.
        """
        if self._plans.book.find(plan_id) is None:
            offered = list(self._plans.book.plans)
            raise ValidationFailed(
                f'There is no plan "{plan_id}". There are: {", ".join(offered)}.',
                f"没有套餐“{plan_id}”。已有套餐：{'、'.join(offered)}。",
                extra={"plans": offered},
            )
        told = await self._stop_charging(user_id, unpaid_only=False)
        async with self._database.write() as connection:
            who = await lock(connection, user_id)
            had = who.subscription
            if charged_by(had) != told:
                raise Conflict(
                    f'The subscription of "{user_id}" was changed by somebody else at this moment.',
                    f"“{user_id}”的订阅刚刚被他人修改。",
                )
            over = None if had is None or had.state is SubscriptionState.ENDED else ended(had)
            if over is not None or who.plan != plan_id:
                await make(connection, who, Change("set", over, plan=plan_id), actor)
        self._forget(user_id)

    async def apply_provider_state(
        self, user_id: str, state: ProviderState, *, within: AsyncConnection | None = None
    ) -> Subscription | None:
        """What the payment service says now becomes ours: plan, period, lateness, end. Told again it changes nothing,
        and what is older than the last word is ignored.

        Returns:
            The subscription as it is then; None where there is none.

        Raises:
            NotFound: no such user.
        """
        async with self._database.joined(within) as connection:
            who = await provider_states.apply(
                connection,
                await lock(connection, user_id),
                state,
                self._plans.book,
                provider=self._provider.name,
                grace=self._grace,
            )
        self._forget(user_id)
        return who.subscription

    async def renew(self, user_id: str) -> list[str]:
        """Do what is due for one user by now.

        Returns:
            The kinds of the events, in order; none where nothing was due.

        Raises:
            ProviderUnavailable: a plan that is not paid cannot be ended there.
        """
        told = await self._stop_charging(user_id, unpaid_only=True)
        made: list[str] = []
        async with self._database.write() as connection:
            who = await lock(connection, user_id)
            if told is not None and charged_by(who.subscription) != told:
                return []  # begun anew meanwhile
            if told is None and unpaid_elsewhere(who.subscription, who.at):
                return []  # was not yet when it was looked at: the next time
            await self._make_due(connection, who, made)
        if made:
            self._forget(user_id)
        return made

    async def _up_to_date(self, connection: AsyncConnection, user_id: str) -> Subscriber:
        """The user, locked, after what was due by now: nothing is decided by a period that is over."""
        who = await lock(connection, user_id)
        return (
            who if unpaid_elsewhere(who.subscription, who.at) else await self._make_due(connection, who, [])
        )

    async def _make_due(self, connection: AsyncConnection, who: Subscriber, made: list[str]) -> Subscriber:
        while (change := dues.next_change(who, self._plans.book, self._grace)) is not None:
            who = await make(connection, who, change, SYSTEM)
            made.append(change.kind)
        return who

    async def _tell(
        self, before: Subscriber, asked: Subscriber, decision: Decision, actor: str, return_url: str
    ) -> Subscription | None:
        """Tell the provider, then write down what it agreed to; where it does not answer, take the wish back."""
        if not decision.steps or asked.subscription is None:
            return asked.subscription
        try:
            url = await take(self._provider, asked, decision.steps, return_url)
        except EraserError:
            had = before.subscription or ended(asked.subscription)
            await self._if_unchanged(asked, Change("wish_dropped", had), actor)
            raise
        told = asked.subscription
        if decision.then is not None:
            told = await self._if_unchanged(asked, decision.then, actor) or told
        return replace(told, checkout_url=url)

    async def _if_unchanged(self, asked: Subscriber, change: Change, actor: str) -> Subscription | None:
        """Make a change unless somebody, as the provider itself, has said something newer."""
        assert asked.subscription is not None
        async with self._database.write() as connection:
            who = await lock(connection, asked.user_id)
            if who.subscription is not None and who.subscription.version == asked.subscription.version:
                who = await make(connection, who, change, actor)
        self._forget(asked.user_id)
        return who.subscription

    async def _stop_charging(self, user_id: str, *, unpaid_only: bool) -> str | None:
        """Where a provider charges the subscription, have it charge nothing more.

        Args:
            unpaid_only: only where its grace is over.

        Returns:
            The provider's name of what it stopped; None where nothing was to stop.
        """
        async with self._database.read() as connection:
            at = (await connection.execute(sa.select(now()))).scalar_one()
            had = await find(connection, user_id)
        ref = charged_by(had)
        if had is None or ref is None or (unpaid_only and not unpaid_elsewhere(had, at)):
            return None
        wishes.check_provider(had, self._provider.name)
        await self._provider.cancel(ref, at_once=True)
        return ref

"""What a user's wish for another plan means. Decides only; `subscriptions` does it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plans import MILLICENTS, Plan, PlanBook
from magic_eraser.billing.subscriptions.changes import Change, Subscriber, costs_nothing, ended
from magic_eraser.billing.subscriptions.proration import prorated
from magic_eraser.billing.subscriptions.provider_steps import Step
from magic_eraser.billing.subscriptions.subscription import MANUAL, Subscription
from magic_eraser.billing.tables import SubscriptionState
from magic_eraser.errors import Conflict, ValidationFailed

CENT = MILLICENTS // 100
"""An upgrade costs whole ones, at least one, as no bank moves less: what costs nothing could never be paid."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do.

    Attributes:
        change: at once; with steps it keeps others from asking the provider at the same time.
        steps: the provider is told, in order, when that is in the database.
        then: once the provider knows; None: it will say itself what became of it.
    """

    change: Change
    steps: tuple[Step, ...] = ()
    then: Change | None = None


def ask(who: Subscriber, plan_id: str, book: PlanBook, provider: str) -> Decision:
    """The user wants a plan.

    Args:
        provider: of this server, for subscriptions that begin.

    Raises:
        ValidationFailed: no such plan on offer.
        Conflict: it is on it already, a payment is late, or the provider is at work on another wish.
    """
    had = who.subscription
    if had is not None and had.begun:
        check_provider(had, provider)
        if had.plan == plan_id and had.state is not SubscriptionState.PAST_DUE:
            return _keep(who, had, book)
        wanted = _offered(plan_id, book)
        if had.state is SubscriptionState.PAST_DUE:
            return _overdue(who, had, wanted, book, provider)
        return _other(who, had, wanted, book)
    if who.plan == plan_id:
        if had is None or had.wanted_plan is None:
            raise _already(who, plan_id)
        return Decision(Change("wish_dropped", ended(had), to_plan=plan_id))
    return _first(who, had, _offered(plan_id, book), book, provider)


def leave(who: Subscriber, book: PlanBook, provider: str) -> Decision:
    """The user wants no plan that costs anything: at the end of the period; at once, where there is no period that is
    paid for.

    Raises:
        Conflict: there is nothing to cancel.
    """
    had, default = who.subscription, book.default
    if had is None or had.state is SubscriptionState.ENDED:
        raise Conflict("There is no subscription to cancel.", "没有可取消的订阅。")
    if not had.begun:
        return Decision(Change("wish_dropped", ended(had), to_plan=who.plan))
    check_provider(had, provider)
    if had.state is SubscriptionState.PAST_DUE:
        over = Change("cancelled", ended(had), plan=default.id)
        if had.provider == MANUAL:
            return Decision(over)
        return Decision(_asking(had, had.state, None), (Step("cancel_now"),), over)
    if had.wanted_plan == default.id and had.wanted_at is not None:
        raise Conflict(
            f'The plan "{had.plan}" is cancelled already; it ends with the period.',
            f"套餐“{had.plan}”已取消，将在本期结束时停止。",
        )
    return _other(who, had, default, book)


def _first(
    who: Subscriber, had: Subscription | None, wanted: Plan, book: PlanBook, provider: str
) -> Decision:
    if costs_nothing(wanted, book):
        return Decision(Change("changed", None if had is None else ended(had), plan=wanted.id))
    asked = Subscription(
        user_id=who.user_id,
        plan=who.plan,
        state=SubscriptionState.AWAITING,
        provider=provider,
        wanted_plan=wanted.id,
        due=wanted.price,
        customer_ref=None if had is None else had.customer_ref,
    )
    change = Change("requested", asked, to_plan=wanted.id, amount=wanted.price)
    return Decision(change, () if provider == MANUAL else (Step("checkout", wanted),))


def _keep(who: Subscriber, had: Subscription, book: PlanBook) -> Decision:
    """The plan in force is what is wanted: an earlier wish is dropped."""
    if had.wanted_plan is None:
        raise _already(who, had.plan)
    _check_at_work(had)
    kept = replace(had, state=SubscriptionState.ACTIVE, wanted_plan=None, wanted_at=None, due=0)
    resumed = Change("resumed", kept, to_plan=had.plan)
    if had.provider == MANUAL:
        return Decision(resumed)
    return Decision(_asking(had, SubscriptionState.AWAITING, had.plan), _undo(had, book), resumed)


def _other(who: Subscriber, had: Subscription, wanted: Plan, book: PlanBook) -> Decision:
    """Another plan than the one whose period runs: dearer at once, cheaper with the next period."""
    assert had.period_start is not None
    assert had.period_end is not None
    current, leaves = book.find(had.plan), costs_nothing(wanted, book)
    if current is not None and wanted.price > current.price and not leaves:
        if had.wanted_plan != wanted.id:
            _check_at_work(had)
        left = prorated(current.price, wanted.price, start=had.period_start, end=had.period_end, at=who.at)
        due = max(CENT, left - left % CENT)
        asked = replace(had, state=SubscriptionState.AWAITING, wanted_plan=wanted.id, wanted_at=None, due=due)
        change = Change("requested", asked, to_plan=wanted.id, amount=due)
        if had.provider == MANUAL:
            return Decision(change)
        undo = () if had.wanted_plan == wanted.id else _undo(had, book)
        return Decision(change, (*undo, Step("change", wanted, prorate=True)))
    if not leaves:
        _check_at_work(had)
    later = replace(
        had,
        state=SubscriptionState.ACTIVE,
        wanted_plan=wanted.id,
        wanted_at=had.period_end,
        due=0,
    )
    kind = "cancel_requested" if leaves else "downgrade_requested"
    then = Change(kind, later, to_plan=wanted.id)
    if had.provider == MANUAL:
        return Decision(then)
    step = Step("cancel") if leaves else Step("change", wanted)
    undo = () if leaves or current is None else _undo(had, book)
    return Decision(_asking(had, SubscriptionState.AWAITING, wanted.id), (*undo, step), then)


def _overdue(who: Subscriber, had: Subscription, wanted: Plan, book: PlanBook, provider: str) -> Decision:
    """The period is over and the next one not paid for: another plan may be chosen for it."""
    online = provider != MANUAL
    same = wanted.id == (had.wanted_plan or had.plan)
    if had.provider != MANUAL or had.runs(who.at) or (same and not online):
        due = to_text(had.due)
        raise Conflict(
            f'The last payment for the plan "{had.plan}" is late: {due} is due first.',
            f"套餐“{had.plan}”的款项逾期：请先支付 {due}。",
            extra={"due": due},
        )
    if costs_nothing(wanted, book):
        return Decision(Change("cancelled", ended(had), plan=wanted.id))
    wish = None if wanted.id == had.plan else wanted.id
    asked = replace(had, wanted_plan=wish, wanted_at=None, due=wanted.price)
    change = Change("requested", asked, to_plan=wanted.id, amount=wanted.price)
    return Decision(change, (Step("checkout", wanted),) if online else ())


def _asking(had: Subscription, state: SubscriptionState, wanted: str | None) -> Change:
    """The provider is about to be asked. Nothing is promised to the user until it has answered."""
    asked = replace(had, state=state, wanted_plan=wanted, wanted_at=None, due=had.due)
    return Change("provider_asked", asked, to_plan=wanted)


def _undo(had: Subscription, book: PlanBook) -> tuple[Step, ...]:
    """What takes an earlier wish for the next period back, at the provider."""
    current = book.find(had.plan)
    if had.wanted_plan is None or current is None:
        return ()
    before = book.find(had.wanted_plan)
    resumes = before is None or before is current or costs_nothing(before, book)
    return (*((Step("resume"),) if resumes else ()), Step("change", current))


def _check_at_work(had: Subscription) -> None:
    """A provider that was asked for an upgrade may have charged it: nothing else is asked before it has answered."""
    if had.provider != MANUAL and had.state is SubscriptionState.AWAITING and had.due > 0:
        raise Conflict(
            f'The upgrade to "{had.wanted_plan}" is being paid right now.',
            f"升级到“{had.wanted_plan}”的付款正在处理。",
        )


def check_provider(had: Subscription, provider: str) -> None:
    """Raises `Conflict` where a subscription is charged by somebody else than this server's provider."""
    if had.provider not in {MANUAL, provider}:
        raise Conflict(
            f'This subscription is paid through "{had.provider}", which this server does not use now.',
            f"此订阅通过“{had.provider}”付款，当前服务器未启用该方式。",
        )


def _offered(plan_id: str, book: PlanBook) -> Plan:
    plan = book.find(plan_id)
    if plan is None or plan.retired:
        offered = [each.id for each in book.plans.values() if not each.retired]
        raise ValidationFailed(
            f'There is no plan "{plan_id}" on offer. There are: {", ".join(offered)}.',
            f"没有可选的套餐“{plan_id}”。可选套餐：{'、'.join(offered)}。",
            extra={"plans": offered},
        )
    return plan


def _already(who: Subscriber, plan_id: str) -> Conflict:
    return Conflict(
        f'"{who.user_id}" is on the plan "{plan_id}" already.',
        f"“{who.user_id}”已在使用套餐“{plan_id}”。",
    )

"""What a plan allows, and what a call costs, as the one path sees it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from magic_eraser.accounts.plans import Feature, Plan
from magic_eraser.accounts.principal import Principal
from magic_eraser.billing.quota import Reservation
from magic_eraser.errors import PlanForbidsFeature, PlanForbidsModel, StorageUnavailable
from magic_eraser.hosting.pool import LocalPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.entry import Entry
from magic_eraser.service import metering as metering_module
from magic_eraser.service.cache.memory import MemoryCache
from magic_eraser.service.erase import EraseService
from magic_eraser.service.metering import Metering
from magic_eraser.service.request import EraseOptions, EraseRequest
from many_models import BrokenInpainter, GreyInpainter

SMALL = Plan(
    id="small",
    title="Small",
    title_zh="小",
    price=0,
    calls_a_day=10,
    cost_a_call=2000,
    features=frozenset({Feature.BASIC_INPAINT}),
    models=frozenset({"telea", "ns"}),
)
CALLER = Principal("alice", "key", plan=SMALL)


class Ledger:
    """Holds what is reserved under the plan that it is told, and notes what becomes of it."""

    def __init__(self, plan: Plan | None = SMALL) -> None:
        self.plan = plan
        self.lines: list[str] = []
        self.away = 0
        self.has_expired = False

    async def reserve(self, principal, units, within=None):
        self.lines.append(f"reserve {units}")
        return Reservation("r", units, unit_price=2000, plan=self.plan, day="2026-11-24", left=9)

    async def settle(self, reservation, units, within=None):
        if self.away:
            self.away -= 1
            raise StorageUnavailable
        self.lines.append(f"settle {units}")
        return not self.has_expired

    async def release(self, reservation, within=None):
        self.lines.append("release")


class Notes:
    """Stands for the log of usage."""

    def __init__(self) -> None:
        self.events = []

    async def record(self, event, within=None):
        self.events.append(event)


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def build(ledger, notes):
    workers = Workers(threads=2)
    heavy = replace(GreyInpainter(CATALOG["telea"].card).card, id="heavy", cost=3)
    broken = replace(heavy, id="broken")
    added = replace(heavy, id="mine", cost=1, added=True)
    catalog = {
        **{name: CATALOG[name] for name in ("patch", "telea", "ns")},
        **{card.id: Entry(card, lambda _setup, card=card: GreyInpainter(card)) for card in (heavy, added)},
        "broken": Entry(broken, lambda _setup: BrokenInpainter(broken)),
    }

    def service(**ports) -> EraseService:
        pool = LocalPool(workers, catalog)
        return EraseService(pool, workers, metering=Metering(ledger, usage=notes, hits=notes), **ports)

    yield service
    workers.close()


def asked(image, mask, model="telea") -> EraseRequest:
    return EraseRequest(image, mask, EraseOptions(model=model))


def run(work):
    return asyncio.run(work)


def test_a_model_that_the_plan_does_not_include_is_refused_before_anything_is_held(
    build, ledger, coffee_png, dot_png
):
    with pytest.raises(PlanForbidsModel, match='"small" does not include the model "patch"'):
        run(build().erase(CALLER, asked(coffee_png, dot_png, "patch")))

    assert ledger.lines == []


def test_auto_takes_the_best_that_the_plan_includes(build, coffee_png, dot_png):
    assert run(build().erase(CALLER, asked(coffee_png, dot_png, "auto"))).model == "telea"
    assert (
        run(build().erase(replace(CALLER, plan=None), asked(coffee_png, dot_png, "telea"))).model == "telea"
    )


def test_the_plan_counts_that_the_ledger_knows_at_that_moment(build, ledger, coffee_png, dot_png):
    """An upgrade counts for the call that is under way when it comes; half a second old is what the door knew."""
    ledger.plan = replace(SMALL, models=SMALL.models | {"patch"})

    assert run(build().erase(CALLER, asked(coffee_png, dot_png, "auto"))).model == "patch"


def test_a_plan_without_any_model_for_auto_says_so(build, ledger, coffee_png, dot_png):
    ledger.plan = replace(SMALL, models=frozenset({"mine"}))

    with pytest.raises(PlanForbidsModel, match="none of the models"):
        run(build().erase(CALLER, asked(coffee_png, dot_png, "auto")))
    assert ledger.lines == ["reserve 1", "release"]


def test_added_models_come_with_the_feature_and_all_models_without_them(build, ledger, coffee_png, dot_png):
    everything = replace(SMALL, features=SMALL.features | {Feature.ALL_MODELS})
    for plan, model, allowed in [
        (everything, "heavy", True),
        (everything, "mine", False),
        (replace(SMALL, features=SMALL.features | {Feature.CUSTOM_MODELS}), "mine", True),
        (SMALL, "heavy", False),
    ]:
        ledger.plan = plan
        call = build().erase(replace(CALLER, plan=plan), asked(coffee_png, dot_png, model))
        if allowed:
            assert run(call).model == model
        else:
            with pytest.raises(PlanForbidsModel):
                run(call)


def test_a_picture_that_is_too_large_for_the_plan_is_refused_by_its_header(
    build, ledger, coffee_png, dot_png
):
    ledger.plan = replace(SMALL, max_pixels=600 * 400 - 1)

    with pytest.raises(PlanForbidsFeature) as refused:
        run(build().erase(CALLER, asked(coffee_png, dot_png)))

    assert refused.value.extra == {"feature": "hd_processing", "plan": "small", "max_pixels": 239_999}
    assert "239,999" in refused.value.detail_zh
    assert ledger.lines == ["reserve 1", "release"]
    ledger.plan = replace(SMALL, max_pixels=600 * 400)
    assert run(build().erase(CALLER, asked(coffee_png, dot_png))).width == 600


def test_a_call_is_held_and_charged_by_the_weight_of_its_model(build, ledger, notes, coffee_png, dot_png):
    ledger.plan = None
    result = run(build().erase(replace(CALLER, plan=None), asked(coffee_png, dot_png, "heavy")))

    assert ledger.lines == ["reserve 3", "settle 3"]
    assert (result.units, result.reservation.left) == (3, 9)
    (event,) = notes.events
    assert (event.source, event.source_id, event.tenant_id, event.subject) == ("request", "r", "alice", "key")
    assert (event.model, event.units, event.amount, event.day) == ("heavy", 3, 6000, "2026-11-24")
    assert (event.pixels, event.cached) == (600 * 400, False)


def test_where_a_lighter_model_stood_in_its_weight_is_charged(build, ledger, coffee_png, dot_png):
    ledger.plan = None
    result = run(build().erase(replace(CALLER, plan=None), asked(coffee_png, dot_png, "broken")))

    assert result.model == "patch"
    assert ledger.lines == ["reserve 3", "settle 1"]


def test_a_stand_in_is_of_the_plan_too(build, ledger, coffee_png, dot_png):
    plan = replace(SMALL, models=frozenset({"broken", "ns"}))
    ledger.plan = plan

    assert run(build().erase(replace(CALLER, plan=plan), asked(coffee_png, dot_png, "broken"))).model == "ns"


class Books:
    """Stands for the database: counts the transactions."""

    def __init__(self) -> None:
        self.transactions = 0

    @asynccontextmanager
    async def write(self):
        self.transactions += 1
        yield "within"


def test_a_hit_is_a_call_of_the_day_that_costs_no_money(build, ledger, notes, coffee_png, dot_png):
    books = Books()

    async def story():
        service = build(cache=MemoryCache(max_bytes=10**7, ttl_seconds=60))
        service._metering = Metering(ledger, database=books, usage=notes, hits=None)
        first = await service.erase(CALLER, asked(coffee_png, dot_png))
        at_once = await asyncio.gather(*(service.erase(CALLER, asked(coffee_png, dot_png)) for _ in range(2)))
        return first, *at_once

    first, *hits = run(story())

    assert [(result.cache, result.units, result.reservation.left) for result in (first, *hits)] == [
        ("miss", 1, 9),
        ("hit", 0, 9),
        ("hit", 0, 9),
    ]
    assert ledger.lines == ["reserve 1", "settle 1"] + ["reserve 0", "settle 0"] * 2
    assert [(event.cached, event.units, event.amount) for event in notes.events] == [
        (False, 1, 2000),
        (True, 0, 0),
        (True, 0, 0),
    ]
    assert books.transactions == 3  # reserved and settled in one


def test_who_waits_for_an_equal_request_is_counted_too(build, ledger, notes, coffee_png, dot_png):
    async def story():
        service = build(cache=MemoryCache(max_bytes=10**7, ttl_seconds=60))
        service._metering = Metering(ledger, database=Books(), usage=notes)
        return await asyncio.gather(*(service.erase(CALLER, asked(coffee_png, dot_png)) for _ in range(3)))

    assert sorted(result.cache for result in run(story())) == ["hit", "hit", "miss"]
    assert sorted(line for line in ledger.lines if line.startswith("settle")) == [
        "settle 0",
        "settle 0",
        "settle 1",
    ]


def test_where_the_plan_says_so_a_hit_is_told_and_is_no_call(build, ledger, notes, coffee_png, dot_png):
    generous = replace(SMALL, free_cached=True)
    ledger.plan = generous

    async def story():
        service = build(cache=MemoryCache(max_bytes=10**7, ttl_seconds=60))
        service._metering = Metering(ledger, database=Books(), usage=notes, hits=notes)
        caller = replace(CALLER, plan=generous)
        await service.erase(caller, asked(coffee_png, dot_png))
        return await service.erase(caller, asked(coffee_png, dot_png))

    assert run(story()).reservation is None
    assert ledger.lines == ["reserve 1", "settle 1"]
    assert [event.cached for event in notes.events] == [False, True]


def test_without_a_ledger_a_hit_is_told(build, ledger, notes, coffee_png, dot_png):
    async def story():
        service = build(cache=MemoryCache(max_bytes=10**7, ttl_seconds=60))
        await service.erase(CALLER, asked(coffee_png, dot_png))
        return await service.erase(CALLER, asked(coffee_png, dot_png))

    second = run(story())

    assert (second.cache, second.reservation, second.units) == ("hit", None, 0)
    assert ledger.lines == ["reserve 1", "settle 1"]
    assert [(event.cached, event.units, event.amount) for event in notes.events] == [
        (False, 1, 2000),
        (True, 0, 0),
    ]
    assert notes.events[0].source_id != notes.events[1].source_id


def test_what_auto_may_choose_is_part_of_what_is_kept(build, ledger, coffee_png, dot_png):
    larger = replace(SMALL, models=SMALL.models | {"patch"})

    async def story():
        service = build(cache=MemoryCache(max_bytes=10**7, ttl_seconds=60))
        first = await service.erase(CALLER, asked(coffee_png, dot_png, "auto"))
        ledger.plan = larger
        return first, await service.erase(replace(CALLER, plan=larger), asked(coffee_png, dot_png, "auto"))

    first, second = run(story())
    assert (first.model, second.model, second.cache) == ("telea", "patch", "miss")


def test_a_database_that_is_away_for_a_moment_charges_later(build, ledger, monkeypatch, coffee_png, dot_png):
    monkeypatch.setattr(metering_module, "PAUSES", (0.01, 0.01))
    ledger.away = 2
    assert run(build().erase(CALLER, asked(coffee_png, dot_png))).units == 1
    assert ledger.lines == ["reserve 1", "settle 1"]


def test_what_cannot_be_charged_is_not_handed_out(build, ledger, notes, monkeypatch, coffee_png, dot_png):
    monkeypatch.setattr(metering_module, "PAUSES", (0.01, 0.01))
    ledger.away = 3
    with pytest.raises(StorageUnavailable):
        run(build().erase(CALLER, asked(coffee_png, dot_png)))
    assert notes.events == []


def test_what_cannot_be_charged_cannot_be_had_from_the_cache_either(
    build, ledger, monkeypatch, coffee_png, dot_png
):
    monkeypatch.setattr(metering_module, "PAUSES", (0.01, 0.01))
    ledger.away = 3

    async def story():
        service = build(cache=MemoryCache(max_bytes=10**7, ttl_seconds=60))
        with pytest.raises(StorageUnavailable):
            await service.erase(CALLER, asked(coffee_png, dot_png))
        return await service.erase(CALLER, asked(coffee_png, dot_png))

    assert run(story()).cache == "miss"
    assert ledger.lines == ["reserve 1", "reserve 1", "settle 1"]


def test_a_picture_whose_hold_ran_out_is_handed_out_and_costs_nothing(
    build, ledger, notes, coffee_png, dot_png
):
    ledger.has_expired = True
    result = run(build().erase(CALLER, asked(coffee_png, dot_png)))

    assert (result.cache, result.reservation, result.units) == ("bypass", None, 0)
    assert [(event.units, event.amount, event.cached) for event in notes.events] == [(0, 0, False)]


def test_who_leaves_when_the_picture_is_done_has_been_charged_once(build, ledger, coffee_png, dot_png):
    settling = asyncio.Event()

    async def story():
        charge = ledger.settle

        async def slowly(reservation, units, within=None):
            settling.set()
            await asyncio.sleep(0.05)
            return await charge(reservation, units)

        ledger.settle = slowly
        task = asyncio.create_task(build().erase(CALLER, asked(coffee_png, dot_png)))
        await settling.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.1)

    run(story())
    assert ledger.lines == ["reserve 1", "settle 1"]

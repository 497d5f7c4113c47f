"""The one path: steps in order, reserve before work, settle or release exactly once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from magic_eraser.accounts.principal import LOCAL_OWNER, Principal
from magic_eraser.accounts.priority import Priority
from magic_eraser.billing.quota import Reservation
from magic_eraser.errors import (
    Cancelled,
    ContentBlocked,
    DeadlineExceeded,
    EmptyMask,
    QuotaExhausted,
    UnknownModel,
)
from magic_eraser.hosting.pool import LocalPool, ModelState
from magic_eraser.hosting.workers import Workers
from magic_eraser.imaging.photo import Photo
from magic_eraser.models.inpainter import Effort
from magic_eraser.models.watch import Watch
from magic_eraser.service.activity import Activity
from magic_eraser.service.admission import SlotAdmission
from magic_eraser.service.cache import Kept
from magic_eraser.service.erase import EraseService
from magic_eraser.service.metering import Metering
from magic_eraser.service.request import EraseOptions, EraseRequest, Keeping
from magic_eraser.service.safety import NullFilter
from slow_model import SlowInpainter, catalog_with


class Diary:
    """Stands for every port, and writes down what it is asked."""

    id = "diary"
    backend = "diary"

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.shelf: dict[str, Kept] = {}

    async def reserve(self, principal, units, within=None):
        self.lines.append(f"reserve {units}")
        return Reservation("r1", units)

    async def settle(self, reservation, units, within=None):
        self.lines.append(f"settle {reservation.id} {units}")
        return True

    async def release(self, reservation, within=None):
        self.lines.append(f"release {reservation.id}")

    async def check(self, photo, watch):
        self.lines.append("filter")

    async def get(self, key):
        self.lines.append("cache get")
        return self.shelf.get(key)

    async def put(self, key, kept):
        self.lines.append("cache put")
        self.shelf[key] = kept


@pytest.fixture
def slow():
    return SlowInpainter(seconds=0.2)


@pytest.fixture
def diary():
    return Diary()


@pytest.fixture
def build(slow, diary):
    workers = Workers(threads=2)
    pool = LocalPool(workers, catalog_with(slow))

    def service(**ports) -> EraseService:
        metering = Metering(ports.pop("quota", diary))
        return EraseService(
            pool, workers, metering=metering, **({"content_filter": diary, "cache": diary} | ports)
        )

    yield service
    workers.close()


def request(image, mask, model="slow", **options) -> EraseRequest:
    return EraseRequest(image, mask, EraseOptions(model=model, **options))


def run(work):
    return asyncio.run(work)


def test_the_steps_come_in_their_order(build, diary, coffee_png, dot_png):
    result = run(build().erase(LOCAL_OWNER, request(coffee_png, dot_png, "telea")))

    assert diary.lines == ["cache get", "reserve 1", "filter", "settle r1 1", "cache put"]
    assert list(result.seconds) == ["cache", "queue", "decode", "filter", "inpaint", "encode"]
    assert result.cache == "miss"
    assert result.model == "telea"


def test_a_kept_result_is_answered_without_a_slot_and_costs_nothing(build, diary, coffee_png, dot_png):
    first = run(build().erase(LOCAL_OWNER, request(coffee_png, dot_png, "telea")))
    diary.lines.clear()
    shut = SlotAdmission(slots=1, depth=0)
    shut.drain()

    second = run(build(admission=shut).erase(LOCAL_OWNER, request(coffee_png, dot_png, "telea")))

    assert second.cache == "hit"
    assert second.encoded == first.encoded
    assert (second.model, second.width, second.height) == ("telea", 600, 400)
    assert diary.lines == ["cache get"]


def test_another_tenant_option_or_filter_does_not_find_it(build, diary, coffee_png, dot_png):
    class Stricter(NullFilter):
        id = "stricter"

    asked = request(coffee_png, dot_png, "telea")
    run(build().erase(LOCAL_OWNER, asked))
    for principal, again, service in [
        (Principal("other", "owner"), asked, build()),
        (LOCAL_OWNER, request(coffee_png, dot_png, "telea", radius=5), build()),
        (LOCAL_OWNER, asked, build(content_filter=Stricter())),
    ]:
        assert run(service.erase(principal, again)).cache == "miss"
    assert len(diary.shelf) == 4


@pytest.mark.parametrize(
    ("keeping", "told", "asked", "kept"),
    [("forbidden", "bypass", 0, 0), ("refresh", "miss", 0, 1), ("allowed", "miss", 1, 1)],
)
def test_what_the_caller_says_of_keeping_holds(build, diary, coffee_png, dot_png, keeping, told, asked, kept):
    wanted = replace(request(coffee_png, dot_png, "telea"), keeping=Keeping(keeping))

    assert run(build().erase(LOCAL_OWNER, wanted)).cache == told
    assert (diary.lines.count("cache get"), len(diary.shelf)) == (asked, kept)


def test_equal_requests_at_once_are_one_piece_of_work_and_one_charge(build, slow, diary, coffee_png, dot_png):
    async def story():
        service = build()
        asked = [service.erase(LOCAL_OWNER, request(coffee_png, dot_png)) for _ in range(5)]
        return await asyncio.gather(*asked)

    results = run(story())

    assert sorted(result.cache for result in results) == ["hit"] * 4 + ["miss"]
    assert len({result.encoded.data for result in results}) == 1
    assert (len(slow.asked), diary.lines.count("settle r1 1")) == (1, 1)


def test_one_of_two_equal_callers_may_go_and_the_work_goes_on(build, slow, diary, coffee_png, dot_png):
    async def story():
        service = build()
        first = asyncio.create_task(service.erase(LOCAL_OWNER, request(coffee_png, dot_png)))
        second = asyncio.create_task(service.erase(LOCAL_OWNER, request(coffee_png, dot_png)))
        await asyncio.to_thread(slow.begun.acquire)
        while diary.lines.count("cache get") < 2:  # noqa: ASYNC110 (the diary knows of no event)
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # from the cache to the flight it is one step
        first.cancel()
        return await second

    assert run(story()).model == "slow"
    assert (len(slow.asked), slow.stopped_by) == (1, [])


def test_nobody_waits_in_the_place_of_an_equal_item_of_a_job(build, slow, coffee_png, dot_png):
    ended = []

    async def story():
        service = build(admission=SlotAdmission(slots=1, depth=8))

        async def erase(name: str, priority: Priority, seed: int = 0) -> None:
            await service.erase(
                replace(LOCAL_OWNER, priority=priority), request(coffee_png, dot_png, seed=seed)
            )
            ended.append(name)

        other = asyncio.create_task(erase("other", Priority.NORMAL, seed=1))
        await asyncio.to_thread(slow.begun.acquire)
        await asyncio.gather(erase("item", Priority.BATCH), erase("request", Priority.NORMAL), other)

    run(story())
    assert ended == ["other", "request", "item"]


def test_a_failure_charges_nothing(build, diary, coffee_png, dot):
    with pytest.raises(EmptyMask):
        run(build().erase(LOCAL_OWNER, request(coffee_png, np.zeros_like(dot))))

    assert diary.lines == ["reserve 1", "release r1"]
    assert diary.shelf == {}


def test_a_wrong_model_is_refused_before_anything_is_reserved(build, diary, coffee_png, dot_png):
    with pytest.raises(UnknownModel, match="lama-9000"):
        run(build().erase(LOCAL_OWNER, request(coffee_png, dot_png, "lama-9000")))

    assert diary.lines == []


def test_an_exhausted_quota_ends_it_before_the_picture_is_decoded(build, coffee_png, dot_png):
    class Empty(Diary):
        async def reserve(self, principal, units, within=None):
            raise QuotaExhausted(retry_after=100)

    with pytest.raises(QuotaExhausted):
        run(build(quota=Empty()).erase(LOCAL_OWNER, request(b"not even a picture", dot_png)))


def test_a_blocked_picture_is_not_worked_on(build, slow, diary, coffee_png, dot_png):
    class Strict:
        id = "strict"

        async def check(self, photo, watch):
            raise ContentBlocked

    with pytest.raises(ContentBlocked):
        run(build(content_filter=Strict()).erase(LOCAL_OWNER, request(coffee_png, dot_png)))

    assert slow.most_running == 0
    assert diary.lines == ["cache get", "reserve 1", "release r1"]


def test_past_the_deadline_the_work_stops_and_nothing_is_charged(build, slow, diary, coffee_png, dot_png):
    slow.seconds = 10

    with pytest.raises(DeadlineExceeded):
        run(build().erase(LOCAL_OWNER, request(coffee_png, dot_png), Watch(seconds=0.3)))

    assert slow.stopped_by == ["DeadlineExceeded"]
    assert diary.lines[-1] == "release r1"


def test_the_services_own_deadline_holds_where_the_request_has_none(build, slow, coffee_png, dot_png):
    slow.seconds = 10

    with pytest.raises(DeadlineExceeded):
        run(build(deadline_seconds=0.2).erase(LOCAL_OWNER, request(coffee_png, dot_png)))


def test_a_cancelled_task_stops_its_thread_before_the_slot_is_free(build, slow, diary, coffee_png, dot_png):
    slow.seconds = 10
    door = SlotAdmission(slots=1, depth=0)

    async def story() -> None:
        task = asyncio.create_task(build(admission=door).erase(LOCAL_OWNER, request(coffee_png, dot_png)))
        await asyncio.to_thread(slow.begun.acquire)
        assert door.running == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert slow.running == 0
        assert door.running == 0

    run(story())
    assert slow.stopped_by == ["Cancelled"]
    assert diary.lines[-1] == "release r1"


def test_a_cancelled_watch_stops_it_too(build, slow, coffee_png, dot_png):
    watch = Watch()
    watch.cancel()

    with pytest.raises(Cancelled):
        run(build().erase(LOCAL_OWNER, request(coffee_png, dot_png), watch))


def test_pixels_in_and_pixels_out_without_a_codec(build, coffee, dot):
    photo = Photo.from_array(coffee)
    wanted = EraseRequest(photo, dot, EraseOptions(model="telea"), output=None)

    result = run(build().erase(LOCAL_OWNER, wanted))

    assert result.encoded is None
    assert (result.photo.to_array()[~dot] == coffee[~dot]).all()
    assert (result.photo.to_array()[dot] != coffee[dot]).any()


def test_every_stage_is_observed_even_of_a_failure(build, coffee_png, dot_png):
    seen = []
    service = build(observe=lambda stage, model, _: seen.append((stage, model)))

    run(service.erase(LOCAL_OWNER, request(coffee_png, dot_png, "telea")))
    with pytest.raises(EmptyMask):
        run(service.erase(LOCAL_OWNER, request(coffee_png, np.zeros((400, 600), bool), "telea")))

    assert ("inpaint", "telea") in seen
    assert seen[-3:] == [("cache", "none"), ("queue", "none"), ("decode", "none")]


def test_a_model_is_made_ready_once_however_many_ask(coffee_png, dot_png):
    loads = []
    slow = SlowInpainter(0.05)
    catalog = catalog_with(slow)
    workers = Workers(threads=4)
    pool = LocalPool(workers, catalog, on_load=lambda model, _: loads.append(model))
    service = EraseService(pool, workers)
    assert pool.state("slow") is ModelState.ABSENT

    async def many() -> None:
        await asyncio.gather(*(service.erase(LOCAL_OWNER, request(coffee_png, dot_png)) for _ in range(4)))

    run(many())
    workers.close()

    assert loads == ["slow"]
    assert pool.state("slow") is ModelState.READY


def test_auto_says_what_ran(build, coffee_png, dot_png, coffee, encode):
    scratch = np.zeros((400, 600), np.uint8)
    scratch[100:103, 50:400] = 255

    thin = run(build(cache=None).erase(LOCAL_OWNER, request(coffee_png, encode(scratch), "auto")))
    thick = run(build(cache=None).erase(LOCAL_OWNER, request(coffee_png, dot_png, "auto")))

    assert (thin.model, thick.model) == ("telea", "patch")


def test_auto_gives_thin_pieces_to_the_pde_and_the_rest_to_the_best_model(build, coffee, dot, encode):
    """What the answer names is the model of the rest; the thin pieces are as the PDE alone fills them."""
    scratch = np.zeros((400, 600), bool)
    scratch[300:303, 50:400] = True
    service = build(cache=None)

    def erased(hole, model):
        photo = Photo.from_array(coffee)
        return run(
            service.erase(LOCAL_OWNER, EraseRequest(photo, hole, EraseOptions(model=model), output=None))
        )

    both, thin, rest = (
        erased(hole, model) for hole, model in ((dot | scratch, "auto"), (scratch, "auto"), (dot, "patch"))
    )

    assert (both.model, thin.model) == ("patch", "telea")
    pixels = both.photo.to_array()
    assert (pixels[scratch] == thin.photo.to_array()[scratch]).all()
    assert (pixels[dot] == rest.photo.to_array()[dot]).all()
    assert (pixels[~dot & ~scratch] == coffee[~dot & ~scratch]).all()


def test_what_else_is_unknown_is_not_seen_by_the_first_step(build, coffee, encode):
    hole = np.zeros((400, 600), bool)
    hole[100:103, 50:400] = hole[106:180, 200:290] = True
    service = build(cache=None)
    painted = []
    for colour in (0, 255):
        image = coffee.copy()
        image[hole] = colour
        wanted = EraseRequest(Photo.from_array(image), hole, EraseOptions(model="auto"), output=None)
        painted.append(run(service.erase(LOCAL_OWNER, wanted)).photo.to_array())

    assert (painted[0] == painted[1]).all()


def test_what_is_asked_of_the_fill_reaches_the_model(build, slow, coffee_png, dot_png):
    options = {"seed": 7, "radius": 3, "effort": "best", "rough_when_late": True}

    run(build().erase(LOCAL_OWNER, request(coffee_png, dot_png, **options)))

    asked = slow.asked[0]
    assert (asked.seed, asked.radius, asked.effort, asked.rough_when_late) == (7, 3, Effort.BEST, True)


def test_near_the_deadline_the_best_that_is_there_is_answered_with_a_notice(build, slow, coffee_png, dot_png):
    slow.seconds = 10

    result = run(
        build().erase(LOCAL_OWNER, request(coffee_png, dot_png, rough_when_late=True), Watch(seconds=2))
    )

    (notice,) = result.notices
    assert notice.code == "rough_result"
    assert "time limit" in notice.message
    assert "时限" in notice.message_zh
    assert slow.stopped_by == []


def test_a_rough_result_is_not_kept_for_others(build, slow, diary, coffee_png, dot_png):
    slow.seconds = 10
    wanted = request(coffee_png, dot_png, rough_when_late=True)

    run(build().erase(LOCAL_OWNER, wanted, Watch(seconds=2)))

    assert "cache put" not in diary.lines
    assert diary.lines[-1] == "settle r1 1"


def test_with_time_enough_nothing_is_rough(build, coffee_png, dot_png):
    wanted = request(coffee_png, dot_png, rough_when_late=True)

    assert run(build().erase(LOCAL_OWNER, wanted, Watch(seconds=60))).notices == ()


def test_progress_goes_through_every_hole_and_never_back(build, coffee, dot):
    """Two far-apart blots and a scratch: two models, three crops, one progress."""
    hole = dot.copy()
    hole[300:360, 480:560] = True
    hole[200:203, 50:250] = True
    told = []
    wanted = EraseRequest(Photo.from_array(coffee), hole, EraseOptions(model="auto"), output=None)

    run(build(cache=None).erase(LOCAL_OWNER, wanted, Watch(on_progress=told.append)))

    assert told == sorted(told)
    assert told[0] == pytest.approx(0.1)
    assert told[-1] == pytest.approx(0.9)
    assert len(set(told)) > 4


def test_auto_growth_takes_what_the_stroke_left(build, encode):
    y, x = np.mgrid[:160, :200]
    away = np.hypot(x - 100, y - 80)
    image = np.full((160, 200, 3), 180, np.uint8)
    image[away < 40] = 40
    wanted = {
        growth: EraseRequest(
            Photo.from_array(image), away < 38, EraseOptions(model="telea", dilate=growth), output=None
        )
        for growth in (0, "auto")
    }

    left, none = (
        run(build(cache=None).erase(LOCAL_OWNER, each)).photo.to_array() for each in wanted.values()
    )

    assert (left[(away > 38.5) & (away < 39.5)] == 40).all()
    assert none.min() > 150


def test_who_paid_before_is_not_charged_again(build, diary, coffee_png, dot_png):
    wanted = request(coffee_png, dot_png, "telea")

    run(build().erase(LOCAL_OWNER, wanted, prepaid=Reservation("job", 1)))

    assert [line for line in diary.lines if "cache" not in line] == ["filter"]


def test_the_first_request_after_a_sleep_is_told(build, coffee_png, dot_png):
    activity = Activity()
    service = build(activity=activity)
    activity.fall_asleep()

    first = run(service.erase(LOCAL_OWNER, request(coffee_png, dot_png, "telea")))
    second = run(service.erase(LOCAL_OWNER, request(coffee_png, dot_png, "ns")))

    assert first.slept is not None
    assert second.slept is None

"""Models in the places of others: when, which, and what the answer says."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.errors import ModelUnavailable, UnusableOutput
from magic_eraser.hosting.pool import LocalPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.entry import Entry
from magic_eraser.models.inpainter import Effort
from magic_eraser.models.watch import Watch
from magic_eraser.service.cache import NullCache
from magic_eraser.service.erase import EraseService
from magic_eraser.service.request import EraseOptions, EraseRequest
from slow_model import SlowInpainter


class FailingInpainter:
    """Stands for a network; every call ends in `error`."""

    def __init__(self, error: Exception, name: str = "lama") -> None:
        self.error = error
        self.calls = 0
        self.card = ModelCard(
            id=name,
            title="Fails",
            licence="Apache-2.0",
            source="tests",
            speed=Speed.FAST,
            quality=Quality.HIGH,
            working_size=256,
        )

    def inpaint(self, image, hole, options, watch):
        self.calls += 1
        raise self.error

    def close(self):
        return None


@pytest.fixture
def erase_with(coffee_png, dot_png):
    def erase(model: FailingInpainter, asked: str):
        workers = Workers(threads=1)
        catalog = {**CATALOG, model.card.id: Entry(model.card, lambda _setup: model)}
        service = EraseService(LocalPool(workers, catalog), workers)
        try:
            return asyncio.run(
                service.erase(LOCAL_OWNER, EraseRequest(coffee_png, dot_png, EraseOptions(model=asked)))
            )
        finally:
            workers.close()

    return erase


@pytest.mark.parametrize("asked", ["auto", "lama"])
def test_an_answer_that_is_no_picture_is_replaced_and_it_is_said(erase_with, asked, coffee, decode, dot):
    result = erase_with(FailingInpainter(UnusableOutput()), asked)

    assert result.model == "patch"
    (notice,) = result.notices
    assert notice.code == "fell_back"
    assert "lama" in notice.message
    assert "patch" in notice.message
    filled = decode(result.encoded.data)
    assert (filled[~dot] == coffee[~dot]).all()
    assert (filled[dot] != coffee[dot]).any()


def test_auto_goes_on_with_the_next_best_where_a_model_cannot_be_had(erase_with):
    result = erase_with(FailingInpainter(ModelUnavailable()), "auto")

    assert result.model == "patch"
    assert [notice.code for notice in result.notices] == ["fell_back"]


def test_a_model_that_was_named_and_cannot_be_had_is_an_error(erase_with):
    with pytest.raises(ModelUnavailable, match="the reason"):
        erase_with(FailingInpainter(ModelUnavailable("the reason", "原因")), "lama")


def test_the_quick_models_alone_need_no_notice(erase_with):
    failing = FailingInpainter(UnusableOutput())

    result = erase_with(failing, "telea")

    assert result.model == "telea"
    assert result.notices == ()
    assert failing.calls == 0


def test_what_fell_back_is_not_kept(coffee_png, dot_png):
    kept = []

    class Keeper(NullCache):
        backend = "keeper"

        async def put(self, _key, result):
            kept.append(result.facts["model"])

    model = FailingInpainter(UnusableOutput())
    workers = Workers(threads=1)
    pool = LocalPool(workers, {**CATALOG, "lama": Entry(model.card, lambda _setup: model)})
    service = EraseService(pool, workers, cache=Keeper())
    for asked in ("lama", "patch"):
        options = EraseOptions(model=asked)
        asyncio.run(service.erase(LOCAL_OWNER, EraseRequest(coffee_png, dot_png, options)))
    workers.close()

    assert kept == ["patch"]
    assert model.calls == 1


class House:
    """A service whose `lama` is another model, asked with the deadlines of tests."""

    def __init__(self, entry: Entry, image: bytes, mask: bytes) -> None:
        self.workers = Workers(threads=2)
        self.pool = LocalPool(self.workers, {**CATALOG, "lama": entry})
        self._service = EraseService(self.pool, self.workers)
        self._picture = (image, mask)

    def erase(self, seconds: float | None = None):
        request = EraseRequest(*self._picture, EraseOptions(model="auto", effort=Effort.FAST))
        return asyncio.run(self._service.erase(LOCAL_OWNER, request, Watch(seconds)))


@pytest.fixture
def house_of(coffee_png, dot_png):
    houses = []

    def build(load) -> House:
        card = replace(SlowInpainter.card, id="lama", working_size=256)
        houses.append(House(Entry(card, load), coffee_png, dot_png))
        return houses[-1]

    yield build
    for house in houses:
        house.workers.close()


def test_auto_leaves_a_network_out_for_which_there_is_no_time(house_of):
    house = house_of(lambda _setup: SlowInpainter(1.5))

    assert house.erase(3.0).model == "patch"  # a class as slow as that takes longer, as far as anybody knows
    assert house.erase().model == "lama"
    assert house.erase(2.0).model == "patch"  # now it is known
    answer = house.erase(10.0)
    assert (answer.model, answer.notices) == ("lama", ())


def test_auto_says_once_that_a_model_failed_and_leaves_it_out_while_it_is_left_alone(house_of):
    loads = []

    def load(_setup):
        loads.append("lama")
        raise ValueError("no such key")

    house = house_of(load)
    answers = [house.erase() for _ in range(3)]

    assert [answer.model for answer in answers] == ["patch"] * 3
    assert [[notice.code for notice in answer.notices] for answer in answers] == [["fell_back"], [], []]
    assert loads == ["lama"]


def test_where_several_models_cannot_the_notice_names_the_one_that_filled(coffee_png, dot_png):
    workers = Workers(threads=1)
    failing = [FailingInpainter(ModelUnavailable(), name) for name in ("lama", "lama-onnx")]
    catalog = {
        **CATALOG,
        **{each.card.id: Entry(each.card, lambda _setup, each=each: each) for each in failing},
    }
    service = EraseService(LocalPool(workers, catalog), workers)
    result = asyncio.run(service.erase(LOCAL_OWNER, EraseRequest(coffee_png, dot_png)))
    workers.close()

    assert [each.calls for each in failing] == [1, 1]
    assert [notice.message for notice in result.notices] == [
        'The model "lama" could not do it, so "patch" filled the hole.'
    ]

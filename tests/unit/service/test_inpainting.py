"""Models in the places of others: when, which, and what the answer says."""

from __future__ import annotations

import asyncio

import pytest

from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.errors import ModelUnavailable, UnusableOutput
from magic_eraser.hosting.pool import LocalPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.entry import Entry
from magic_eraser.service.erase import EraseService
from magic_eraser.service.request import EraseOptions, EraseRequest


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

    class Keeper:
        async def get(self, *_):
            return None

        async def put(self, _tenant, _request, result):
            kept.append(result.model)

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

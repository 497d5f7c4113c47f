"""Networks and pictures of 12 megapixels: few calls, crops of a size that they can see, and every pixel filled."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import cv2
import numpy as np
import pytest

from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.hosting.pool import LocalPool
from magic_eraser.hosting.workers import Workers
from magic_eraser.imaging.layout import Layout
from magic_eraser.imaging.photo import Photo
from magic_eraser.models.entry import Entry
from magic_eraser.models.lama import LAMA_CARD
from magic_eraser.models.watch import Watch
from magic_eraser.service.erase import EraseService
from magic_eraser.service.request import EraseOptions, EraseRequest

CARD = replace(LAMA_CARD, weights=(), needs=(), isolated=False, detail=False)
SHAPE = (3000, 4000)
PAPER, INK = 200, 10


class PaperNetwork:
    """Stands for LaMa: takes as many crops at once, answers blank paper, and writes down their shapes."""

    card = CARD

    def __init__(self) -> None:
        self.calls: list[list[tuple[int, int]]] = []

    def inpaint_batch(self, images, holes, options, watch):
        self.calls.append([hole.shape for hole in holes])
        for done in range(5):
            watch.progress(done / 4)
        return [np.full_like(image, PAPER) for image in images]

    def close(self):
        return None


@pytest.fixture
def fill():
    """`fill(hole)`: what the network was given, what became of paper with ink in the hole, and the progress told."""

    def run(hole, card=CARD, shape=SHAPE):
        network, told = PaperNetwork(), []
        workers = Workers(threads=2)
        pool = LocalPool(workers, {card.id: Entry(card, lambda _setup: network)})
        samples = np.full((*shape, 3), PAPER, np.uint8)
        samples[hole] = INK
        photo = Photo(samples, Layout.RGB)
        request = EraseRequest(photo, hole, EraseOptions(model=card.id), output=None)
        try:
            result = asyncio.run(
                EraseService(pool, workers).erase(LOCAL_OWNER, request, Watch(60, told.append))
            )
        finally:
            workers.close()
        return network, result.photo.samples, told

    return run


def specks(count: int) -> np.ndarray:
    """Dust: bool, of 3 to 9 pixels across, anywhere."""
    rng = np.random.default_rng(11)
    mask = np.zeros(SHAPE, np.uint8)
    for _ in range(count):
        place = (int(rng.integers(SHAPE[1])), int(rng.integers(SHAPE[0])))
        cv2.circle(mask, place, int(rng.integers(1, 5)), 255, -1)
    return mask > 0


def disc(diameter: int, shape=SHAPE) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    cv2.circle(mask, (shape[1] // 2, shape[0] // 2), diameter // 2, 255, -1)
    return mask > 0


def assert_only_paper(samples) -> None:
    assert (samples == PAPER).all()


def test_five_hundred_specks_are_two_calls(fill):
    hole = specks(500)

    network, samples, _ = fill(hole)

    assert len(network.calls) <= 2
    assert max(len(call) for call in network.calls) <= CARD.batch
    assert_only_paper(samples)


@pytest.mark.parametrize("diameter", [300, 2500])
def test_one_hole_is_one_crop_of_a_size_that_the_network_can_see(fill, diameter):
    hole = disc(diameter)

    network, samples, _ = fill(hole)

    ((shape,),) = network.calls
    assert 256 <= max(shape) <= CARD.working_size
    assert_only_paper(samples)


def test_progress_never_goes_back(fill):
    hole = specks(60)
    hole |= disc(700)

    network, _, told = fill(hole)

    assert sum(len(call) for call in network.calls) > CARD.batch
    assert len(told) >= 5 * len(network.calls)
    assert told == sorted(told)
    assert told[-1] <= 1


def test_progress_never_goes_back_while_detail_is_restored(fill):
    shape = (600, 900)
    hole = disc(240, shape)
    hole[20:50, 20:60] = hole[-60:-20, -80:-30] = True

    network, _, told = fill(hole, replace(CARD, detail=True, working_size=256), shape)

    assert max(len(call) for call in network.calls) > 1
    assert told == sorted(told)

"""What every model promises: see `Inpainter`."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gap_watch import GapWatch
from magic_eraser.errors import Cancelled, DeadlineExceeded, InvalidMask
from magic_eraser.models.inpainter import Inpainter, InpaintOptions
from magic_eraser.models.patch import PatchInpainter
from magic_eraser.models.watch import Watch


@pytest.fixture(scope="module")
def clouds(texture):
    return texture(200, 260, grain=4.0)


@pytest.fixture(scope="module")
def hole(square_hole):
    return square_hole(200, 260, 60)


def test_it_is_an_inpainter_that_needs_no_weights():
    engine: Inpainter = PatchInpainter()
    assert engine.card.id == "patch"
    assert engine.card.licence == "Apache-2.0"
    assert engine.card.working_size is None
    engine.close()


def test_only_the_hole_changes(fill, clouds, hole):
    filled = fill(clouds, hole)
    assert filled.shape == clouds.shape
    assert filled.dtype == clouds.dtype
    assert (filled[~hole] == clouds[~hole]).all()


def test_the_input_is_not_written_to(fill, clouds, hole):
    image, mask = clouds.copy(), hole.copy()
    image.setflags(write=False)
    mask.setflags(write=False)
    fill(image, mask)
    assert (image == clouds).all()
    assert (mask == hole).all()


def test_hidden_pixels_do_not_matter(fill, clouds, hole):
    other = clouds.copy()
    other[hole] = 255
    assert (fill(clouds, hole) == fill(other, hole)).all()


def test_the_same_seed_gives_the_same_bytes(fill, clouds, hole):
    assert fill(clouds, hole, seed=7).tobytes() == fill(clouds, hole, seed=7).tobytes()


def test_another_seed_gives_a_variant(fill, clouds, hole):
    assert (fill(clouds, hole, seed=1) != fill(clouds, hole, seed=2)).any()


def test_threads_do_not_disturb_each_other(clouds, hole):
    engine = PatchInpainter()

    def run(seed):
        return engine.inpaint(clouds, hole, InpaintOptions(seed=seed), Watch()).tobytes()

    alone = [run(seed) for seed in (0, 1, 2)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(run, (0, 1, 2))) == alone


def test_an_empty_hole_gives_a_copy(fill, clouds):
    filled = fill(clouds, np.zeros((200, 260), bool))
    assert filled is not clouds
    assert (filled == clouds).all()


def test_a_hole_without_surroundings_is_refused_in_both_languages(fill, clouds):
    with pytest.raises(InvalidMask) as refused:
        fill(clouds, np.ones((200, 260), bool))
    assert "whole picture" in refused.value.detail
    assert "整张图片" in refused.value.detail_zh


def test_a_picture_that_is_a_window_into_another_is_read_right(fill, clouds, hole):
    wide = np.zeros((200, 520, 3), np.uint8)
    wide[:, ::2] = clouds
    assert (fill(wide[:, ::2], hole) == fill(clouds, hole)).all()


def test_progress_rises_to_one(clouds, hole):
    seen: list[float] = []
    PatchInpainter().inpaint(clouds, hole, InpaintOptions(), Watch(on_progress=seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 3


def test_a_cancelled_fill_stops_soon(texture, square_hole):
    watch = Watch()
    timer = threading.Timer(0.3, watch.cancel)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        PatchInpainter().inpaint(texture(512, 512), square_hole(512, 512, 380), InpaintOptions(), watch)
    timer.join()
    assert time.monotonic() - begun < 1.3  # 0.05 s on a quiet machine


def test_a_deadline_ends_the_fill(texture, square_hole):
    with pytest.raises(DeadlineExceeded):
        PatchInpainter().inpaint(texture(512, 512), square_hole(512, 512, 380), InpaintOptions(), Watch(0.2))


def test_it_looks_at_the_watch_often(texture, square_hole):
    watch = GapWatch()
    PatchInpainter().inpaint(texture(512, 512), square_hole(512, 512, 150), InpaintOptions(), watch)
    assert watch.longest < 0.5  # 0.05 s on a quiet machine

"""A model that is another server, with a real one at the other end of a real connection."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import numpy as np
import pytest

from iopaint_stand_in import iopaint_stand_in
from magic_eraser.errors import Cancelled, DeadlineExceeded, ModelUnavailable
from magic_eraser.models import remote
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.opencv import NavierStokesInpainter, TeleaInpainter
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch
from server_process import free_port


def contact(url: str) -> closing[remote.RemoteInpainter]:
    return closing(remote.load(Setup(), card=remote.card("there", "There", "Apache-2.0", url), url=url))


@pytest.fixture
def crop(coffee, dot):
    broken = coffee.copy()
    broken[dot] = (255, 0, 255)
    return broken, dot


@pytest.fixture
def iopaint():
    with iopaint_stand_in() as server:
        yield server


def assert_filled(out, coffee, dot):
    """The table goes on where the dot was, and nothing of the dot is left."""
    assert out.dtype == np.uint8
    assert out.shape == coffee.shape
    assert np.abs(out[dot].astype(int) - coffee[dot]).mean() < 12


def test_a_server_of_ours_fills_as_its_model_would_here(start, crop, coffee, dot):
    server = start()
    with contact(f"{server.url}#telea") as model:
        out = model.inpaint(*crop, InpaintOptions(), Watch(20))
    here = TeleaInpainter().inpaint(*crop, InpaintOptions(), Watch())
    assert_filled(out, coffee, dot)
    assert (out[dot] == here[dot]).all()


def test_a_server_of_ours_is_spoken_to_in_iopaints_way_where_that_is_asked_for(start, crop, coffee, dot):
    server = start(ERASER_MODELS__DEFAULT="ns")
    with contact(f"iopaint+{server.url}") as model:
        out = model.inpaint(*crop, InpaintOptions(radius=6), Watch(20))
    here = NavierStokesInpainter().inpaint(*crop, InpaintOptions(radius=6), Watch())
    assert_filled(out, coffee, dot)
    assert (out[dot] == here[dot]).all()


def test_a_cancelled_fill_is_cancelled_there_too(start, crop):
    server = start(slow=30)
    with contact(f"{server.url}#slow") as model:
        watch = Watch()
        threading.Timer(0.7, watch.cancel).start()
        with pytest.raises(Cancelled):
            model.inpaint(*crop, InpaintOptions(), watch)
        began = time.monotonic()
        while '"status": 499' not in server.log and time.monotonic() - began < 5:
            time.sleep(0.05)
        assert '"status": 499' in server.log


def test_the_time_left_goes_along(start, crop):
    server = start(slow=30)
    with contact(f"{server.url}#slow") as model, pytest.raises(DeadlineExceeded):
        model.inpaint(*crop, InpaintOptions(), Watch(1))


def test_a_server_that_lacks_the_model_says_what_it_has(start):
    server = start()
    with pytest.raises(ModelUnavailable, match="has no model nope; it has auto, patch"):
        contact(f"{server.url}#nope")


def test_a_server_that_comes_back_is_used_again(crop):
    with iopaint_stand_in() as first:
        model = remote.load(Setup(), card=remote.card("there", "There", "MIT", first.url), url=first.url)
    with closing(model):
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            model.inpaint(*crop, InpaintOptions(), Watch(1))
        with iopaint_stand_in(first.server_port) as second:
            model.inpaint(*crop, InpaintOptions(), Watch(20))
        assert len(second.asked) == 1


def test_nobody_at_the_address_is_said_so():
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        contact(f"http://127.0.0.1:{free_port()}")


def test_iopaint_is_recognised_and_fills(iopaint, crop, coffee, dot):
    with contact(f"{iopaint.url}#cv2") as model:
        out = model.inpaint(*crop, InpaintOptions(seed=9), Watch(20))
    assert_filled(out, coffee, dot)
    assert iopaint.asked[0]["sd_seed"] == 9
    assert (out[~dot] == coffee[~dot]).all()


def test_iopaint_hears_that_nobody_waits(iopaint, crop):
    with contact(iopaint.url) as model:
        iopaint.hold.clear()
        with pytest.raises(DeadlineExceeded):
            model.inpaint(*crop, InpaintOptions(), Watch(0.5))
        assert iopaint.left.wait(5)


def test_a_defect_of_iopaint_is_told_once(iopaint, crop):
    with contact(iopaint.url) as model:
        with pytest.raises(ModelUnavailable, match=r"answered 500: .*inpaintRadius"):
            model.inpaint(*crop, InpaintOptions(radius="wide"), Watch(20))
        assert len(iopaint.asked) == 1

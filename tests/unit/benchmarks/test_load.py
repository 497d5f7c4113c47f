"""What benchmarks/load.py and its clients say of a server."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bare_loop import erase
from load import percentiles, slope
from load_pictures import encoded, erase_requests, form, form_of, hole, photograph
from magic_eraser.models.opencv import TeleaInpainter

SIZE = (160, 120)


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_holes_differ_by_seed_and_are_the_same_by_the_same():
    first, second = (opened(hole(*SIZE, seed, across=30)) for seed in (1, 2))
    assert first.shape == SIZE[::-1]
    assert 0 < (first > 0).sum() < first.size / 4
    assert (first != second).any()
    assert (first == opened(hole(*SIZE, 1, across=30))).all()


def test_each_request_has_a_hole_of_its_own():
    requests = erase_requests("jpeg", 3, (480, 360), dilate="7")
    assert len(set(requests)) == 3
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/erase HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b'name="dilate"\r\n\r\n7\r\n' in body


def test_a_form_may_have_a_name_twice():
    assert form({"a": "1"}) == form_of([("a", "1")])
    assert form_of([("image", b"x"), ("image", b"y")]).count(b'name="image"; filename="image"') == 2


def test_the_bare_loop_erases():
    photo = photograph(*SIZE)
    mask = hole(*SIZE, 1, across=30)
    result = opened(erase(encoded(photo, "png"), mask, TeleaInpainter()))
    changed = (result != photo).any(axis=2)
    assert changed.any()
    assert not changed[opened(mask) == 0].any()


def test_growth_is_that_of_the_last_two_thirds():
    warm_up, flat = [50.0, 150.0, 200.0], [200.0] * 6
    assert slope(warm_up + flat) == 0
    assert slope([100 + second for second in range(60)]) == pytest.approx(60)
    assert slope([1.0]) == 0


def test_percentiles_are_of_all_answers():
    assert percentiles([k / 100 for k in range(101)]) == {"p50_seconds": 0.5, "p95_seconds": 0.95}

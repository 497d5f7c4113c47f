"""A fill looks at its watch often, and takes little room."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from gap_watch import GapWatch
from magic_eraser.models.patch.fill import fill
from magic_eraser.models.watch import Watch

SHAPES = {
    "a blob": np.s_[150:400, 130:420],
    "all but eight rows": np.s_[8:],
    "all but a frame": np.s_[20:-20, 20:-20],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_watch_is_looked_at_every_tenth_of_a_second(texture, shape):
    image = texture(512, 512)
    hole = np.zeros((512, 512), bool)
    hole[SHAPES[shape]] = True
    image[hole] = 0
    watch = GapWatch()
    begun = time.thread_time()
    fill(image, hole, np.random.default_rng(0), watch)
    watch.check()
    spent = (
        time.thread_time() - begun
    )  # of a blob 0.6 s, unless threads of the linear algebra wait for each other
    assert watch.longest < max(0.1, 0.2 * spent)


def test_a_fill_takes_at_most_200_bytes_a_pixel(texture, square_hole):
    image, hole = texture(512, 512), square_hole(512, 512, 200)
    image[hole] = 0
    tracemalloc.start()
    try:
        fill(image, hole, np.random.default_rng(0), Watch())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 * hole.size

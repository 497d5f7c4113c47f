"""How much work a fill may do, and what comes out when time is short."""

from __future__ import annotations

import pytest

from magic_eraser.models.inpainter import Effort, InpaintOptions
from magic_eraser.models.patch import PatchInpainter
from magic_eraser.models.watch import Watch


class Hurried(Watch):
    """In a hurry once a share of the work is done."""

    def __init__(self, after):
        super().__init__()
        self._after, self._done = after, 0.0

    def hurry(self):
        return self._done >= self._after

    def progress(self, fraction):
        super().progress(fraction)
        self._done = max(self._done, fraction)


def inpaint(image, hole, watch=None, **options):
    return PatchInpainter().inpaint(image, hole, InpaintOptions(**options), watch or Watch())


@pytest.fixture
def scene(texture, square_hole):
    image, hole = texture(260, 260), square_hole(260, 260, 110)
    image[hole] = 0
    return image, hole


class Counted(Watch):
    """Counts the pieces of work between which it is looked at."""

    pieces = 0

    def check(self):
        super().check()
        self.pieces += 1


def test_more_effort_is_more_work_and_each_gives_another_fill(scene):
    fills, pieces = [], []
    for effort in Effort:
        watch = Counted()
        fills.append(inpaint(*scene, watch, effort=effort))
        pieces.append(watch.pieces)
    assert pieces == sorted(pieces)
    assert pieces[2] > 1.5 * pieces[0]
    assert (fills[0] != fills[1]).any()
    assert (fills[1] != fills[2]).any()
    for filled in fills:
        assert (filled[~scene[1]] == scene[0][~scene[1]]).all()


@pytest.mark.parametrize("after", [0.0, 0.1, 0.2])
def test_in_a_hurry_a_coarser_level_is_what_comes_out(scene, after):
    image, hole = scene
    watch = Hurried(after)
    rough = inpaint(image, hole, watch, rough_when_late=True)
    assert watch.rough
    assert (rough[hole] > 0).any(1).all()  # nothing is left open
    whole = inpaint(image, hole)
    assert (rough != whole).any()
    # still of the same stuff: mean and contrast as around it
    assert abs(rough[hole].mean() - image[~hole].mean()) < 10
    assert rough[hole].std() > 0.7 * image[~hole].std()


def test_without_the_callers_leave_hurry_changes_nothing(scene):
    watch = Hurried(0.0)
    assert (inpaint(*scene, watch) == inpaint(*scene)).all()
    assert not watch.rough

"""What stands round most of the hole goes on inside it."""

from __future__ import annotations

import numpy as np
import pytest

from magic_eraser.models.patch.contours import trace
from magic_eraser.models.patch.features import describe
from magic_eraser.models.patch.guide import predict
from magic_eraser.models.patch.joins import join
from magic_eraser.models.patch.pyramid import build, depth_of
from magic_eraser.models.watch import Watch


def guide_of(image, hole, with_curves=False):
    shown = image.copy()
    shown[hole] = 0
    levels = build(describe(shown, hole, 2 ** (depth_of(hole) - 1)), hole)
    curves = join(trace(shown, hole), hole) if with_curves else []
    assert bool(curves) == with_curves
    return predict(levels, curves, Watch()), levels


def path():
    """A plain path between checks that cross it at its far end; the hole is the path's middle."""
    y, x = np.mgrid[:256, :256]
    image = np.repeat((60 + 130 * ((y // 16 + x // 16) % 2))[..., None], 3, 2).astype(np.uint8)
    image[64:, 60:196] = (150, 148, 140)
    hole = np.zeros((256, 256), bool)
    hole[64:, 90:166] = True
    return image, hole


def test_a_plain_path_is_trusted_to_be_plain():
    guide, levels = guide_of(*path())
    mean, trust = guide.at(levels[0])
    middle = slice(120, 250), slice(110, 146)
    assert trust[middle].min() > 0.9
    assert np.ptp(mean[middle][..., 0]) < 4


def test_checks_do_not_run_down_a_plain_path(fill):
    image, hole = path()
    shown = image.copy()
    shown[hole] = 0
    out = fill(shown, hole).astype(int)
    assert (np.abs(out - (150, 148, 140)).max(2) > 30)[110:, 90:166].mean() < 0.02


def test_a_restless_border_is_not_trusted():
    rng = np.random.default_rng(1)
    image = np.repeat(rng.integers(0, 2, (64, 64, 3)) * 200 + 20, 4, 0).repeat(4, 1).astype(np.uint8)
    hole = np.zeros((256, 256), bool)
    hole[90:170, 90:170] = True
    guide, _ = guide_of(image, hole)
    assert guide.trust.max() < 0.2


def test_two_halves_are_not_trusted_where_they_meet_and_are_not_mixed():
    image = np.zeros((256, 256, 3), np.uint8)
    image[:, :128], image[:, 128:] = (40, 60, 160), (190, 170, 60)
    hole = np.zeros((256, 256), bool)
    hole[96:160, 80:176] = True
    guide, levels = guide_of(image, hole)
    mean, trust = guide.at(levels[-1])
    light = mean[..., 0][levels[-1].hole]
    pure = [mean[0, 0, 0], mean[0, -1, 0]]
    assert np.abs(light[:, None] - pure).min(1).max() < 12
    centre = trust.shape[1] // 2
    assert trust[trust.shape[0] // 2, centre - 1 : centre + 1].max() < 0.3


def test_nothing_diffuses_through_a_curve():
    y, x = np.mgrid[:256, :256]
    image = np.zeros((256, 256, 3), np.uint8)
    image[:] = (40, 60, 160)
    image[y > 100 + 0.15 * x] = (190, 170, 60)
    hole = np.zeros((256, 256), bool)
    hole[90:200, 90:170] = True
    guide, _ = guide_of(image, hole, with_curves=True)
    scale = 256 / guide.trust.shape[0]
    rows, columns = np.nonzero(guide.trust)
    beneath = (rows + 0.5) * scale - 0.5 - 100 - 0.15 * ((columns + 0.5) * scale - 0.5)
    clear = np.abs(beneath) > scale
    below, light = beneath[clear] > 0, guide.mean[rows, columns, 0][clear]
    assert light[below].min() > light[~below].max()
    assert guide.trust[guide.trust > 0].min() > 0.9


@pytest.mark.parametrize("at", [0, 1, 2])
def test_outside_the_hole_there_is_no_trust(at):
    guide, levels = guide_of(*path())
    level = levels[min(at, len(levels) - 1)]
    mean, trust = guide.at(level)
    assert not trust[~level.hole].any()
    assert mean.shape == (*level.hole.shape, 5)
    assert np.isfinite(mean).all()

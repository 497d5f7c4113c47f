"""Numbers of patches, and the search by them."""

from __future__ import annotations

import numpy as np
import pytest

from magic_eraser.models.patch.components import bases, project
from magic_eraser.models.patch.features import describe
from magic_eraser.models.patch.match import Matcher
from magic_eraser.models.patch.parallel import Crew
from magic_eraser.models.patch.project import FINENESS, HEAD, LARGEST, Projector
from magic_eraser.models.patch.pyramid import level_of
from magic_eraser.models.patch.rarity import NOTHING_LEARNED
from magic_eraser.models.patch.vote import Ballot
from magic_eraser.models.patch.windows import patches_at, windows
from magic_eraser.models.watch import Watch


@pytest.fixture
def level(texture, square_hole):
    image, hole = texture(90, 110), square_hole(90, 110, 24)
    found = level_of(describe(image, hole, 3), hole)
    flat = found.features.reshape(-1, found.features.shape[2])
    flat[found.hole_at] = flat[found.source_at()].mean(0) + np.random.default_rng(0).normal(
        0, 9, (24 * 24, 5)
    )
    return found


@pytest.fixture
def matcher(level):
    rng, crew = np.random.default_rng(1), Crew(1, Watch())
    return Matcher(level, NOTHING_LEARNED, Projector(level, 32, 12, 1000, rng, crew), rng, crew)


def test_numbers_never_tell_more_than_the_patches_differ_by(level):
    patches = patches_at(windows(level.features), level.source_at()[::3], level.stride)
    numbers = project(patches, *bases(patches, 32, 12))
    near = ((numbers[1:] - numbers[:-1]) ** 2).sum(1)
    true = ((patches[1:] - patches[:-1]) ** 2).sum(1) / 49
    assert (near <= true * 1.001).all()
    assert near.sum() > 0.8 * true.sum()


def test_numbers_in_bulk_are_those_of_each_patch(level):
    rng, crew = np.random.default_rng(1), Crew(1, Watch())
    projector = Projector(level, 32, 12, 1000, rng, crew)
    at = level.source_at()
    chosen = np.random.default_rng(1).choice(at, 1000, replace=False)
    basis = bases(patches_at(windows(level.features), chosen, level.stride), 32, 12)
    head, tail = projector.sources()
    expected = project(patches_at(windows(level.features), at, level.stride), *basis) * FINENESS
    assert np.abs(np.concatenate([head[at], tail[at]], 1) - expected).max() <= 0.6
    assert (head[~level.sources] == LARGEST).all()
    level.features.reshape(-1, 5)[level.hole_at] += 7
    level.extend_border()
    head, tail = projector.targets()
    expected = project(patches_at(windows(level.features), level.targets, level.stride), *basis) * FINENESS
    assert np.allclose(np.concatenate([head, tail], 1), expected, atol=0.1)
    assert head.shape[1] == HEAD


def test_a_sweep_only_lowers_costs_and_tells_them_truly(level, matcher):
    at = level.source_at()
    matcher.assign(np.random.default_rng(2).choice(at, len(level.targets)))
    before = matcher.cost.copy()
    for _ in range(3):
        matcher.sweep(thin_search=False)
    assert (matcher.cost <= before).all()
    assert matcher.cost[:-1].mean() < 0.5 * before[:-1].mean()
    assert level.sources[matcher.nearest[:-1]].all()
    cost, place = matcher.cost.copy(), matcher.place.copy()
    matcher.assign(matcher.nearest[:-1].copy())
    assert matcher.cost == pytest.approx(cost, rel=1e-4, abs=1e-2)
    assert matcher.place == pytest.approx(place, rel=1e-4, abs=1e-2)


def test_the_exhaustive_search_beats_any_other(matcher, level):
    matcher.exhaust()
    best = matcher.cost[:-1].copy()
    matcher.sweep(thin_search=False)
    assert matcher.cost[:-1] == pytest.approx(best, rel=1e-3, abs=0.05)


def test_a_pixel_whose_patches_agree_gets_what_they_copy(level, matcher):
    offset = 31  # columns: sources right of the hole
    assert level.sources[level.targets + offset].all()
    matcher.assign(level.targets + offset)
    ballot = Ballot(level, Crew(1, Watch()))
    assert ballot.count(matcher) > 0
    flat = level.features.reshape(-1, 5)
    assert np.allclose(flat[level.hole_at], flat[level.hole_at + offset], atol=0.02)
    assert (ballot.elect(matcher) == level.hole_at + offset).all()

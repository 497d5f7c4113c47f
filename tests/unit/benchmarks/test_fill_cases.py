"""The pictures and holes of benchmarks/engine.py."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import hole_shapes
from contact_sheet import write_sheets
from fill_cases import move, skimage_cases
from fill_report import against, summary, tables

SHAPE = (300, 400)


def test_moved_holes_keep_off_the_thing_and_differ_by_seed(spoon):
    first, second = (move(spoon, np.random.default_rng(seed)) for seed in (1, 2))
    for moved in (first, second):
        assert not (moved & spoon).any()
        assert 0.6**2 * 0.9 < moved.sum() / spoon.sum() < 1.05
    assert (first != second).any()
    assert (first == move(spoon, np.random.default_rng(1))).all()


def test_a_hole_that_fills_its_picture_moves_nowhere():
    assert move(np.ones(SHAPE, np.bool_), np.random.default_rng(0)) is None


def test_every_case_has_a_hole_and_something_known():
    cases = list(skimage_cases())
    assert len({case.key for case in cases}) == len(cases) == 22
    for case in cases:
        picture = case.build()
        assert picture.hole.shape == picture.image.shape[:2]
        assert 0 < picture.hole.mean() < 0.3


@pytest.mark.parametrize(
    "hole",
    [
        hole_shapes.specks(SHAPE, np.random.default_rng(0), count=50),
        hole_shapes.scratch_groups(SHAPE, np.random.default_rng(0), groups=2, side=100),
        hole_shapes.wires(SHAPE),
        hole_shapes.text(SHAPE, scale=0.5, thickness=1),
    ],
)
def test_thin_holes_are_thin(hole):
    assert 0 < hole.mean() < 0.2
    assert np.median(cv2.distanceTransform(hole.view(np.uint8), cv2.DIST_L2, 5)[hole]) < 3


def test_a_blob_is_as_wide_as_asked():
    blob = hole_shapes.blob(SHAPE, (200, 150), 120, np.random.default_rng(3))
    assert max(cv2.boundingRect(blob.view(np.uint8))[2:]) == pytest.approx(120, abs=2)


def test_sheets_show_every_fill_whole_and_near(tmp_path, coffee, dot):
    write_sheets(tmp_path / "cup", coffee, dot, {"a": coffee, "b": coffee, "c": coffee})
    whole, near = (cv2.imread(str(tmp_path / name)) for name in ("cup.png", "cup-near.png"))
    assert whole.shape[0] > 2 * coffee.shape[0]
    assert whole.shape[1] > 3 * coffee.shape[1]
    assert near is not None


def test_reports_sum_by_method_and_compare_pairs():
    rows = [
        {"set": "moved", "case": str(n), "truth": True, "method": "patch", "seed": 0, "swd": n, "cpu": 1.0}
        for n in range(4)
    ]
    failed = {**rows[0], "case": "x", "error": "ValueError: no"}
    failed.pop("swd")
    (summed,) = summary([*rows, failed])
    assert (summed["fills"], summed["failed"], summed["swd"], summed["swd_median"]) == (5, 1, 1.5, 1.5)
    assert "ValueError: no" in tables([*rows, failed])
    earlier = [{**row, "swd": row["swd"] + 1, "cpu": 2.0} for row in rows]
    assert "| moved | patch | 4 | 0.5 |  |  | -1.000 ± 0.000 |  |" in against(rows, earlier)

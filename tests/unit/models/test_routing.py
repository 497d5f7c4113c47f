"""What "auto" does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from magic_eraser.models.card import Speed
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.routing import assumed_seconds, instead_of, plan
from magic_eraser.models.watch import Watch


def free(model: str, hole: np.ndarray) -> float:
    return 0.0


def scratch() -> np.ndarray:
    mask = np.zeros((300, 400), np.uint8)
    cv2.line(mask, (10, 20), (380, 250), 1, 2)
    cv2.line(mask, (10, 250), (380, 20), 1, 2)
    return mask > 0


def blob() -> np.ndarray:
    mask = np.zeros((300, 400), np.uint8)
    cv2.circle(mask, (200, 60), 30, 1, -1)
    return mask > 0


def test_thin_holes_go_to_the_pde():
    (step,) = plan(scratch(), CATALOG.keys(), Watch(), free)

    assert (step.model, step.thin) == ("telea", True)
    assert (step.hole == scratch()).all()


def test_an_object_goes_to_the_best_model():
    (step,) = plan(blob(), CATALOG.keys(), Watch(), free)

    assert (step.model, step.thin) == ("lama", False)


def test_an_object_beside_a_scratch_is_divided_and_the_rest_comes_last():
    first, second = plan(blob() | scratch(), CATALOG.keys(), Watch(), free)

    assert (first.model, first.thin) == ("telea", True)
    assert (second.model, second.thin) == ("lama", False)
    assert (first.hole == scratch()).all()
    assert (second.hole == blob()).all()


def test_what_is_not_there_is_not_chosen():
    assert [step.model for step in plan(scratch(), {"patch"}, Watch(), free)] == ["patch"]
    assert [step.model for step in plan(scratch(), {"ns", "patch"}, Watch(), free)] == ["ns"]
    assert [step.model for step in plan(blob(), {"ns"}, Watch(), free)] == ["ns"]


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))).filter(np.any),
    st.sets(st.sampled_from(["patch", "telea", "ns"]), min_size=1),
)
def test_every_hole_pixel_has_exactly_one_step(hole, present):
    steps = plan(hole, present, Watch(), free)

    assert (sum(step.hole.astype(int) for step in steps) == hole).all()
    assert all(step.model in present and step.hole.any() for step in steps)


def torn() -> np.ndarray:
    """Most of the picture is gone."""
    mask = np.ones((300, 400), bool)
    mask[100:200, 50:120] = mask[:60, 200:320] = False
    return mask


@pytest.mark.parametrize(
    ("present", "amid", "scarce"),
    [
        ({"patch", "lama", "migan", "mat", "ldm"}, "lama", "lama"),
        ({"patch", "lama-onnx", "migan-onnx"}, "lama-onnx", "lama-onnx"),
        ({"patch", "migan"}, "patch", "migan"),
        ({"patch", "migan-onnx", "telea"}, "patch", "migan-onnx"),
        ({"patch", "mat", "ldm", "mine"}, "patch", "patch"),
    ],
)
def test_a_network_comes_before_copies_and_a_quick_one_where_there_is_little_to_copy(present, amid, scarce):
    assert plan(blob(), present, Watch(), free)[-1].model == amid
    assert plan(torn(), present, Watch(), free)[-1].model == scarce


NETWORKS = {"lama": 5.0, "lama-onnx": 3.0, "migan": 1.0, "migan-onnx": 0.5}


@pytest.mark.parametrize(
    ("seconds", "present", "amid", "scarce"),
    [
        (None, {*NETWORKS, "patch", "telea"}, "lama", "lama"),
        (9.0, {*NETWORKS, "patch", "telea"}, "lama", "lama"),
        (6.0, {*NETWORKS, "patch", "telea"}, "lama-onnx", "lama-onnx"),
        (4.0, {*NETWORKS, "patch", "telea"}, "patch", "migan"),
        (0.5, {*NETWORKS, "patch", "telea"}, "patch", "patch"),
        (0.5, {"patch", "telea"}, "patch", "patch"),
        (1.0, {*NETWORKS}, "migan-onnx", "migan-onnx"),
        (0.1, {*NETWORKS}, "migan-onnx", "migan-onnx"),
        (0.1, {"lama"}, "lama", "lama"),
    ],
)
def test_a_network_is_chosen_only_where_there_is_time_for_it_or_nothing_else(seconds, present, amid, scarce):
    def cost(model: str, hole: np.ndarray) -> float:
        return NETWORKS[model]  # and a KeyError for the others, which are not to be asked about

    assert plan(blob(), present, Watch(seconds), cost)[-1].model == amid
    assert plan(torn(), present, Watch(seconds), cost)[-1].model == scarce


def test_the_cost_is_of_the_part_that_the_network_would_fill():
    asked = []

    def cost(model: str, hole: np.ndarray) -> float:
        asked.append((model, hole))
        return 0.0

    plan(blob() | scratch(), {"lama", "patch", "telea"}, Watch(10), cost)
    ((model, hole),) = asked
    assert model == "lama"
    assert (hole == blob()).all()


def test_without_a_measurement_the_class_tells():
    assert assumed_seconds(Speed.FAST, 512 * 512, in_memory=True) == 1.0
    assert assumed_seconds(Speed.MODERATE, 2 * 512 * 512, in_memory=True) == 8.0
    assert assumed_seconds(Speed.MODERATE, 512 * 512, in_memory=False) == 7.0


@pytest.mark.parametrize(
    ("model", "present", "others"),
    [
        ("lama", ["patch", "lama", "migan", "telea", "ns"], ["patch", "migan", "telea", "ns"]),
        ("mine", ["lama", "mine", "patch", "telea"], ["patch", "telea"]),
        ("patch", ["patch", "telea", "ns"], ["telea", "ns"]),
        ("ns", ["patch", "ns"], []),
    ],
)
def test_what_may_fill_in_for_a_model(model, present, others):
    assert list(instead_of(model, present)) == others

"""What "auto" picks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.routing import choose, is_thin


def canvas() -> np.ndarray:
    return np.zeros((300, 400), np.uint8)


def scratch() -> np.ndarray:
    mask = canvas()
    cv2.line(mask, (10, 20), (380, 250), 1, 3)
    cv2.line(mask, (10, 250), (380, 20), 1, 3)
    return mask > 0


def specks() -> np.ndarray:
    mask = canvas()
    for y, x in np.random.default_rng(1).integers(10, 290, (60, 2)):
        cv2.circle(mask, (int(x), int(y)), 1, 1, -1)
    return mask > 0


def blob() -> np.ndarray:
    mask = canvas()
    cv2.circle(mask, (200, 150), 40, 1, -1)
    return mask > 0


@pytest.mark.parametrize("thin", [scratch(), specks()], ids=["crossing scratches", "specks"])
def test_thin_holes_go_to_the_pde(thin):
    assert is_thin(thin)
    assert choose(thin, CATALOG.keys()) == "telea"


def test_an_object_goes_to_the_patches():
    assert choose(blob(), CATALOG.keys()) == "patch"


def test_an_object_beside_a_scratch_goes_to_the_patches():
    assert choose(blob() | scratch(), CATALOG.keys()) == "patch"


def test_a_thin_hole_at_the_edge_of_the_picture_is_thin():
    mask = canvas()
    mask[:, :3] = 1

    assert is_thin(mask > 0)


def test_what_is_not_there_is_not_chosen():
    assert choose(scratch(), {"patch"}) == "patch"
    assert choose(blob(), {"ns"}) == "ns"

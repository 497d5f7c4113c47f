"""What may be asked for: one set of ranges for every door."""

from __future__ import annotations

import numpy as np
import pytest

from magic_eraser.errors import ValidationFailed
from magic_eraser.models.inpainter import Effort
from magic_eraser.service.request import EraseOptions


@pytest.mark.parametrize(
    "wrong",
    [
        {"dilate": -1},
        {"dilate": 201},
        {"dilate": 1.5},
        {"dilate": "3"},
        {"dilate": "Auto"},
        {"dilate": True},
        {"dilate": None},
        {"feather": 201},
        {"feather": "auto"},
        {"seed": -1},
        {"seed": 2**32},
        {"radius": 0},
        {"effort": "most"},
        {"effort": None},
        {"effort": []},
    ],
    ids=str,
)
def test_a_value_out_of_its_range_is_a_typed_error_that_names_it(wrong):
    with pytest.raises(ValidationFailed) as caught:
        EraseOptions(**wrong)
    (name,) = wrong
    assert caught.value.detail.startswith(f"{name} is ")
    assert name in caught.value.detail_zh
    assert caught.value.extra["errors"][0]["pointer"] == f"/{name}"


def test_the_edges_of_every_range_are_taken():
    for options in (
        {"dilate": 0, "feather": 0, "seed": 0, "radius": 1},
        {"dilate": 200, "feather": 200, "seed": 2**32 - 1, "radius": 64},
    ):
        assert EraseOptions(**options).dilate == options["dilate"]
    assert EraseOptions(dilate="auto").dilate == "auto"


def test_numpys_numbers_and_the_names_of_efforts_become_their_own_kind():
    options = EraseOptions(dilate=np.uint8(200), feather=np.int64(3), effort="best")
    assert (type(options.dilate), type(options.feather)) == (int, int)
    assert options.effort is Effort.BEST
    assert options == EraseOptions(dilate=200, feather=3, effort=Effort.BEST)

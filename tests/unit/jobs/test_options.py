"""What is asked for, as it lies in a row."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.errors import ValidationFailed
from magic_eraser.jobs.options import from_json, to_json
from magic_eraser.models.inpainter import Effort, Sampler
from magic_eraser.service.request import EraseOptions, Keeping, OutputOptions

erase_options = st.builds(
    EraseOptions,
    model=st.sampled_from(["auto", "patch", "ldm"]),
    dilate=st.one_of(st.just("auto"), st.integers(0, 200)),
    feather=st.integers(0, 200),
    seed=st.integers(0, 2**32 - 1),
    radius=st.integers(1, 64),
    effort=st.sampled_from(Effort),
    rough_when_late=st.booleans(),
    steps=st.one_of(st.none(), st.integers(1, 1000)),
    sampler=st.sampled_from(Sampler),
    prompt=st.text(max_size=1000),
    negative_prompt=st.text(max_size=20),
)
output_options = st.builds(
    OutputOptions,
    format=st.sampled_from(["same", "png", "jpeg"]),
    quality=st.one_of(st.none(), st.integers(1, 100)),
)


@given(erase_options, output_options)
def test_options_come_back_from_json_as_they_were(erase, output):
    kept = json.loads(json.dumps(to_json(erase, output)))
    assert from_json(kept) == (erase, output, Keeping.ALLOWED)


def test_every_option_is_kept():
    kept = to_json(EraseOptions(), OutputOptions())
    assert set(kept["erase"]) == {field.name for field in fields(EraseOptions)}
    assert set(kept["output"]) == {field.name for field in fields(OutputOptions)}


def test_options_of_an_older_version_have_todays_defaults_for_the_rest():
    assert from_json({"erase": {"model": "telea"}, "output": {}}) == (
        EraseOptions(model="telea"),
        OutputOptions(),
        Keeping.ALLOWED,
    )


def test_an_option_of_a_later_version_is_refused():
    with pytest.raises(TypeError, match="sharpen"):
        from_json({"erase": {"sharpen": 1}, "output": {}})


def test_values_are_checked_again():
    with pytest.raises(ValidationFailed):
        from_json({"erase": {"dilate": 10**6}, "output": {}})


def test_what_the_cache_may_do_is_kept():
    kept = json.loads(json.dumps(to_json(EraseOptions(), OutputOptions(), Keeping.FORBIDDEN)))
    assert from_json(kept)[2] is Keeping.FORBIDDEN

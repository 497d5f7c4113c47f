"""Jobs and items as the rooms above see them."""

from __future__ import annotations

import re

import pytest

from magic_eraser.jobs.job import Item, Job
from magic_eraser.jobs.store import new_id
from magic_eraser.jobs.tables import ItemState, JobState


def item(state: ItemState) -> Item:
    nothing = dict.fromkeys(
        ("sequence", "error_code", "error", "error_zh", "result_blob", "format", "width", "height", "model")
    )
    return Item(index=0, name="a.png", state=state, attempts=0, seconds=None, notices=(), **nothing)


@pytest.mark.parametrize(
    ("state", "success"),
    [
        (ItemState.QUEUED, None),
        (ItemState.LEASED, None),
        (ItemState.SUCCEEDED, True),
        (ItemState.FAILED, False),
        (ItemState.CANCELLED, False),
    ],
)
def test_success_is_unknown_while_an_item_is_open(state, success):
    assert item(state).success is success


@pytest.mark.parametrize("state", JobState)
def test_a_job_is_over_in_three_of_its_states(state):
    job = Job("id", "tenant", state, 1, 0, 0, 0, 0.0, None, None)
    assert job.over == (state in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


def test_ids_are_names_of_folders_and_cannot_be_guessed():
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", name) for name in ids)

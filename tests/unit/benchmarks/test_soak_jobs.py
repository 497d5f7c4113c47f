"""What the soak says of a job that is over."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from soak_jobs import judge
from soak_ledger import Accepted, Ledger


@pytest.fixture
def client():
    return SimpleNamespace(ledger=Ledger())


def state(*success, name="succeeded"):
    items = [
        {"index": k, "success": each, "error": None if each else "why"} for k, each in enumerate(success)
    ]
    return {"state": name, "items": items}


def test_a_whole_job_passes(client):
    seen = judge(Accepted("j", 3, "sqlite"), state(True, True, True), client)
    assert seen == {"state": "succeeded", "succeeded": 3}
    assert client.ledger.wrong == []


def test_the_first_item_may_fail_for_its_picture_is_sometimes_none(client):
    assert judge(Accepted("j", 2, "sqlite"), state(False, True, name="failed"), client)["succeeded"] == 1
    assert client.ledger.wrong == []


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (state(True, True), "2 items of 3"),
        (state(True, None, True), "with items open"),
        (state(True, True, True, name="running"), "with items open"),
        (state(True, False, True, name="failed"), "item 1: why"),
    ],
)
def test_what_is_missing_open_or_failed_without_cause_is_told(client, found, complaint):
    judge(Accepted("j", 3, "sqlite"), found, client)
    assert complaint in client.ledger.wrong[0]


def test_items_of_a_cancelled_job_need_no_result(client):
    judge(Accepted("j", 2, "sqlite", cancelled=True), state(True, False, name="cancelled"), client)
    assert client.ledger.wrong == []

"""A house on each database: `async with open_house(...) as house`."""

from __future__ import annotations

from functools import partial

import pytest

from jobs_house import house


@pytest.fixture
def open_house(database_url, tmp_path):
    return partial(house, database_url, tmp_path)

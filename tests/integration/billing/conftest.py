"""`open_house()`: see `billing_house`."""

from __future__ import annotations

from functools import partial

import pytest

from billing_house import house


@pytest.fixture
def open_house(database_url):
    return partial(house, database_url)

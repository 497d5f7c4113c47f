"""`open_house()`: see `billing_house`; `open_subscriptions()`: see `subscription_house`."""

from __future__ import annotations

from functools import partial

import pytest

import subscription_house
from billing_house import house


@pytest.fixture
def open_house(database_url):
    return partial(house, database_url)


@pytest.fixture
def open_subscriptions(database_url):
    """`async with open_subscriptions(provider=..., grace_days=...) as house`: see `subscription_house`."""
    return partial(subscription_house.house, database_url)

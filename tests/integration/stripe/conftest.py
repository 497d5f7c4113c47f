"""`stripe`: a stand-in for Stripe; `open_house(**options)`: a server that is paid through it, see `stripe_house`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from stripe_house import PRICES, house
from stripe_stand_in import StripeStandIn


@pytest.fixture
def stripe() -> Iterator[StripeStandIn]:
    with StripeStandIn(dict(PRICES)) as stripe:
        yield stripe


@pytest.fixture
def open_house(database_url, stripe):
    return partial(house, database_url, stripe)

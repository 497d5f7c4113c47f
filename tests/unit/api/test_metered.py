"""What an answer says about the rate."""

from __future__ import annotations

from magic_eraser.accounts.plans import Plan
from magic_eraser.api.metered import rate_headers
from magic_eraser.billing.quota import Reservation
from magic_eraser.service.rates import Rate


def test_headers_are_structured_fields_with_a_string_for_a_name():
    assert rate_headers(Rate(quota=100, window=60, remaining=50, reset=30, allowed=True)) == {
        "RateLimit": '"default";r=50;t=30',
        "RateLimit-Policy": '"default";q=100;w=60',
    }


def test_a_charged_call_tells_how_many_are_left_by_the_clock_of_the_database():
    plan = Plan("basic", "Basic", "基础版", 0, 100, 0, features=frozenset(), models=frozenset())
    held = Reservation("r", 1, plan=plan, left=41, resets_at=1.0, resets_in=59.2)
    assert rate_headers(None, held) == {
        "RateLimit": '"daily";r=41;t=60',
        "RateLimit-Policy": '"daily";q=100;w=86400',
    }

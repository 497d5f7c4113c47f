"""What an answer says about the rate."""

from __future__ import annotations

from magic_eraser.api.metered import rate_headers
from magic_eraser.service.rates import Rate


def test_headers_are_structured_fields_with_a_string_for_a_name():
    assert rate_headers(Rate(quota=100, window=60, remaining=50, reset=30, allowed=True)) == {
        "RateLimit": '"default";r=50;t=30',
        "RateLimit-Policy": '"default";q=100;w=60',
    }

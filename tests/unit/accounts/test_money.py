"""Amounts: exact both ways, and nothing else is one."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.accounts.money import MOST, parse, to_text


@pytest.mark.parametrize(
    ("text", "millicents"),
    [
        ("0", 0),
        ("0.10", 10_000),
        ("29", 2_900_000),
        ("29.00", 2_900_000),
        ("0.00001", 1),
        ("0.1000000000", 10_000),
    ],
)
def test_a_decimal_is_whole_milli_cents(text, millicents):
    assert parse(text) == millicents


@pytest.mark.parametrize(
    ("millicents", "text"),
    [
        (0, "0.00"),
        (10_000, "0.10"),
        (1, "0.00001"),
        (-150_000, "-1.50"),
        (2_900_000, "29.00"),
        (10**8, "1000.00"),
    ],
)
def test_two_places_at_least_and_no_more_than_there_are(millicents, text):
    assert to_text(millicents) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 ",
        "+1",
        "1e2",
        "1e999999999",
        "1_0",
        "٣",
        "NaN",
        "Infinity",
        ".5",
        "5.",
        "1,5",
        "--1",
        "1" * 17,
        "0x1",
    ],
)
def test_anything_else_is_no_amount(text):
    with pytest.raises(ValueError, match="not an amount"):
        parse(text)


@pytest.mark.parametrize("text", ["-1", "-0.01", "10000000001", "0.000001"])
def test_neither_is_one_below_nothing_too_large_or_too_fine(text):
    with pytest.raises(ValueError, match=r"not an amount from 0|finer than"):
        parse(text)


@given(st.integers(0, MOST))
def test_there_and_back(millicents):
    assert parse(to_text(millicents)) == millicents


@given(st.integers(-MOST, MOST))
def test_the_text_is_the_amount(millicents):
    assert Decimal(to_text(millicents)) == Decimal(millicents) / 100_000


@given(st.text(max_size=12))
def test_no_text_is_a_surprise(text):
    with contextlib.suppress(ValueError):
        assert 0 <= parse(text) <= MOST

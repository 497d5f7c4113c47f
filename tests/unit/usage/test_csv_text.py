"""Tables as CSV: whole, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.usage.csv_text import csv_text


def back(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    "name",
    ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "-", '=HYPERLINK("http://x","y")', "-1.5\n=1"],
)
def test_what_looks_like_a_formula_becomes_a_text(name):
    assert back(csv_text(["name"], [[name]])) == [["name"], [f"'{name}"]]


@pytest.mark.parametrize("value", [-1, "-1.50", "0.10", 3, "2026-11-24", "token", ""])
def test_numbers_days_and_names_stay_as_they_are(value):
    assert back(csv_text(["a", "b"], [[value, 1]]))[1] == [str(value), "1"]


def test_nothing_is_an_empty_cell_and_lines_end_as_the_standard_says():
    assert csv_text(["a", "b"], [[None, "x,y"]]) == 'a,b\r\n,"x,y"\r\n'


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.integers())))
def test_no_text_is_lost_and_none_begins_a_formula(rows):
    found = back(csv_text(["a", "b"], rows))[1:]
    assert len(found) == len(rows)
    for (text, number), (cell, count) in zip(rows, found, strict=True):
        assert cell in (text, f"'{text}")
        assert not cell.startswith(("=", "+", "@", "\t", "\r"))
        assert int(count) == number

"""docs/security.md names tests: each of them exists, and each row of OWASP's list has some."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)
ROWS = [f"API{number}" for number in range(1, 11)]


@cache
def functions_of(path: str) -> frozenset[str]:
    """Names of the tests in a file, those of classes as well."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def section(title: str) -> str:
    """What stands below a heading, up to the next."""
    [text] = re.findall(rf"^###? {title}\b[^\n]*\n(.*?)(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE)
    return text


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_exists(path, name):
    assert name.startswith("test_")
    assert name in functions_of(path)


def test_whatever_looks_like_a_test_was_read_as_one():
    assert TEXT.count("::") == len(NAMED) > 80


@pytest.mark.parametrize("row", ROWS)
def test_each_row_says_the_risk_and_has_proofs(row):
    text = section(row)
    assert "The risk: " in text
    assert len(re.findall(r"^- `tests/", text, re.MULTILINE)) >= 4


def test_what_is_not_covered_is_said():
    assert len(re.findall("^- ", section("What is not covered"), re.MULTILINE)) >= 5


def test_every_path_that_is_named_is_there():
    for path in re.findall(r"`((?:scripts|requirements|tests)/[\w./]+)`", TEXT):
        assert (ROOT / path).is_file(), path

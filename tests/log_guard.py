"""No secret in any log of the whole suite: a plugin that reads what is logged in the test's own process, and the log of
each server that a test starts.

A test that means to log one would have to say so here; none does.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

SECRETS = {
    "an API key": re.compile(r"eras_live_[0-9A-Za-z]{43}"),
    "a token": re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    "a key of Stripe's": re.compile(r"\b(?:sk|rk)_(?:live|test)_\w{8,}|\bwhsec_\w{8,}"),
    "a password in an address": re.compile(r"\b\w+://[^\s:/@]+:(?!\*\*\*)[^\s@/]{3,}@"),
    "a header with a credential": re.compile(
        r"(?i)\b(?:authorization|x-api-key)['\"]?\s*[:=]\s*['\"]?(?:bearer\s+)?[\w.-]{8,}"
    ),
}
found: list[str] = []
seen = {"lines": 0, "files": 0}


def secrets_in(text: str) -> list[str]:
    """Which kinds of secrets stand in a text."""
    return [kind for kind, pattern in SECRETS.items() if pattern.search(text)]


def read_log(path: Path) -> None:
    """Look through the log of a server that has ended, or goes on."""
    if not path.is_file():
        return
    seen["files"] += 1
    kinds = secrets_in(path.read_text(errors="replace"))
    found.extend(f"{kind} in {path.name} of {path.parent.name}" for kind in kinds)


class Reader(logging.Handler):
    """Sees every record before any formatter of ours or pytest's."""

    def emit(self, record: logging.LogRecord) -> None:
        seen["lines"] += 1
        text = record.getMessage()
        found.extend(f"{kind} by {record.name}: {text[:40]!r}" for kind in secrets_in(text))


reader = Reader(level=logging.DEBUG)


def pytest_sessionstart() -> None:
    logging.getLogger().addHandler(reader)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Also what a server wrote that was stopped after its test."""
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nSecrets were logged: {found}")


@pytest.fixture(autouse=True)
def _nothing_secret_is_logged():
    """`logging.configure` takes the handlers of the root away: put it back for each test."""
    root = logging.getLogger()
    if reader not in root.handlers:
        root.addHandler(reader)
    before = len(found)
    yield
    assert found[before:] == [], "a secret was logged"

"""The guard over the logs of the whole suite sees what it is there for."""

from __future__ import annotations

import logging

import pytest

import log_guard

KEY = "eras_live_" + "a1" * 21 + "b"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"refused {KEY}", "an API key"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl", "a token"),
        ("sk_test_abcdefghij", "a key of Stripe's"),
        ("whsec_abcdefghij", "a key of Stripe's"),
        ("postgresql://eraser:hunter2@host/db", "a password in an address"),
        ("{'authorization': 'Bearer abcdefgh'}", "a header with a credential"),
        ("x-api-key: abcdefghijk", "a header with a credential"),
    ],
)
def test_each_kind_is_seen(text, kind):
    assert kind in log_guard.secrets_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "eras_live_...9xYz",
        "key=Jx81aa tenant=alice",
        "postgresql://eraser:***@host/db",
        "Bearer error=invalid_token",
    ],
)
def test_what_is_no_secret_is_none(text):
    assert log_guard.secrets_in(text) == []


def test_it_reads_what_any_logger_writes_and_the_log_of_a_server(tmp_path):
    before = list(log_guard.found)
    logging.getLogger("magic_eraser.anything").warning("refused %s", KEY)
    (tmp_path / "server.log").write_text(f"one\n{KEY}\n")
    log_guard.read_log(tmp_path / "server.log")
    added = log_guard.found[len(before) :]
    del log_guard.found[len(before) :]  # it was meant

    assert [line.split(" by ")[0].split(" in ")[0] for line in added] == ["an API key", "an API key"]

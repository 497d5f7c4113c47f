"""What the options of keys and tokens mean."""

from __future__ import annotations

import pytest
import typer

from magic_eraser.accounts.principal import USER_SCOPES, Scope
from magic_eraser.cli.credential_options import ScopeName, scopes_of, seconds_of


def test_every_scope_can_be_named_and_all_of_them_at_once():
    assert set(ScopeName) == {*map(str, Scope), "all"}
    assert all(scopes_of([ScopeName(scope)]) == {scope} for scope in Scope)
    assert scopes_of([ScopeName.ERASE, ScopeName.ALL]) == frozenset(Scope)


def test_who_names_none_gets_all_but_admin():
    assert scopes_of(None) == scopes_of([]) == USER_SCOPES


@pytest.mark.parametrize(
    ("text", "seconds"), [("3600", 3600), ("90s", 90), ("90m", 5400), (" 12h ", 43_200), ("30d", 2_592_000)]
)
def test_times_are_read_with_their_units(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1d", "1.5h", "1w", "d", "1 d", "9" * 10, "１d"])
def test_what_is_no_time_is_said(text):
    with pytest.raises(typer.BadParameter, match="is not a time such as"):
        seconds_of(text)

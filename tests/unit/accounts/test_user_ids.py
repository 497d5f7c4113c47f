"""What a user may be called."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.accounts.user import check_email, check_id
from magic_eraser.errors import ValidationFailed

ALLOWED = string.ascii_letters + string.digits + "._@+|:=-"


@pytest.mark.parametrize(
    "text", ["alice", "Alice", "auth0|5f7c8ec7c33c6c004bbafe82", "a@b.example", "urn:x=1", "7", "x" * 100]
)
def test_ids_of_operators_and_of_issuers_are_taken(text):
    check_id(text)


@pytest.mark.parametrize(
    "text", ["", "x" * 101, "a b", "a/b", "a\nb", "alice\n", "жук", "a\0b", "a,b", "../x"]
)
def test_others_are_refused(text):
    with pytest.raises(ValidationFailed) as raised:
        check_id(text)
    assert raised.value.extra["errors"][0]["pointer"] == "/id"


@pytest.mark.parametrize("text", ["local", ".", "..", "anonymous@10.0.0.1", "anonymous@"])
def test_nobody_is_called_like_a_caller_whom_nobody_knows(text):
    with pytest.raises(ValidationFailed, match="meaning of its own"):
        check_id(text)


@given(st.text(ALLOWED, min_size=1, max_size=100) | st.text())
def test_an_id_is_taken_exactly_if_it_follows_the_rule(text):
    right = (
        1 <= len(text) <= 100
        and set(text) <= set(ALLOWED)
        and text not in ("local", ".", "..")
        and not text.startswith("anonymous@")
    )
    if right:
        check_id(text)
    else:
        with pytest.raises(ValidationFailed):
            check_id(text)


def test_emails():
    for email in (None, "a@b.example", "müller+x@例子.example"):
        check_email(email)
    for email in ("", "a", "a@", "@b", "a b@c", "a@b\n", "a@b@c", "x" * 250 + "@b.example"):
        with pytest.raises(ValidationFailed):
            check_email(email)

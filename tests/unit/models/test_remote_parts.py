"""What a model on another server is made of: its address, its circuit breaker, and when to come again."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from magic_eraser.errors import Cancelled, ModelUnavailable, UnusableOutput, ValidationFailed
from magic_eraser.models.remote.address import Address
from magic_eraser.models.remote.breaker import Breaker
from magic_eraser.models.remote.faults import Broken, Reply, retry_after


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def attempt(breaker: Breaker, error: Exception | None = None) -> None:
    with breaker.attempt():
        if error is not None:
            raise error


def tripped(clock: Clock) -> Breaker:
    breaker = Breaker("there", failures=2, seconds=10, clock=clock)
    for _ in range(2):
        with pytest.raises(Broken):
            attempt(breaker, Broken())
    return breaker


def test_a_breaker_lets_one_attempt_through_after_its_time(clock):
    breaker = tripped(clock)
    with pytest.raises(ModelUnavailable, match="left alone") as caught:
        attempt(breaker)
    assert caught.value.retry_after == 10

    clock.now = 10
    with breaker.attempt(), pytest.raises(ModelUnavailable, match="left alone"):
        attempt(breaker)
    attempt(breaker)


def test_a_breaker_opens_again_where_that_attempt_fails_and_asks_again_where_it_was_cancelled(clock):
    breaker = tripped(clock)
    clock.now = 10
    with pytest.raises(Broken):
        attempt(breaker, Broken())
    with pytest.raises(ModelUnavailable, match="left alone"):
        attempt(breaker)
    clock.now = 20
    with pytest.raises(Cancelled):
        attempt(breaker, Cancelled())
    attempt(breaker)


def test_a_breaker_counts_failures_in_a_row_only(clock):
    breaker = Breaker("there", failures=2, seconds=10, clock=clock)
    for error in (Broken(), None, Broken(), UnusableOutput(), None, Broken()):
        with pytest.raises(type(error)) if error else nullcontext():  # its own: it never opened
            attempt(breaker, error)


@pytest.mark.parametrize(
    ("text", "base", "model", "dialect"),
    [
        ("http://host:8080#lama", "http://host:8080", "lama", None),
        ("https://host/eraser/", "https://host/eraser", "", None),
        ("iopaint+https://host#a%20b", "https://host", "a b", "iopaint"),
        ("http://host/a+b", "http://host/a+b", "", None),
        ("http://[::1]:80", "http://[::1]:80", "", None),
    ],
)
def test_an_address_is_read(text, base, model, dialect):
    assert Address.parse(text) == Address(base, model, dialect)


@pytest.mark.parametrize(
    "text",
    ["", "host:8080", "file:///etc/passwd", "ftp://host", "http://", "http://host:99999", "http://[::1",
     "smtp+http://host", "http://user:pw@host", "ftp://user:pw@host", "http://user:pw@host:99999", "http://host?x=1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValidationFailed) as caught:
        Address.parse(text)
    assert "pw" not in caught.value.detail


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("5", 5), ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("soon", None), ("-1", None), ("", None), ("²", None)],
)
def test_retry_after_is_seconds_or_a_date(given, seconds):
    assert retry_after(Reply(503, headers={"retry-after": given})) == seconds

"""What an `Idempotency-Key` may look like, and what makes two requests the same."""

from __future__ import annotations

import hashlib

import pytest
from starlette.requests import Request

from magic_eraser.api.idempotent import fingerprint, key_of
from magic_eraser.errors import ValidationFailed


def request(*values: str) -> Request:
    headers = [(b"idempotency-key", value.encode("latin-1")) for value in values]
    return Request({"type": "http", "method": "POST", "headers": headers})


class Lying:
    """A `Source`."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self) -> bytes:
        raise AssertionError("a digest is enough")

    def sha256(self) -> bytes:
        return hashlib.sha256(self.content).digest()


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"with \\"quotes\\" and \\\\"', 'with "quotes" and \\'),
        ('"a";version=1', "a"),
        ("two words", "two words"),
        ('inner"quote"', 'inner"quote"'),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
    ],
)
def test_a_key_comes_in_quotes_or_bare(header, key):
    assert key_of(request(header)) == key


def test_none_is_none():
    assert key_of(request()) is None


@pytest.mark.parametrize(
    "header",
    ["", '""', '"', '"open', '"a"b', '"a\\n"', "x" * 256, '"' + "x" * 256 + '"', "schlüssel", "a\tb"],
)
def test_another_one_is_refused(header):
    with pytest.raises(ValidationFailed):
        key_of(request(header))


def test_two_keys_are_refused():
    with pytest.raises(ValidationFailed):
        key_of(request("a", "b"))


def test_the_same_picture_is_the_same_however_it_lies():
    assert fingerprint({"image": b"abc"}, as_json=False) == fingerprint(
        {"image": Lying(b"abc")}, as_json=False
    )


def test_the_order_of_fields_does_not_count():
    assert fingerprint({"a": 1, "b": "x"}, as_json=False) == fingerprint({"b": "x", "a": 1}, as_json=False)


def test_every_difference_counts():
    digest = hashlib.sha256(b"abc").hexdigest()
    seen = {
        fingerprint(fields, as_json=as_json)
        for fields, as_json in [
            ({"image": b"abc"}, False),
            ({"image": b"abc"}, True),
            ({"image": b"abd"}, False),
            ({"image": digest}, False),
            ({"image": "abc"}, False),
            ({"mask": b"abc"}, False),
            ({"image": b"abc", "dilate": 4}, False),
            ({"image": b"abc", "dilate": "4"}, False),
            ({"image": [b"abc", b"abc"]}, False),
            ({"image": [b"abc", Lying(b"abd")]}, False),
        ]
    }
    assert len(seen) == 10

"""Pictures in JSON: base64 in all its shapes."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.api.forms import data_url, picture
from magic_eraser.errors import InvalidImage, InvalidMask, ValidationFailed


@given(content=st.binary(max_size=300), width=st.integers(1, 90))
def test_what_was_encoded_comes_back_however_it_was_wrapped(content, width):
    plain = base64.b64encode(content).decode()
    if not plain:
        return
    wrapped = "\r\n".join(plain[i : i + width] for i in range(0, len(plain), width))

    for text in (plain, wrapped, f"data:image/png;base64,{plain}", f"  DATA:;base64,{wrapped}\n"):
        assert picture(text, "image") == content
    assert picture(data_url(content, "image/webp"), "image") == content


@given(text=st.text(max_size=200))
def test_any_text_is_bytes_or_a_typed_error(text):
    with suppress(InvalidMask, ValidationFailed):
        assert isinstance(picture(text, "mask"), bytes)


@pytest.mark.parametrize("value", [None, "", 5, 1.5, [], {}, True])
def test_what_is_no_text_is_named_by_its_field(value):
    with pytest.raises(ValidationFailed) as caught:
        picture(value, "image")
    assert caught.value.extra["errors"][0]["pointer"] == "/image"


def test_broken_base64_is_the_fault_of_its_field():
    with pytest.raises(InvalidImage):
        picture("****", "image")
    with pytest.raises(InvalidMask):
        picture("abc", "mask")

"""A result as bytes: what comes back is what was kept, or nothing."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.service.cache import Kept, entry

KEY, OTHER = "ab" * 32, "cd" * 32
FACTS = {"format": "png", "width": 3, "notices": [{"code": "rough", "zh": "最好"}], "model": "patch"}
KEPT = Kept(b"\x89PNG\n\nsome bytes\n", FACTS)


def framed(key=KEY, kept=KEPT):
    return b"".join(entry.to_pieces(key, kept))


def read(content, key=KEY):
    return entry.read(io.BytesIO(content), len(content), key)


def test_what_was_kept_comes_back():
    assert read(framed()) == KEPT


facts = st.dictionaries(
    st.text(max_size=5),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
)


@given(st.binary(max_size=99), facts)
def test_any_bytes_and_any_facts_come_back(data, said):
    assert read(framed(kept=Kept(data, said))) == Kept(data, said)


def test_a_change_of_any_byte_is_seen():
    whole = framed()
    for place in range(len(whole)):
        for change in (1, 0x20, 0x80):
            damaged = bytearray(whole)
            damaged[place] ^= change
            # or it is another spelling of the same, such as \u597D for \u597d
            assert read(bytes(damaged)) in (None, KEPT), place


def test_so_is_every_cut_and_whatever_follows():
    whole = framed()
    assert all(read(whole[:length]) is None for length in range(len(whole)))
    assert read(whole + b"x") is None


def test_the_entry_of_another_key_is_none_of_this_one():
    assert read(framed(), OTHER) is None


def test_another_version_is_a_miss():
    line, _, data = framed().partition(b"\n")
    head = json.loads(line)
    head["version"] = entry.VERSION + 1
    assert read(json.dumps(head).encode() + b"\n" + data) is None


NOT_ENTRIES = {
    "empty": b"",
    "line": b"\n",
    "null": b"null\n",
    "list": b"[]\n",
    "object": b"{}\n",
    "number": b"7\n",
    "no facts": b'{"sha256":1}\n',
    "no text": b"\xff\xfe\n",
    "deep": b"[" * 100_000 + b"\n",
    "no line": b"a" * 2_000_000,
}


@pytest.mark.parametrize("content", NOT_ENTRIES.values(), ids=NOT_ENTRIES)
def test_what_is_no_entry_at_all_is_a_miss(content):
    assert read(content) is None


def test_a_line_that_promises_too_much_is_not_believed():
    line, _, data = framed().partition(b"\n")
    head = {**json.loads(line), "length": 10**15}
    assert read(json.dumps(head).encode() + b"\n" + data) is None


@pytest.mark.parametrize("key", ["", "ab", "AB" * 32, "../" + "a" * 61, "ab" * 32 + "\n", "é" * 64])
def test_what_is_no_digest_never_becomes_a_path(key):
    with pytest.raises(ValueError, match="not a cache key"):
        entry.checked(key)

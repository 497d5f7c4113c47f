"""How keys are written."""

from __future__ import annotations

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.accounts.keys import key_format
from magic_eraser.errors import InvalidToken

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEY = key_format.make()


def test_a_key_is_a_prefix_220_random_bits_and_a_checksum():
    assert re.fullmatch(r"eras_live_[0-9A-Za-z]{43}", KEY)
    key_format.check(KEY)
    assert key_format.ending(KEY) == KEY[-4:]


def test_no_two_are_alike_and_every_letter_comes_everywhere():
    keys = [key_format.make() for _ in range(2000)]
    assert len(set(keys)) == 2000
    for place in range(10, 47):  # 2000 draws of 62: one missing in one place has the odds of 1 to 10^12
        assert {key[place] for key in keys} == set(LETTERS)


def test_the_checksum_is_the_one_that_scanners_of_secrets_know():
    body, checksum = KEY[:-6], KEY[-6:]
    number = 0
    for letter in checksum:
        number = number * 62 + LETTERS.index(letter)
    assert number == zlib.crc32(body.encode())


@given(st.integers(0, len(KEY) - 1), st.characters())
def test_any_one_changed_character_is_noticed(place, letter):
    changed = KEY[:place] + letter + KEY[place + 1 :]
    if changed == KEY:
        return
    with pytest.raises(InvalidToken):
        key_format.check(changed)


@given(st.integers(10, len(KEY) - 2))
def test_two_swapped_neighbours_are_noticed(place):
    swapped = KEY[:place] + KEY[place + 1] + KEY[place] + KEY[place + 2 :]
    if swapped == KEY:
        return
    with pytest.raises(InvalidToken):
        key_format.check(swapped)


@given(st.text())
def test_no_other_text_is_a_key_and_no_error_repeats_it(text):
    for wrong in (text, KEY + text[:1] + "x", "eras_live_" + text):
        with pytest.raises(InvalidToken) as raised:
            key_format.check(wrong)
        if len(text) > 20:
            assert text not in raised.value.detail + raised.value.detail_zh


def test_of_a_slip_and_of_a_lost_end_people_are_told_apart():
    with pytest.raises(InvalidToken, match="53 letters and digits"):
        key_format.check(KEY[:-1])
    other = "a" if KEY[20] != "a" else "b"
    with pytest.raises(InvalidToken, match="checksum"):
        key_format.check(KEY[:20] + other + KEY[21:])

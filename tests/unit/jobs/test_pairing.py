"""Which mask belongs to which photograph."""

from __future__ import annotations

from magic_eraser.jobs.pairing import mask_of


def test_the_same_name_goes_before_one_that_says_mask():
    masks = {"a": 1, "a_mask": 2, "a-mask": 3, "a.mask": 4}
    for expected in (1, 2, 3, 4):
        assert mask_of("a", masks) == expected
        masks.pop(next(iter(masks)))
    assert mask_of("a", masks) is None


def test_a_name_that_only_begins_alike_is_another_photograph():
    assert mask_of("a", {"ab": 1, "a_mask2": 2}) is None

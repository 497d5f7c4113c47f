"""`Accept`, as browsers, programs and people write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.api.media_types import best

OFFERS = ["image/png", "image/jpeg", "image/webp"]


@pytest.mark.parametrize(
    ("accept", "liked"),
    [
        ("", "image/png"),
        ("  ", "image/png"),
        ("*/*", "image/png"),
        ("*; q=.2, text/html", "image/png"),
        ("image/*;q=0.1", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("image/jpeg, image/png", "image/png"),
        ("image/jpeg, image/png;q=0.9", "image/jpeg"),
        ("image/*, image/png;q=0.1", "image/jpeg"),
        ("image/png;q=0, image/jpeg;q=0, */*", "image/webp"),
        ("image/webp;v=b3;q=0.7, */*;q=0.1", "image/webp"),
        ("image/webp ; Q=1 , image/png ; q = 0.5", "image/webp"),
        ("IMAGE/WEBP", "image/webp"),
        ("image/jpeg;q=0.2, image/jpeg;q=0.9, image/png;q=0.5", "image/jpeg"),
        ("image/jpeg;q=2", None),
        ("image/jpeg;q=-1", None),
        ("image/jpeg;q=nan", None),
        ("image/jpeg;q=0.000", None),
        ("*/*;q=0", None),
        ("text/html", None),
        ("png", None),
        (",", None),
    ],
)
def test_the_best_is_chosen(accept, liked):
    assert best(accept, OFFERS) == liked


ranges = st.sampled_from([*OFFERS, "image/*", "*/*", "text/html", "*", "", "image/png;q=0"])
weights = st.sampled_from(["", ";q=1", ";q=0", ";q=0.5", ";q=x", ";q="])


@given(st.lists(st.builds(str.__add__, ranges, weights)).map(",".join) | st.text(max_size=60))
def test_any_header_gives_an_offer_or_none(accept):
    assert best(accept, OFFERS) in {*OFFERS, None}


@given(st.permutations(["image/png;q=0.3", "image/jpeg;q=0.9", "image/*;q=0.5", "*/*;q=0.1"]))
def test_the_order_of_the_header_does_not_matter(parts):
    assert best(", ".join(parts), OFFERS) == "image/jpeg"

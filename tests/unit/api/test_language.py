"""Which of two languages a caller reads."""

from __future__ import annotations

import pytest

from magic_eraser.api.language import preferred


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.5", "en"),
        ("fr-FR, zh;q=0.3", "zh"),
        ("fr", "en"),
        ("zh;q=0.2, en;q=0.7", "en"),
        ("zh-Hant-TW", "zh"),
        ("ZH", "zh"),
        ("zh;q=0", "en"),
        ("zh;q=nonsense, en", "en"),
        (";;;,,,q=", "en"),
    ],
)
def test_the_higher_ranked_of_the_two_wins_and_english_is_the_rest(header, language):
    assert preferred(header) == language

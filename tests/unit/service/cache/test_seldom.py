"""A line that would come with every request comes once a minute."""

from __future__ import annotations

from structlog.testing import capture_logs

from magic_eraser.service.cache.seldom import Seldom
from magic_eraser.telemetry.logging import get_logger


def test_the_first_comes_at_once_and_the_next_after_a_minute_with_the_number_left_out():
    now = [0.0]
    with capture_logs() as lines:
        seldom = Seldom(get_logger("test"), 60, lambda: now[0])
        for moment in (0, 1, 2, 59.9, 60, 61):
            now[0] = moment
            seldom.warning("failed", at=moment)
    assert [(line["at"], line["left_out"]) for line in lines] == [(0, 0), (60, 3)]

"""Logs: one JSON object a line, or text for people; our loggers and the standard library's alike."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from magic_eraser.telemetry.logging import configure, get_logger


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level
    structlog.configure(**before)


def test_each_line_is_an_object_with_a_static_event_and_fields(tmp_path):
    path = tmp_path / "eraser.log"
    configure("info", "json", path)

    get_logger("here").info("image_stored", bytes=5)
    logging.getLogger("elsewhere").warning("plain %s", "words")
    get_logger("here").debug("not this")
    try:
        int("what happened")
    except ValueError:
        get_logger("here").exception("request_failed")

    first, second, third = map(json.loads, path.read_text().splitlines())
    assert (first["event"], first["bytes"], first["level"], first["logger"]) == (
        "image_stored",
        5,
        "info",
        "here",
    )
    assert (second["event"], second["level"]) == ("plain words", "warning")
    assert "ValueError: invalid literal" in third["exception"]


def test_people_get_text_without_colours_in_a_file(tmp_path):
    path = tmp_path / "eraser.log"
    configure("debug", "console", path)

    get_logger("here").debug("image_stored", bytes=5)

    assert "image_stored" in path.read_text()
    assert "bytes=5" in path.read_text()
    assert "\x1b" not in path.read_text()


def test_as_a_library_nothing_goes_to_standard_output():
    code = (
        "from magic_eraser.telemetry.logging import get_logger\n"
        "get_logger('here').info('model_ready', seconds=1)\n"
        "get_logger('here').warning('fell_back', model='lama')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == ""
    assert done.stderr == "event='fell_back' model='lama'\n"

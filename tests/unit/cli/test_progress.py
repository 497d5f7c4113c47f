"""The bar for one photograph: only where it is looked at, and only after a while."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from magic_eraser.cli.progress import of_photo


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, legacy_windows=False)


def interrupt_after(seconds: float) -> None:
    time.sleep(seconds)
    raise KeyboardInterrupt


def test_where_nobody_looks_there_is_none():
    with of_photo("a.jpg", Console(file=io.StringIO()), patience=0) as tell:
        assert tell is None


def test_a_quick_one_shows_nothing():
    console = terminal()
    with of_photo("a.jpg", console, patience=30) as tell:
        tell(0.5)
    assert "a.jpg" not in console.file.getvalue()


def test_a_slow_one_shows_how_far_it_is_and_is_gone_in_the_end():
    console = terminal()
    with of_photo("a.jpg", console, patience=0.05) as tell:
        time.sleep(0.2)
        tell(0.5)
        tell(0.25)
        time.sleep(0.3)
    shown = console.file.getvalue()
    assert "a.jpg" in shown
    assert "50%" in shown
    assert "25%" not in shown
    assert shown.rstrip().endswith("\x1b[2K")  # the line is erased


def test_a_failure_leaves_no_bar_behind():
    console = terminal()
    with pytest.raises(KeyboardInterrupt), of_photo("a.jpg", console, patience=0.01):
        interrupt_after(0.1)
    before = console.file.getvalue()
    time.sleep(0.2)
    assert console.file.getvalue() == before

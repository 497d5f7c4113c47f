"""Progress bars on standard error."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

PATIENCE = 1.0
"""Seconds that one photograph may take before a bar appears."""


@contextmanager
def of_folder(total: int) -> Iterator[Callable[[str], None]]:
    """A bar over `total` photographs, where standard error is a terminal; gives `advance(name)`."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)

        def advance(name: str) -> None:
            progress.update(task, advance=1, description=name)

        yield advance


@contextmanager
def of_photo(
    name: str, console: Console | None = None, patience: float = PATIENCE
) -> Iterator[Callable[[float], None] | None]:
    """A bar for one photograph that takes longer than `patience` seconds, gone when it is done.

    Gives `tell(fraction)`, to be called with 0..1 from any thread; None where standard error is no terminal.
    """
    console = console or Console(file=sys.stderr)
    if not console.is_terminal:
        yield None
        return
    columns: tuple[Any, ...] = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(name, total=1.0)
    lock = threading.Lock()
    over = False

    def appear() -> None:
        with lock:
            if not over:
                bar.start()

    def tell(fraction: float) -> None:
        if fraction > bar.tasks[0].completed:  # a bar that goes back frightens
            bar.update(task, completed=fraction)

    timer = threading.Timer(patience, appear)
    timer.daemon = True
    timer.start()
    try:
        yield tell
    finally:
        timer.cancel()
        with lock:
            over = True
            bar.stop()

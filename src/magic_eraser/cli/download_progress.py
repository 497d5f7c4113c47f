"""The progress bar of a download, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from magic_eraser.models.card import WeightFile


@contextmanager
def of_download(console: Console | None = None) -> Iterator[Callable[[WeightFile, int, int], None] | None]:
    """A bar for every file: bytes, speed, time to go. Gives what `WeightStore.download` tells; None on a pipe."""
    console = console or Console(file=sys.stderr)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, expand=True) as bar:
        tasks: dict[WeightFile, TaskID] = {}
        totals: dict[WeightFile, int] = {}

        def tell(file: WeightFile, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(file.name, total=None)
            elif total and totals.get(file) != total:  # what an earlier try fetched counts for no speed
                totals[file] = total
                bar.reset(tasks[file], completed=done, total=total)
            else:
                bar.update(tasks[file], completed=done)

        yield tell

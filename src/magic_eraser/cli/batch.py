"""Pairs worked through one by one, by this process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from magic_eraser.cli import progress
from magic_eraser.cli.pairs import Pair, Report, write
from magic_eraser.errors import EraserError, InvalidImage, InvalidMask
from magic_eraser.library import Eraser, watch_for
from magic_eraser.models.watch import Watch
from magic_eraser.service.request import EraseOptions, EraseRequest, OutputOptions


def run(
    eraser: Eraser,
    pairs: Sequence[Pair],
    options: EraseOptions,
    quality: int | None,
    *,
    timeout: float | None,
    skip_done: bool,
    show: bool,
) -> list[Report]:
    """Do them; one that fails does not stop the rest.

    Args:
        timeout: seconds for each.
        show: a progress bar.
    """
    reports = []
    with progress.of_folder(len(pairs)) if show else nullcontext() as advance:
        for pair in pairs:
            if skip_done and pair.target.exists():
                reports.append(Report(pair, skipped=True))
            else:
                reports.append(one(eraser, pair, options, quality, watch_for(timeout)))
            if advance is not None:
                advance(pair.photo.name)
    return reports


def one(eraser: Eraser, pair: Pair, options: EraseOptions, quality: int | None, watch: Watch) -> Report:
    """Do one; what goes wrong is in the report."""
    start = time.monotonic()
    try:
        if pair.mask is None:
            raise InvalidMask(f"There is no mask named like {pair.photo.name}.")
        request = EraseRequest(
            _read(pair.photo, InvalidImage),
            _read(pair.mask, InvalidMask),
            options,
            OutputOptions(pair.format, quality),
        )
        result = eraser.run(request, watch)
        assert result.encoded is not None
        write(pair.target, result.encoded.data)
    except EraserError as error:
        return Report(pair, error=error.sentence(), seconds=time.monotonic() - start)
    except OSError as error:
        return Report(pair, error=f"{pair.target}: {error.strerror}", seconds=time.monotonic() - start)
    notices = tuple(notice.message for notice in result.notices)
    return Report(pair, model=result.model, seconds=time.monotonic() - start, notices=notices)


def _read(path: Path, fault: type[EraserError]) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise fault(f"{path} cannot be read: {error.strerror}.") from None

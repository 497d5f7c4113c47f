"""Where Gradio keeps uploads and results while a server runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "GRADIO_TEMP_DIR"
PREFIX = "magic-eraser-ui-"
LOCK = "in-use"
GRACE_SECONDS = 60.0


@contextmanager
def run_folder(parent: Path | None) -> Iterator[Path]:
    """A folder of this run, known to Gradio by its environment variable, removed at the end; what runs that were
    killed left behind is removed at the start.

    Args:
        parent: where to make it; `GRADIO_TEMP_DIR` goes before it, the system's temporary folder comes after.
    """
    given = os.environ.get(VARIABLE)
    chosen = Path(given or parent or tempfile.gettempdir()).resolve()
    chosen.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in chosen.glob(PREFIX + "*"):
        if _abandoned(old):
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=chosen))
    try:
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.environ[VARIABLE] = str(folder)  # Gradio reads it at its import and at every use
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if given is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = given


def _abandoned(folder: Path) -> bool:
    """Nobody holds its lock: the kernel lets go of it with the process, however that ended."""
    try:
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:  # just made, or half removed
        return folder.is_dir() and time.time() - folder.stat().st_mtime > GRACE_SECONDS
    except OSError:  # held, or not ours
        return False

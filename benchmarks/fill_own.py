"""The package's models in workers of their own (see fill_worker.py), of whichever copy of the package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np

from fill_cases import Picture
from fill_metrics import Image
from fill_peers import ONE_THREAD


class Worker:
    """One warm process. Use it as a context manager; not for several threads at once.

    Args:
        package: a folder that holds `magic_eraser`, or a checkout of it; None: the installed one.
    """

    def __init__(self, package: Path | None) -> None:
        environment = {**os.environ, **ONE_THREAD}
        if package is not None:
            environment["PYTHONPATH"] = str(_root(package))
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fill_worker.py"))],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.package = self._line()["package"]
        self._held: Picture | None = None

    def hold(self, picture: Picture) -> None:
        """Make this the picture of the fills to come."""
        if self._held is not picture:
            np.save(self._path("image"), picture.image)
            np.save(self._path("hole"), picture.hole)
            self._held = picture

    def fill(self, job: dict[str, Any]) -> tuple[Image | None, dict[str, Any]]:
        """Fill the held picture: see fill_worker.py for the job. No picture comes back where it failed."""
        paths = {name: self._path(name) for name in ("image", "hole", "out")}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**job, **paths}) + "\n")
        self._process.stdin.flush()
        figures = self._line()
        return (None if "error" in figures else np.load(paths["out"])), figures

    def _path(self, name: str) -> str:
        return f"{self._folder.name}/{name}.npy"

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the worker ended; its error is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


def _root(package: Path) -> Path:
    for folder in (package, package / "src", package.parent):
        if (folder / "magic_eraser" / "__init__.py").is_file():
            return folder.resolve()
    raise SystemExit(f"{package} holds no magic_eraser")

"""What is wrong in a file of plans: all of it at once, with lines and the nearest right names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from magic_eraser.accounts.plan_files.toml_lines import Lines
from magic_eraser.errors import SettingsError


class Faults:
    """Of one file.

    Args:
        path: as messages name it.
        lines: of its text.
    """

    def __init__(self, path: Path, lines: Lines) -> None:
        self._path = path
        self._lines = lines
        self._found: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, where: tuple[str, ...], message: str) -> None:
        """One fault, at a key or table of the file."""
        self._found.append((self._lines.of(*where), message))

    def of_plan(self, plan: str, key: str, message: str) -> None:
        """One in a key of a plan."""
        self.add(("plans", plan, key), f'plan "{plan}": {key}: {message}')

    def unknown(
        self, where: tuple[str, ...], given: Iterable[str], known: tuple[str, ...], of: str = ""
    ) -> None:
        """One for each key that nobody reads."""
        for key in given:
            if key not in known:
                self.add((*where, key), f"{of}{key}: there is no such key{self.nearest(key, known)}")

    @staticmethod
    def nearest(name: object, names: Iterable[str]) -> str:
        """`; did you mean "x"?`, or which names there are."""
        there = list(names)
        near = difflib.get_close_matches(str(name), there, n=1, cutoff=0.6)
        if near:
            return f'; did you mean "{near[0]}"?'
        return f"; there are: {', '.join(there[:20])}"

    def raise_if_any(self) -> None:
        """Raises `SettingsError` with a line for each, in the order of the file."""
        if self._found:
            found = sorted(self._found, key=lambda fault: fault[0])
            raise SettingsError("\n".join(f"{self._path}:{line}: {message}" for line, message in found))

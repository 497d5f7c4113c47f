"""On which line of a TOML file each key stands: `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib

Path = tuple[str, ...]
"""Names from the top of the file down: `("plans", "basic", "price")`."""

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_NAME = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_ONE = re.compile(_PART)
_VALUE = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'  # two quotes may stand before the three that end it
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[{]|[\]}]|\n|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)


class Lines:
    """The lines of a text that `tomllib` has read.

    Args:
        text: with line feeds only, as Python reads files.
    """

    def __init__(self, text: str) -> None:
        self._found: dict[Path, int] = {}
        self._scan(text)

    def of(self, *path: str) -> int:
        """The line of a key or of a table's header, from 1; of what it stands in where it is not there itself, or
        stands in a table within a line."""
        while path and path not in self._found:
            path = path[:-1]
        return self._found.get(path, 1)

    def _scan(self, text: str) -> None:
        table: Path = ()
        at, line = 0, 1
        while at < len(text):
            if text[at] in " \t\n":
                line += text[at] == "\n"
                at += 1
            elif text[at] == "#":
                at = _end_of_line(text, at)
            elif text[at] == "[":
                table, end = _name(text, at)
                self._tell(table, line)
                at = _end_of_line(text, end)
            else:
                name, end = _name(text, at)
                self._tell(table + name, line)
                end = _end_of_value(text, end)
                line += text.count("\n", at, end)
                at = end

    def _tell(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):  # `plans.basic.price = ...` names the tables above as well
            self._found.setdefault(path[:length], line)


def _name(text: str, at: int) -> tuple[Path, int]:
    """The dotted name at or soon after a place, and where it ends."""
    found = _NAME.search(text, at)
    assert found is not None
    parts = (part.group() for part in _ONE.finditer(found.group()))
    return tuple(_plain(part) for part in parts), found.end()


def _plain(part: str) -> str:
    if part[0] not in "\"'":
        return part
    name: str = tomllib.loads(f"name = {part}")["name"]
    return name


def _end_of_value(text: str, at: int) -> int:
    """Behind the line feed that ends `= value`, which may go over several lines."""
    depth = 0
    while found := _VALUE.match(text, at):
        at, piece = found.end(), found.group()
        if piece in ("[", "{"):
            depth += 1
        elif piece in ("]", "}"):
            depth -= 1
        elif piece == "\n" and depth == 0:
            break
    return at


def _end_of_line(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found

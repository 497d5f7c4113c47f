"""Whether the pinned packages keep to `requirements/least.toml`: no advisory that is known to us, no package that is out.

It asks nobody, and knows no more than that file. Usage: check_lock.py [LOCK [TABLE]]; exit 1 with a line for each fault.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

from packaging.version import InvalidVersion, Version

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==([^\s;#]+)(?:\s*;.*)?")


def pinned(text: str) -> dict[str, list[Version]]:
    """Versions by normalised name (PEP 503): several where markers choose.

    Raises:
        ValueError: a line is no pin.
    """
    found = defaultdict(list)
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        pin = _PIN.fullmatch(line)
        try:
            version = Version(pin[2]) if pin else None
        except InvalidVersion:
            version = None
        if pin is None or version is None:
            raise ValueError(f"line {number} is not NAME==VERSION")
        found[re.sub(r"[-_.]+", "-", pin[1]).lower()].append(version)
    return found


def faults(lock: str, table: str) -> list[str]:
    """A sentence for each pin that is too old, too new or forbidden, and for each that the table names and nobody pins.

    Raises:
        ValueError: one of the two cannot be read.
    """
    pins, rules = pinned(lock), tomllib.loads(table)
    told = []
    for name, (least, reason) in rules["least"].items():
        if name not in pins:
            told.append(f"{name} is pinned nowhere: take it out of the table, or find why it is gone.")
        told += [
            f"{name} {version} is older than {least}: {reason}."
            for version in pins.get(name, [])
            if version < Version(least)
        ]
    for name, (bound, reason) in rules["below"].items():
        told += [
            f"{name} {version} is not below {bound}: {reason}."
            for version in pins.get(name, [])
            if version >= Version(bound)
        ]
    told += [
        f"{name} must not be there: {reason}." for name, reason in rules["forbidden"].items() if name in pins
    ]
    return told


def main() -> int:
    """Look; 0 where all is well."""
    given = [Path(word) for word in sys.argv[1:]]
    lock, table = [*given, *[REQUIREMENTS / "constraints.txt", REQUIREMENTS / "least.toml"][len(given) :]]
    found = faults(lock.read_text(encoding="utf-8"), table.read_text(encoding="utf-8"))
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Memory of the process that asks; standard library only, so that a peer's interpreter can use it too (Linux)."""

from __future__ import annotations

import ctypes
from pathlib import Path

MIB = 1024**2


def now() -> int:
    """Resident bytes."""
    return _status("VmRSS")


def peak() -> int:
    """Most bytes that were resident since the start, or since `forget_peak`."""
    return _status("VmHWM")


def forget_peak() -> None:
    """Count the peak from now on: proc(5), clear_refs."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def trim() -> None:
    """Give freed memory back, or what follows could use it again without showing: malloc_trim(3)."""
    ctypes.CDLL(None).malloc_trim(0)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field} in /proc/self/status")

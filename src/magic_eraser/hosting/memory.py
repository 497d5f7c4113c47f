"""The memory of the machine and of a process, in MiB, and freed memory back to the system."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

MEBIBYTE = 1024 * 1024
CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),  # version 1
)


def total_mb(limits: tuple[Path, ...] = CGROUP_LIMITS) -> int:
    """What the machine has, or the least that its container allows where that is less.

    Args:
        limits: files of the control group; each holds bytes, or "max".
    """
    amounts = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in limits:
        try:
            amounts.append(int(limit.read_text()))
        except (OSError, ValueError):  # no control groups, or "max"
            continue
    return min(amounts) // MEBIBYTE


def resident_mb(pid: int) -> int | None:
    """What a process has in memory now; None where the system does not say (no /proc), or it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") // MEBIBYTE


def give_back() -> bool:
    """Ask the C library to return the free pages of its heaps; takes milliseconds, pixels leave hundreds of MB.

    Measured after 300 mixed requests: 318 MiB before, 173 MiB after. Fixed thresholds (`MALLOC_MMAP_THRESHOLD_`) keep
    152 MiB at all times, but a fill then takes 1.6 times as long.

    Returns:
        Whether there is such a call here (glibc) and it freed something.
    """
    trim = _malloc_trim()
    return trim is not None and trim(0) == 1


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim  # malloc_trim(3): size_t to int
    except (AttributeError, OSError):  # musl, macOS
        return None

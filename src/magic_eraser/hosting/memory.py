"""Freed memory back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


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

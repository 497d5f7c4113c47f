"""How many processor cores this process may use, and one fill of it."""

from __future__ import annotations

import os
from pathlib import Path

import cv2

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(limit: Path = CGROUP_LIMIT) -> int:
    """At least 1: the cores that the system lets this process run on, or fewer where its container has a quota.

    Args:
        limit: the control group's `cpu.max` (cgroup v2): microseconds allowed, or "max", and those of the period.
    """
    has_affinity = hasattr(os, "sched_getaffinity")  # not macOS, not Windows
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    try:
        allowed, period = (int(number) for number in limit.read_text().split())
        cores = min(cores, round(allowed / period))
    except (OSError, ValueError, ZeroDivisionError):  # no control groups, or "max"
        pass
    return max(1, cores)


def share(cores: int, slots: int) -> int:
    """Cores for each of `slots` requests at once, at least 1."""
    return max(1, cores // slots)


def limit_opencv(threads: int) -> None:
    """OpenCV's calls use as many cores as a fill may. One number for the whole process: the last word holds."""
    cv2.setNumThreads(threads)

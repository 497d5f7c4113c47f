"""Who goes first where several wait."""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """The higher class goes first."""

    BATCH = 0
    """Items of a job: nobody looks at a clock."""
    NORMAL = 1
    FIRST = 2
    """Plans with priority."""

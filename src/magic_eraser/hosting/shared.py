"""Arrays in memory that two processes map, reached by a file descriptor: without a name, nothing can stay behind."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNED = 64
"""Bytes; every array begins at a multiple of a cache line."""


@dataclass(frozen=True, slots=True)
class Form:
    """Shape and dtype (such as "|u1") of an array."""

    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: NDArray[Any]) -> Form:
        return cls(array.shape, array.dtype.str)

    @property
    def room(self) -> int:
        """Bytes that it takes, with what is left free behind it."""
        size = math.prod(self.shape) * np.dtype(self.dtype).itemsize
        return -(-size // ALIGNED) * ALIGNED


def create(forms: Sequence[Form]) -> int:
    """A descriptor of memory with room for arrays of these forms; whoever called closes it."""
    size = max(1, sum(form.room for form in forms))
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("magic-eraser-crops")
    else:
        with tempfile.TemporaryFile() as file:  # gone from its folder already
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, size)
    return descriptor


def mapped(descriptor: int, forms: Sequence[Form]) -> list[NDArray[Any]]:
    """The arrays themselves; what is written to them, the other process sees. The mapping ends with the last of them,
    and does not need the descriptor any longer."""
    memory = mmap.mmap(descriptor, 0)
    arrays, offset = [], 0
    for form in forms:
        arrays.append(np.ndarray(form.shape, form.dtype, memory, offset))
        offset += form.room
    return arrays

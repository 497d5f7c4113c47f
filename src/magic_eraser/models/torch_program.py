"""TorchScript archives that are run as the programs they are."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

FAULTS = (RuntimeError, TypeError, torch.jit.Error)
"""What a program raises; torch's own kind has no base in common with the others."""

_filters = threading.Lock()


@contextmanager
def without_advice() -> Iterator[None]:
    """Without torch's advice to use something newer: what is published is TorchScript.

    One at a time, as `catch_warnings` changes the whole process, and two that overlap would put back each other's.
    """
    with _filters, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)
        yield


def read_program(path: Path, device: torch.device) -> torch.jit.ScriptModule:
    """A program on its device, ready to answer.

    Raises:
        RuntimeError, ValueError, OSError: the file is none, or is damaged; or there was not enough memory.
    """
    with without_advice():
        program: torch.jit.ScriptModule = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]  # left so by torch
    return program.eval()

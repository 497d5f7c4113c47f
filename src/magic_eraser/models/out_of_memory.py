"""Whether an exception of a numerical library means that memory ran out: each says so in its own way."""

from __future__ import annotations

from magic_eraser.errors import OutOfMemory

SAYINGS = (
    "out of memory",  # CUDA, and PyTorch where its own class is not to be had
    "can't allocate memory",  # PyTorch on Linux
    "not enough memory",  # PyTorch on Windows
    "bad_alloc",  # C++, by way of onnxruntime
    "bad allocation",
    "failed to allocate memory",  # onnxruntime's arena
    "cublas_status_alloc_failed",
)
"""What the exceptions of numerical libraries say, in lower case, when memory ran out."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether that is what an exception means; asks no library, as it may not be installed."""
    if isinstance(error, MemoryError | OutOfMemory) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    foreign = isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")
    return foreign and any(saying in said for saying in SAYINGS)

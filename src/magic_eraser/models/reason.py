"""What a library says is wrong, short enough for a sentence of ours."""

from __future__ import annotations

LONGEST = 300


def reason(error: BaseException) -> str:
    """One line of at most 300 characters, without a full stop: the first, but the last of a TorchScript's trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    line = lines[-1] if "Traceback of TorchScript" in str(error) else lines[0]
    return line[:LONGEST].rstrip(".")

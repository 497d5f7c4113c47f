"""What a model's process and its parent say to each other: one JSON object a packet, and file descriptors beside it.

Parent to child: `{"say": "job", "job": n, "inputs": [[shape, dtype], ...], "outputs": ..., "options": {...},
"seconds": s}`, `{"say": "cancel" | "hurry", "job": n}`, `{"say": "close"}`; the very first packet is a pickled
`(load, setup)`. Child to parent: `{"say": "ready" | "done" | "failed" | "progress", ...}` and, at any time,
`{"say": "log", "level": "warning" | "error" | "critical", "event": name, "fields": {...}}`; nothing pickled.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from enum import StrEnum
from typing import Any

from magic_eraser import errors
from magic_eraser.errors import EraserError
from magic_eraser.hosting.shared import Form
from magic_eraser.models.inpainter import InpaintOptions

PACKET = 64 * 1024
"""Bytes, the most that is read at once; a socket pair takes 200 KiB."""
LONGEST_TEXT = 4000
"""Characters of a text that came from anywhere, such as a traceback: at most four bytes each, three in a packet."""

LONGEST_FIELD = 500
"""Characters of one field of a log line, of which there are a handful."""

Message = dict[str, Any]


def send(to: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Raises OSError where nobody is there any more."""
    packet = json.dumps(message, ensure_ascii=False).encode(errors="replace")
    socket.send_fds(to, [packet], list(descriptors), socket.MSG_NOSIGNAL)


def receive(source: socket.socket) -> tuple[Message | None, list[int]]:
    """The next message and its descriptors, to be closed by whoever called; None at the end."""
    try:
        packet, descriptors, _, _ = socket.recv_fds(source, PACKET, 1)
    except OSError:  # such as ECONNRESET
        return None, []
    if not packet:
        return None, []
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return json.loads(packet), descriptors


def forms_to_wire(forms: Sequence[Form]) -> list[Any]:
    return [[form.shape, form.dtype] for form in forms]


def forms_from_wire(value: Sequence[Any]) -> list[Form]:
    return [Form(tuple(shape), dtype) for shape, dtype in value]


def options_to_wire(options: InpaintOptions) -> Message:
    return asdict(options)


def options_from_wire(value: Message) -> InpaintOptions:
    given = dict(value)
    for field in fields(InpaintOptions):
        if isinstance(field.default, StrEnum):
            given[field.name] = type(field.default)(given[field.name])
    return InpaintOptions(**given)


def log_to_wire(line: Mapping[str, Any]) -> Message:
    """A structlog event dict. Numbers stay what they are, anything else becomes text; of a traceback, the end."""
    fields = {
        name: _plain(value) for name, value in line.items() if name not in {"event", "level", "exception"}
    }
    if "exception" in line:
        fields["exception"] = str(line["exception"])[-LONGEST_TEXT:]
    return {"level": line["level"], "event": str(line["event"])[:LONGEST_FIELD], "fields": fields}


def _plain(value: object) -> float | str | None:
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:LONGEST_FIELD]


def error_to_wire(error: BaseException) -> Message:
    """An error of the tree keeps its kind; of any other, only what it says."""
    if isinstance(error, EraserError):
        return {
            "kind": type(error).__name__,
            "detail": error.detail[:LONGEST_TEXT],
            "detail_zh": error.detail_zh[:LONGEST_TEXT],
            "retry_after": error.retry_after,
        }
    return {"kind": "", "detail": f"{type(error).__name__}: {error}"[:LONGEST_TEXT]}


def error_from_wire(value: Message) -> EraserError | None:
    """The same error; None for one that is not of the tree."""
    kind = getattr(errors, value["kind"], None) if value["kind"] else None
    if not (isinstance(kind, type) and issubclass(kind, EraserError)):
        return None
    return kind(value["detail"], value["detail_zh"], retry_after=value["retry_after"])

"""Whether a weight file is what its kind says, and all of it; looks at a few bytes, loads and runs nothing."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from enum import StrEnum
from io import BufferedReader
from pathlib import Path


class Kind(StrEnum):
    """By content, not by name."""

    ZIP = "zip"  # what torch.save and torch.jit.save write
    SAFETENSORS = "safetensors"
    ONNX = "onnx"
    PICKLE = "pickle"  # what torch.save wrote before 1.6; loading one may run any code
    OTHER = "other"


def kind(path: Path) -> Kind:
    """What the file is, by its first bytes."""
    with path.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(b"PK\x03\x04"):
        return Kind.ZIP
    if head[:1] == b"\x80" and head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}:
        return Kind.PICKLE
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return Kind.SAFETENSORS
    if head[:1] == b"\x08":  # ModelProto.ir_version, which every writer puts first
        return Kind.ONNX
    return Kind.OTHER


def is_whole(path: Path) -> bool:
    """False where a ZIP, safetensors or ONNX file ends too early or is garbled; True for what cannot be told."""
    try:
        match kind(path):
            case Kind.ZIP:
                zipfile.ZipFile(path).close()  # reads the directory, which stands at the end
                return True
            case Kind.SAFETENSORS:
                return _safetensors_length(path) == path.stat().st_size
            case Kind.ONNX:
                return 7 in set(_onnx_fields(path))  # ModelProto.graph
            case _:
                return path.stat().st_size > 0
    except (zipfile.BadZipFile, RuntimeError, ValueError, TypeError, KeyError, AttributeError):
        # RuntimeError: a ZIP of a version that does not exist yet, or JSON that nests without end
        return False


def is_torchscript(path: Path) -> bool:
    """Whether a ZIP holds a program, and not only tensors."""
    with zipfile.ZipFile(path) as archive:
        return any(name.split("/", 1)[-1] == "constants.pkl" for name in archive.namelist())


def _safetensors_length(path: Path) -> int:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        tensors = json.loads(stream.read(length))
    ends = [tensor["data_offsets"][1] for name, tensor in tensors.items() if name != "__metadata__"]
    return 8 + length + max(ends, default=0)


def _onnx_fields(path: Path) -> Iterator[int]:
    """Numbers of the top-level fields of a protocol buffer.

    Raises:
        ValueError: it ends inside a field, or is none.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        while stream.tell() < size:
            tag = _varint(stream)
            match tag & 7:
                case 0:
                    _varint(stream)
                case 2:
                    length = _varint(stream)
                    if length > size - stream.tell():  # before the step, which takes no more than 63 bits
                        raise ValueError("ends inside a field")
                    stream.seek(length, 1)
                case _:
                    raise ValueError("not a field of an ONNX model")
            yield tag >> 3


def _varint(stream: BufferedReader) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            raise ValueError("ends inside a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("no end of a number")

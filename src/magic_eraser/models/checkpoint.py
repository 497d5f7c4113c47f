"""The tensors of a file of weights, read without running anything that is in it.

`torch.load` and `torch.jit.load` make objects and run code that the file names. Here a pickle may build plain
containers and tensors only; the classes of a TorchScript archive become nodes that hold attributes and do nothing.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import torch

from magic_eraser.errors import ModelUnavailable
from magic_eraser.models.card import ModelCard

Tensors = dict[str, torch.Tensor]

WRAPPERS = ("params_ema", "params", "state_dict", "model")
"""Keys under which training programs put a state dict, beside counters and settings; the first that is there counts."""
MOST_NODES = 100_000
"""Modules and tensors of a TorchScript archive. A file may name one module a million times over."""
MOST_LISTED = 64 * 2**20
"""Bytes of the pickle that lists the tensors, which may be compressed: a hundred times what LaMa's archive has."""
MOST_SHARED, LEAST_BYTES = 4, 2**30
"""Times a file's size that its tensors may have together, as they may share storages; and bytes that they may have
anyway. A view of one number can claim to be of any size, and takes that much memory where it is copied."""
STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
OTHER_KINDS = (
    (b"<", 0, "a web page, not weights", "是网页而不是权重文件"),
    (b"version https://git-lfs", 0, "a Git LFS pointer, not the weights themselves", "只是 Git LFS 指针，不是权重本身"),
    (b"ustar", 257, "in the old format of torch (tar), which is not read", "是旧的 torch 格式（tar），不支持"),
    (b"\x80", 0, "in the old format of torch (bare pickle), which is not read", "是旧的 torch 格式（pickle），不支持"),
)  # fmt: skip


def read_tensors(path: Path, card: ModelCard) -> Tensors:
    """Every tensor of a file, by the name that `state_dict()` would give it.

    Args:
        path: a state dict by `torch.save`, also one within a dict of `WRAPPERS`; an archive by `torch.jit.save`
            (its parameters and buffers, and attributes that are tensors); or a `.safetensors` file.
        card: of the model that it is read for, for the way out.

    Returns:
        Tensors on the CPU. They lie in the file, mapped into memory, until they are used; writing to one does not
        change the file.

    Raises:
        ModelUnavailable: the file is not there, is another thing, is cut short, or asks for code to be run.
    """
    head = _head(path, card)
    if head[8:9] == b"{":
        return _read_safetensors(path, card)
    try:
        tensors = _read_zip(path)
    except (zipfile.BadZipFile, zlib.error):
        _refuse(path, card, "is cut short or damaged", "不完整或已损坏")
    except _Unreadable as error:
        _refuse(path, card, *error.args)
    except (
        pickle.UnpicklingError, struct.error, ArithmeticError, AttributeError, EOFError, LookupError, OSError,
        TypeError, ValueError, RuntimeError,
    ):  # fmt: skip
        # whatever a damaged or hostile pickle makes of a tuple, a list or a tensor, or a directory of a place in a file
        _refuse(path, card, "holds a damaged list of tensors", "其中的张量列表已损坏")
    if not tensors:
        _refuse(path, card, "holds no tensors", "不含任何张量")
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > MOST_SHARED * path.stat().st_size + LEAST_BYTES:
        _refuse(path, card, "claims more numbers than it holds", "声称的数据多于文件实际内容")
    return tensors


def strip_prefix(tensors: Mapping[str, torch.Tensor], known: str) -> Tensors:
    """The tensors of one network, by the names within it.

    Args:
        tensors: of a file, which may nest the network and hold others beside it.
        known: the name of one tensor of the network.

    Returns:
        Those whose name begins like the shortest that ends with `known`, without that beginning; all of them,
        unchanged, where none does.
    """
    nested = [name for name in tensors if name == known or name.endswith(f".{known}")]
    prefix = min(nested, key=len).removesuffix(known) if nested else ""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def match(
    tensors: Mapping[str, torch.Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    path: Path,
    card: ModelCard,
) -> Tensors:
    """Those tensors that a network wants; what else there is, such as counters, is left out.

    Args:
        tensors: by the names within the network.
        shapes: wanted, by the same names.
        path, card: for the sentence of the error.

    Raises:
        ModelUnavailable: one is missing or has another shape; it says which, and how many more.
    """
    missing = [name for name in shapes if name not in tensors]
    if missing:
        more, more_zh = _others(missing)
        _refuse(
            path, card, f"does not fit {card.id}: it lacks {missing[0]}{more}",
            f"与模型 {card.id} 不符：缺少 {missing[0]}{more_zh}",
        )  # fmt: skip
    wrong = [name for name, shape in shapes.items() if tuple(tensors[name].shape) != tuple(shape)]
    if wrong:
        more, more_zh = _others(wrong)
        found, wanted = tuple(tensors[wrong[0]].shape), tuple(shapes[wrong[0]])
        _refuse(
            path, card, f"does not fit {card.id}: {wrong[0]} is {found} where {wanted} is wanted{more}",
            f"与模型 {card.id} 不符：{wrong[0]} 的形状是 {found}，应为 {wanted}{more_zh}",
        )  # fmt: skip
    return {name: tensors[name] for name in shapes}


def _others(names: list[str]) -> tuple[str, str]:
    """How many there are beside the first, in English and Chinese."""
    return (f" and {len(names) - 1} more", f"，另有 {len(names) - 1} 项") if len(names) > 1 else ("", "")


def _refuse(path: Path, card: ModelCard, what: str, what_zh: str) -> NoReturn:
    command = f"magic-eraser models {'remove' if card.added else 'download'} {card.id}"
    # what a person added may be their only copy: it is not for us to say that it should be removed
    way, way_zh = (
        (f"To add another file in its place, first: {command}", f"如需换成其他文件，请先运行 {command}")
        if card.added
        else (f"Remove it, then fetch it anew: {command}", f"请删除后重新下载：{command}")
    )
    raise ModelUnavailable(
        f"The weights file {path} {what}. {way}.", f"权重文件 {path} {what_zh}。{way_zh}。"
    ) from None


def _head(path: Path, card: ModelCard) -> bytes:
    """The first bytes of a file that may be a zip archive or safetensors; what is neither is refused by its name."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        _refuse(path, card, f"cannot be read ({error.strerror})", f"无法读取（{error.strerror}）")
    if not head:
        _refuse(path, card, "is empty", "是空文件")
    if head.startswith(b"PK\x03\x04") or head[8:9] == b"{":
        return head
    for mark, place, what, what_zh in OTHER_KINDS:
        if head[place:].lstrip().startswith(mark):
            _refuse(path, card, f"is {what}", what_zh)
    _refuse(path, card, "is of no known format", "格式无法识别")


class _Unreadable(Exception):
    """What is wrong with a file, in English and Chinese."""


def _read_safetensors(path: Path, card: ModelCard) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: Tensors = load_file(path)
    except SafetensorError:
        _refuse(path, card, "is cut short or damaged", "不完整或已损坏")
    return tensors


def _read_zip(path: Path) -> Tensors:
    with zipfile.ZipFile(path) as archive:
        inner = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(inner) != 1:
            raise _Unreadable("is a zip archive, but none of torch", "是 zip 文件，但不是 torch 保存的")
        folder = inner[0].removesuffix("data.pkl")
        order = f"{folder}byteorder"
        if order in archive.namelist() and _beginning(archive, order, 8) == b"big":
            raise _Unreadable("was written on a big-endian machine", "是在大端序机器上写出的")
        listed = _beginning(archive, inner[0], MOST_LISTED + 1)
        if len(listed) > MOST_LISTED:
            raise _Unreadable("lists more tensors than any network has", "列出的张量多得不合常理")
        content = _TensorUnpickler(io.BytesIO(listed), _Storages(path, archive, folder)).load()
    if isinstance(content, _Node):
        return dict(_walk(content))
    if not isinstance(content, dict):
        raise _Unreadable("holds no state dict", "不含 state dict")
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    return {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _beginning(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """At most so many bytes of an entry, however many come out of it."""
    with archive.open(name) as file:
        return file.read(most)


@dataclass(frozen=True, slots=True)
class _Storage:
    """uint8 (bytes,) of a file, and what its bytes are."""

    data: torch.Tensor
    dtype: torch.dtype


class _Storages:
    """The bytes of an archive's tensors, where they lie in the file."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, folder: str) -> None:
        self._bytes = np.memmap(path, np.uint8, "c")  # copy on write: torch wants what it may write to
        self._entries = {entry.filename: entry for entry in archive.infolist()}
        self._folder = folder
        self._known: dict[str, torch.Tensor] = {}

    def find(self, name: str, dtype: torch.dtype) -> _Storage:
        """Tensors that share a storage get the same bytes."""
        if name not in self._known:
            entry = self._entries.get(f"{self._folder}data/{name}")
            entry = entry or self._entries.get(f"{self._folder}constants/{name}")
            if entry is None:
                raise _Unreadable("lacks some of its tensors", "缺少部分张量")
            self._known[name] = self._data(entry)
        return _Storage(self._known[name], dtype)

    def _data(self, entry: zipfile.ZipInfo) -> torch.Tensor:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise _Unreadable(
                "was compressed anew: torch stores tensors as they are", "被重新压缩过：torch 不压缩张量"
            )
        header = self._bytes[entry.header_offset :][:30]
        names = int.from_bytes(header[26:28].tobytes(), "little") + int.from_bytes(
            header[28:30].tobytes(), "little"
        )
        start = entry.header_offset + 30 + names  # the local header repeats the name, and pads to 64 bytes
        data = self._bytes[start : start + entry.file_size]
        if len(data) != entry.file_size:
            raise _Unreadable("is cut short or damaged", "不完整或已损坏")
        aligned = data.ctypes.data % 8 == 0  # always so as torch writes it; not after another program has
        return torch.from_numpy(data if aligned else data.copy())


class _Node:
    """A module of a TorchScript archive: attributes, no behaviour. Its class is made where the pickle names one."""

    attributes: dict[str, Any]

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.attributes = state


def _walk(node: _Node) -> Iterator[tuple[str, torch.Tensor]]:
    """Names and tensors, the node's own first. Raises `_Unreadable` for one that holds itself."""
    waiting: list[tuple[str, _Node]] = [("", node)]
    seen = 0
    while waiting:
        prefix, place = waiting.pop()
        for name, value in place.attributes.items():
            seen += 1
            if seen > MOST_NODES:
                raise _Unreadable("nests modules without end", "模块嵌套没有尽头")
            if isinstance(value, torch.Tensor):
                yield f"{prefix}{name}", value
            elif isinstance(value, _Node):
                waiting.append((f"{prefix}{name}.", value))


def _rebuild_tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_rest: object) -> torch.Tensor:
    """Stands for `torch._utils._rebuild_tensor_v2`; `as_strided` refuses what lies outside the storage."""
    return storage.data.view(storage.dtype).as_strided(tuple(size), tuple(stride), int(offset))


def _first(value: object, *_rest: object) -> object:
    """Stands for what only wraps: `_rebuild_parameter`, the typed lists of TorchScript."""
    return value


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch", "Size"): tuple,
    **{
        ("torch.jit._pickle", name): _first
        for name in (
            "build_intlist",
            "build_doublelist",
            "build_boollist",
            "build_tensorlist",
            "restore_type_tag",
        )
    },
    **{("torch", name): dtype for name, dtype in STORAGES.items()},
}


class _TensorUnpickler(pickle._Unpickler):  # noqa: SLF001 (the one in Python has no public name)
    """Builds containers, numbers and tensors; whatever else a pickle names is refused before it exists.

    In Python, as torch's own: the one in C keeps what a pickle numbers in an array as long as the largest number, so
    that ten bytes can take 64 GB. A bytearray, which takes the length that it claims, is none of torch's.
    """

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # noqa: SLF001 (as above)
    del dispatch[pickle.BYTEARRAY8[0]]

    def __init__(self, file: Any, storages: _Storages) -> None:
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Node
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _Unreadable(
                f"wants to run {module}.{name}, which a file of weights has no need of",
                f"试图运行 {module}.{name}，权重文件不需要这样做",
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, name, *_ = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise _Unreadable("holds tensors of an unknown kind", "含有未知类型的张量")
        return self._storages.find(str(name), dtype)

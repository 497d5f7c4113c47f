"""How a picture and its hole go into an ONNX model, as far as its declared inputs say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from magic_eraser.errors import ModelUnavailable, UnusableOutput
from magic_eraser.models.framing import common_size, padded
from magic_eraser.models.inpainter import Hole, Pixels

MULTIPLE = 32
"""Of the sides of a model of no fixed size: 8 is enough for LaMa, and some exports of it want 32."""
DTYPES: Mapping[str, DTypeLike] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
PICTURES = {"tensor(float)", "tensor(float16)", "tensor(double)", "tensor(uint8)"}


class Declared(Protocol):
    """An input as the file declares it: sides are numbers, or names or None where any will do."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class Values(StrEnum):
    """What the samples 0..255 are to a model."""

    UNIT = "0..1"
    SIGNED = "-1..1"
    BYTES = "0..255"


class Packing(StrEnum):
    """How three colours and a mask are one input of four channels."""

    MASK_FIRST = "0.5 - hole, colours in -1..1"  # MI-GAN
    MASK_LAST = "colours in 0..1, hole"  # LaMa


@dataclass(frozen=True, slots=True)
class Port:
    """An input of four axes.

    Attributes:
        name: of the input.
        dtype: of its array.
        last: whether channels are the last axis (NHWC) rather than the second (NCHW).
        channels: 1, 3 or 4.
        height, width: as declared; None where any will do.
    """

    name: str
    dtype: DTypeLike
    last: bool
    channels: int
    height: int | None
    width: int | None

    def fed(self, planes: NDArray[Any]) -> NDArray[Any]:
        """(height, width, channels) as this input wants it."""
        ordered = planes if self.last else planes.transpose(2, 0, 1)
        return np.ascontiguousarray(ordered[None], self.dtype)


@dataclass(frozen=True, slots=True)
class Convention:
    """What an input's declaration leaves open; `probe` finds it out.

    Attributes:
        values: what goes in.
        one_is_hole: whether 1 (or 255) in the mask is the hole, rather than what is known.
        answer: what comes out.
        packing: for one input of four channels.
    """

    values: Values = Values.UNIT
    one_is_hole: bool = True
    answer: Values = Values.UNIT
    packing: Packing = Packing.MASK_FIRST


@dataclass(frozen=True, slots=True)
class Form:
    """A model's inputs: a picture and a mask, or both in one.

    Attributes:
        image: three channels; four where there is no `mask`.
        mask: one channel.
    """

    image: Port
    mask: Port | None

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) where the file fixes both."""
        if self.image.height is None or self.image.width is None:
            return None
        return self.image.height, self.image.width

    @property
    def frames_itself(self) -> bool:
        """Whether it takes pixels as they are, of any size: such a file holds a whole pipeline."""
        return self.size is None and self.image.dtype == np.uint8

    def framed_size(self, hole: Hole) -> tuple[int, int]:
        """(height, width) that a crop is padded to."""
        if self.frames_itself:
            return hole.shape[0], hole.shape[1]
        return self.size or common_size([hole], MULTIPLE)

    def feeds(self, image: Pixels, hole: Hole, convention: Convention) -> dict[str, NDArray[Any]]:
        """The arrays of one run.

        Args:
            image: uint8 (height, width, 3), of a size that the model takes; black in the hole.
            hole: bool (height, width).
            convention: see there.
        """
        if self.mask is None:
            return {self.image.name: self.image.fed(_packed(image, hole, convention.packing))}
        marked = hole if convention.one_is_hole else ~hole
        mask = marked[..., None].astype(np.uint8) * (255 if self.mask.dtype == np.uint8 else 1)
        picture = image if self.image.dtype == np.uint8 else _scaled(image, convention.values)
        return {self.image.name: self.image.fed(picture), self.mask.name: self.mask.fed(mask)}


def read_form(inputs: Sequence[Declared], path: Path) -> Form:
    """The form of a model.

    Raises:
        ModelUnavailable: it declares other inputs than a picture and a mask; lists them.
    """
    try:
        ports = sorted((_port(declared) for declared in inputs), key=lambda port: port.channels)
        match [port.channels for port in ports]:
            case [1, 3] if _agree(*ports):
                return Form(ports[1], ports[0])
            case [4] if ports[0].dtype != np.uint8:
                return Form(ports[0], None)
    except _Foreign:
        pass
    listed = ", ".join(
        f"{one.name} {one.type.removeprefix('tensor(').removesuffix(')')} "
        f"({', '.join(str(side) if isinstance(side, int) else 'any' for side in one.shape)})"
        for one in inputs
    )
    raise ModelUnavailable(
        f"The ONNX model {path} cannot be fed: it declares {listed or 'no inputs'}, where a picture of 3 channels and "
        "a mask of 1, or both in one input of 4, are wanted, each with 4 axes.",
        f"无法使用 ONNX 模型 {path}：它声明的输入是 {listed or '（无）'}；需要 3 通道图片和 1 通道蒙版，"
        "或合成一个 4 通道输入，均为 4 维。",
    )


def picture(outputs: Sequence[NDArray[Any]], size: tuple[int, int]) -> NDArray[np.float32]:
    """The answer as float32 (height, width, 3), in whatever values: the first output that is a picture.

    Args:
        outputs: of a run.
        size: (height, width) of what went in.

    Raises:
        UnusableOutput: none is.
    """
    for output in outputs:
        whole = output[0] if output.ndim == 4 and len(output) == 1 else output
        if whole.shape == (3, *size):
            return whole.transpose(1, 2, 0).astype(np.float32)
        if whole.shape == (*size, 3):
            return whole.astype(np.float32)
    shapes = ", ".join(str(output.shape) for output in outputs) or "nothing"
    raise UnusableOutput(
        f"The model answered {shapes} where a picture of {size[1]} x {size[0]} pixels is wanted.",
        f"模型输出 {shapes}，而需要的是 {size[1]} x {size[0]} 像素的图片。",
    )


def to_unit(answer: NDArray[np.float32], values: Values) -> NDArray[np.float32]:
    """An answer as 0..1."""
    match values:
        case Values.BYTES:
            return answer / np.float32(255)
        case Values.SIGNED:
            return answer * np.float32(0.5) + np.float32(0.5)
        case Values.UNIT:
            return answer


def fitted(image: Pixels, hole: Hole, size: tuple[int, int]) -> tuple[Pixels, Hole, float]:
    """A crop within (height, width): shrunk where it is larger, then mirrored at its right and bottom; black in the
    hole. The third is the scale, 1 where it was not shrunk."""
    scale = min(1.0, size[0] / hole.shape[0], size[1] / hole.shape[1])
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in hole.shape)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        hole = cv2.resize(hole.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0
    image, hole = padded(image, size), padded(hole, size)
    return np.where(hole[..., None], np.uint8(0), image), hole, scale


class _Foreign(Exception):
    """An input is neither a picture nor a mask."""


def _port(declared: Declared) -> Port:
    shape = [side if isinstance(side, int) and side > 0 else None for side in declared.shape]
    if len(shape) != 4 or shape[0] not in {1, None} or declared.type not in DTYPES:
        raise _Foreign
    is_mask = "mask" in declared.name.lower()
    wanted = {1, 3, 4} if declared.type in PICTURES else {1}
    if shape[1] in wanted:
        last, channels = False, shape[1]
    elif shape[3] in wanted:
        last, channels = True, shape[3]
    elif shape[1] is None:  # the order of the axes is not told either; this one is the usual
        last, channels = False, 1 if is_mask else 3
    else:
        raise _Foreign
    assert channels is not None
    height, width = shape[1:3] if last else shape[2:4]
    return Port(declared.name, DTYPES[declared.type], last, channels, height, width)


def _agree(mask: Port, image: Port) -> bool:
    """Whether sides that both fix are the same."""
    pairs = ((mask.height, image.height), (mask.width, image.width))
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def _packed(image: Pixels, hole: Hole, packing: Packing) -> NDArray[np.float32]:
    known = ~hole[..., None]
    if packing is Packing.MASK_FIRST:
        return np.concatenate([known - np.float32(0.5), _scaled(image, Values.SIGNED) * known], axis=2)
    return np.concatenate([_scaled(image, Values.UNIT) * known, (~known).astype(np.float32)], axis=2)


def _scaled(image: Pixels, values: Values) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = image.astype(np.float32) / np.float32(255)
    return unit * 2 - 1 if values is Values.SIGNED else unit

"""What every door asks for, and what it gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray

from magic_eraser.imaging.codec import Encoded
from magic_eraser.imaging.photo import Notice, Photo
from magic_eraser.models.catalog import AUTO

CacheResult = Literal["hit", "miss", "bypass"]
OutputFormat = Literal["same", "png", "jpeg", "webp", "avif", "bmp", "tiff", "gif"]


@dataclass(frozen=True, slots=True)
class EraseOptions:
    """How to erase.

    Attributes:
        model: a model id, or "auto".
        dilate: pixels by which the hole grows, 0..200.
        feather: pixels of soft transition beyond that, 0..200.
        seed: 0..2**32-1; another seed gives a variant.
        radius: neighbourhood in pixels of the PDE models, 1..64.
    """

    model: str = AUTO
    dilate: int = 0
    feather: int = 0
    seed: int = 0
    radius: int = 4


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How the result is encoded.

    Attributes:
        format: "same" as the input, or another.
        quality: 1..100 for lossy formats; None keeps the input's own (JPEG) or takes the format's default.
    """

    format: OutputFormat = "same"
    quality: int | None = None


@dataclass(frozen=True, slots=True)
class EraseRequest:
    """One picture, one mask.

    Attributes:
        image: an encoded picture, or one that is decoded already.
        mask: an encoded mask, or bool (H, W) with True where to erase.
        options: see there.
        output: how to encode; None answers the decoded picture.
    """

    image: bytes | Photo
    mask: bytes | NDArray[Any]
    options: EraseOptions = field(default_factory=EraseOptions)
    output: OutputOptions | None = field(default_factory=OutputOptions)


@dataclass(frozen=True, slots=True)
class EraseResult:
    """The picture without the object.

    Attributes:
        photo: decoded; None where `output` was asked for.
        encoded: encoded; None where it was not.
        model: the id of the model that ran.
        cache: where the result came from.
        width, height: of the result.
        seconds: by stage: decode, filter, queue, inpaint, encode.
        notices: what could not be kept, and why.
    """

    photo: Photo | None
    encoded: Encoded | None
    model: str
    cache: CacheResult
    width: int
    height: int
    seconds: dict[str, float]
    notices: tuple[Notice, ...]

"""What every door asks for, and what it gets."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from operator import index
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from numpy.typing import NDArray

from magic_eraser.billing.quota import Reservation
from magic_eraser.errors import ValidationFailed
from magic_eraser.imaging.codec import Encoded
from magic_eraser.imaging.mask import MAX_GROWTH, Growth
from magic_eraser.imaging.photo import Notice, Photo
from magic_eraser.models.catalog import AUTO
from magic_eraser.models.inpainter import Effort, Sampler

CacheResult = Literal["hit", "miss", "bypass"]
E = TypeVar("E", bound=StrEnum)
MOST_STEPS = 1000
LONGEST_PROMPT = 1000
OutputFormat = Literal["same", "png", "jpeg", "webp", "avif", "bmp", "tiff", "gif"]


@dataclass(frozen=True, slots=True)
class EraseOptions:
    """How to erase.

    Attributes:
        model: a model id, or "auto".
        dilate: pixels by which the hole grows, 0..200, or "auto": as far as what it covers reaches beyond it.
        feather: pixels of soft transition beyond that, 0..200.
        seed: 0..2**32-1; another seed gives a variant.
        radius: neighbourhood in pixels of the PDE models, 1..64.
        effort: how much work the fill is worth; its name will do.
        rough_when_late: where the deadline comes near, the best that is there, with a notice, rather than nothing.
        steps: of a diffusion model's sampler, 1..1000; the model's own number where None.
        sampler: of those models; its name will do.
        prompt, negative_prompt: what is, and is not, to come into the hole, at most 1,000 characters; of models that
            heed them.

    Raises:
        ValidationFailed: a value out of its range, of whichever door.
    """

    model: str = AUTO
    dilate: Growth = 0
    feather: int = 0
    seed: int = 0
    radius: int = 4
    effort: Effort = Effort.BALANCED
    rough_when_late: bool = False
    steps: int | None = None
    sampler: Sampler = Sampler.PLMS
    prompt: str = ""
    negative_prompt: str = ""

    def __post_init__(self) -> None:
        growth = (
            self.dilate if self.dilate == "auto" else _whole("dilate", self.dilate, MAX_GROWTH, auto=True)
        )
        settled: dict[str, Any] = {
            "dilate": growth,
            "feather": _whole("feather", self.feather, MAX_GROWTH),
            "seed": _whole("seed", self.seed, 2**32 - 1),
            "radius": _whole("radius", self.radius, 64, least=1),
            "effort": _named("effort", self.effort, Effort),
            "sampler": _named("sampler", self.sampler, Sampler),
            "steps": None if self.steps is None else _whole("steps", self.steps, MOST_STEPS, least=1),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)
        for name in ("prompt", "negative_prompt"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > LONGEST_PROMPT:
                expected, chinese = (
                    f"text of at most {LONGEST_PROMPT} characters",
                    f"不超过 {LONGEST_PROMPT} 字的文本",
                )
                raise _fault(name, text, expected, chinese)


def _named(name: str, value: Any, names: type[E]) -> E:
    """A member of an enumeration, by itself or by its name."""
    if value not in list(names):
        listed = ", ".join(names)
        raise _fault(name, value, f"one of {listed}", f"{listed} 之一")
    return names(value)


def _whole(name: str, value: Any, most: int, *, least: int = 0, auto: bool = False) -> int:
    """Any kind of whole number, numpy's among them, as an int."""
    try:
        if not isinstance(value, bool) and least <= index(value) <= most:
            return index(value)
    except TypeError:
        pass
    expected, chinese = f"a whole number from {least} to {most}", f"{least} 到 {most} 的整数"
    if auto:
        expected, chinese = f'{expected}, or "auto"', f"{chinese}或 auto"
    raise _fault(name, value, expected, chinese)


def _fault(name: str, value: Any, expected: str, chinese: str) -> ValidationFailed:
    given = repr(value)[:60]
    return ValidationFailed(
        f"{name} is {expected}, not {given}.",
        f"{name} 应为{chinese}，而不是 {given}。",
        extra={"errors": [{"pointer": f"/{name}", "message": f"{expected}, not {given}"}]},
    )


ROUGH = Notice(
    "rough_result",
    "The time limit came near, so this is the best that was ready; with more time the fill is finer.",
    "时限将至，这是已完成的最好结果；时间更充裕时填补会更精细。",
)
"""Where `rough_when_late` made a difference."""


def fell_back(model: str, instead: str) -> Notice:
    """A model's answer was no picture, or `auto`'s best could not be used, so that another one filled."""
    return Notice(
        "fell_back",
        f'The model "{model}" could not do it, so "{instead}" filled the hole.',
        f"模型“{model}”未能完成，已改用“{instead}”填补。",
    )


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How the result is encoded.

    Attributes:
        format: "same" as the input, or another.
        quality: 1..100 for lossy formats; None keeps the input's own (JPEG) or takes the format's default.
    """

    format: OutputFormat = "same"
    quality: int | None = None


class Source(Protocol):
    """Encoded bytes that lie somewhere else until they are wanted, such as an upload on the disk. Both are called in a
    worker thread, and as often as needed."""

    def read(self) -> bytes:
        """All of it."""
        ...

    def sha256(self) -> bytes:
        """The digest, 32 bytes, in little memory."""
        ...


@runtime_checkable
class Held(Protocol):
    """A `Source` that goes with its request unless it is held: equal requests may wait for work on it when its own
    caller has left."""

    def held(self) -> AbstractContextManager[None]: ...


class Keeping(StrEnum):
    """What a caller allows the cache (RFC 9111, 5.2.1)."""

    ALLOWED = "allowed"
    REFRESH = "refresh"
    """`no-cache`: a kept result will not do; the new one is kept."""
    FORBIDDEN = "forbidden"
    """`no-store`: neither."""


@dataclass(frozen=True, slots=True)
class EraseRequest:
    """One picture, one mask.

    Attributes:
        image: an encoded picture, where to read one, or one that is decoded already.
        mask: an encoded mask, where to read one, or bool (H, W) with True where to erase.
        options: see there.
        output: how to encode; None answers the decoded picture.
        keeping: whether the cache may be asked, and may keep the result.
    """

    image: bytes | Source | Photo
    mask: bytes | Source | NDArray[Any]
    options: EraseOptions = field(default_factory=EraseOptions)
    output: OutputOptions | None = field(default_factory=OutputOptions)
    keeping: Keeping = Keeping.ALLOWED


@dataclass(frozen=True, slots=True)
class EraseResult:
    """The picture without the object.

    Attributes:
        photo: decoded; None where `output` was asked for.
        encoded: encoded; None where it was not.
        model: the id of the model that ran.
        cache: where the result came from.
        width, height: of the result.
        seconds: by stage: cache, queue, decode, filter, inpaint, encode.
        notices: what could not be kept, and why.
        ahead: how many went before it when it came to the queue; 0 where it was next, or from the cache.
        slept: seconds for which the server had slept before this request; None where it was awake.
        reservation: what was charged by; None where nothing was: a result from the cache, or one that is charged by
            whoever asked.
        units: the weight of the model that ran, as it was charged; 0 where nothing was.
    """

    photo: Photo | None
    encoded: Encoded | None
    model: str
    cache: CacheResult
    width: int
    height: int
    seconds: dict[str, float]
    notices: tuple[Notice, ...]
    ahead: int = 0
    slept: float | None = None
    reservation: Reservation | None = None
    units: int = 0

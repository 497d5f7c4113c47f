"""Crops out, fills back: a model whose work another server does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from magic_eraser.errors import (
    ImageTooLarge,
    InvalidImage,
    ModelUnavailable,
    UnsupportedFormat,
    UnusableOutput,
)
from magic_eraser.imaging.codec import decode, encode
from magic_eraser.imaging.photo import Photo, Samples
from magic_eraser.models.card import ModelCard, Quality, Speed
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.remote.address import Address, DialectName
from magic_eraser.models.remote.breaker import Breaker
from magic_eraser.models.remote.dialects import Dialect, EraserDialect, IOPaintDialect
from magic_eraser.models.remote.faults import (
    Broken,
    Defect,
    Passing,
    Refused,
    Reply,
    raise_if_broken,
    raise_unless_ok,
)
from magic_eraser.models.remote.line import WORDS, Line, Question
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch

if TYPE_CHECKING:
    import httpx2

DIALECTS: Mapping[DialectName, Callable[[], Dialect]] = MappingProxyType(
    {"eraser": EraserDialect, "iopaint": IOPaintDialect}
)
"""In the order in which they are tried: a server of ours speaks both, and its own says more."""
BACK_OFF = (0.5, 1.5)
"""Seconds before the second and the third try."""
LONGEST_PAUSE = 10.0
"""A server that asks for a longer one is not waited for."""
CONTACT_SECONDS = 15.0
"""Time for the first contact, all its questions together."""


def card(id: str, title: str, licence: str, url: str) -> ModelCard:
    """What the product says about a model on another server.

    Args:
        id, title, licence: as the operator gave them.
        url: see `Address.parse`.

    Raises:
        ValidationFailed: the URL is none.
    """
    return ModelCard(
        id=id,
        title=title,
        licence=licence,
        source=Address.parse(url).base,
        speed=Speed.MODERATE,
        quality=Quality.GOOD,
        # 1536 px: a hole of 512 px goes over in full detail, and LaMa on the other side takes about 3 GB for it.
        working_size=1536,
        detail=True,
        added=True,
    )


def load(
    _setup: Setup,
    *,
    card: ModelCard,
    url: str,
    key_from: str = "",
    transport: httpx2.AsyncBaseTransport | None = None,
) -> RemoteInpainter:
    """Make contact: find out what the server speaks, whether it is ready, and whether it has the model.

    Args:
        card: see `card`.
        url: see `Address.parse`.
        key_from: name of the environment variable that holds the server's key; empty where it wants none.
        transport: instead of the network.

    Raises:
        ValidationFailed: the URL is none.
        ModelUnavailable: the server cannot be reached, speaks neither, lacks the model, or there is no key.
    """
    address = Address.parse(url)
    line = Line(address, _key(key_from), transport)
    model = RemoteInpainter(card, address, line)
    try:
        model.greet(Watch(CONTACT_SECONDS))
    except BaseException:
        model.close()
        raise
    return model


def _key(name: str) -> str:
    key = os.environ.get(name, "") if name else ""
    if (name and not key) or not (key.isascii() and key.isprintable()):
        raise ModelUnavailable(
            f"The key of the remote server is to be in the environment variable {name}, which is not set or holds what "
            "no key has.",
            f"远程服务器的密钥应存放在环境变量 {name} 中，但该变量未设置或内容无效。",
        )
    return key


class RemoteInpainter:
    """A model on another server; `inpaint` may be called from several threads at once.

    Args:
        card: see `card`.
        address: of the server.
        line: to it; closed with the model.
        breaker: of that line.
    """

    def __init__(self, card: ModelCard, address: Address, line: Line, breaker: Breaker | None = None) -> None:
        self.card = card
        self._address = address
        self._line = line
        self._breaker = breaker or Breaker(str(address))
        self._dialect: Dialect = DIALECTS[address.dialect or "eraser"]()

    def greet(self, watch: Watch) -> None:
        """Find out what the server speaks and whether the model can be used there; `inpaint` goes by it from then on.

        Raises:
            ModelUnavailable: the server cannot be reached, speaks neither, or lacks the model.
        """
        said = self._address.dialect
        for dialect in [kind() for name, kind in DIALECTS.items() if said in (None, name)]:
            try:
                reply = self._asked(dialect.greeting(), watch)
            except Refused:
                continue
            if dialect.is_spoken(reply):
                dialect.check(self._address, reply, lambda question: self._asked(question, watch))
                self._dialect = dialect
                return
        raise ModelUnavailable(
            f"At {self._address} there is a server, but it speaks neither Magic Eraser's API nor IOPaint's.",
            f"{self._address} 上的服务器既不支持 Magic Eraser 接口，也不支持 IOPaint 接口。",
        )

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        """See `Inpainter.inpaint`. What is to be erased does not leave the machine: it is sent as black.

        Raises:
            ModelUnavailable: the server cannot be reached or is busy (after three tries), refuses, or is left alone
                because it failed too often. UnusableOutput: its answer is no picture of the crop's size.
            ContentBlocked: its content filter refused. DeadlineExceeded: also where its own limit is lower.
        """
        known = np.where(hole[..., None], np.zeros(1, image.dtype), image)
        mask = hole.astype(np.uint8) * 255
        question = self._dialect.question(_png(known), _png(mask), self._address.model, options)
        # Eight bytes a pixel: a PNG with 16-bit colour and opacity, not compressed at all.
        reply = self._asked(question, watch, most=8 * hole.size + WORDS)
        if "rough_result" in reply.headers.get("x-eraser-notice", ""):
            watch.mark_rough()
        return self._pixels(reply.body, image)

    def close(self) -> None:
        """See `Inpainter.close`."""
        self._line.close()

    def _asked(self, question: Question, watch: Watch, most: int = WORDS) -> Reply:
        """The answer, of status 200, after another try or two where that helps."""
        for pause in BACK_OFF:
            try:
                return self._asked_once(question, watch, most)
            except Defect:
                raise
            except (Broken, Passing) as failure:
                wanted = failure.wait if isinstance(failure, Passing) else None
                rest = max(pause, wanted or 0.0)
                left = watch.remaining()
                if rest > LONGEST_PAUSE or (left is not None and rest >= left):
                    raise
            _pause(rest, watch)
        return self._asked_once(question, watch, most)

    def _asked_once(self, question: Question, watch: Watch, most: int) -> Reply:
        with self._breaker.attempt():
            reply = self._line.ask(question, watch, most)
            raise_if_broken(reply, self._address)
        raise_unless_ok(reply, self._address)
        return reply

    def _pixels(self, body: bytes, like: Pixels) -> Samples:
        """The picture in an answer, (H, W, 3) uint8."""
        height, width = like.shape[:2]
        try:
            answer = decode(body, max_pixels=height * width).rgb()
        except (InvalidImage, UnsupportedFormat, ImageTooLarge) as error:
            raise UnusableOutput(
                f"The remote server {self._address} answered with what is no picture of {width} x {height}: "
                f"{error.detail}",
                f"远程服务器 {self._address} 的回答不是 {width} x {height} 的图片：{error.detail_zh}",
            ) from error
        if answer.shape != like.shape or answer.dtype != like.dtype:
            raise UnusableOutput(
                f"The remote server {self._address} answered {answer.dtype} {answer.shape} for a crop of "
                f"{like.dtype} {like.shape}.",
                f"远程服务器 {self._address} 返回 {answer.dtype} {answer.shape}，"
                f"与输入 {like.dtype} {like.shape} 不符。",
            )
        return answer


def _png(samples: Samples) -> bytes:
    return encode(Photo.from_array(samples), format="png").data


def _pause(seconds: float, watch: Watch) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        watch.check()
        time.sleep(min(0.05, left))

"""What clients under load send: a photograph, holes by seed, and the bodies of requests."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from codec import saved

BOUNDARY = "boundary-of-a-benchmark"
QUALITIES = {"jpeg": {"quality": 92}, "png": {"compress_level": 6}}


def photograph(width: int, height: int) -> NDArray[np.uint8]:
    """A real photograph at another size, with grain so that it packs like one: uint8 (height, width, 3)."""
    shape = (width, height)
    enlarged = cv2.resize(data.coffee(), shape, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grain = np.random.default_rng(1).normal(0, 4, (height, width, 1)).astype(np.float32)
    return np.clip(enlarged + grain, 0, 255).astype(np.uint8)


def encoded(pixels: NDArray[np.uint8], format: str) -> bytes:
    """As cameras and editors write them: `jpeg` or `png`."""
    return saved(Image.fromarray(pixels), format.upper(), **QUALITIES[format])


def hole(width: int, height: int, seed: int, across: int = 100) -> bytes:
    """A PNG mask with one ellipse of about `across` pixels, somewhere by seed."""
    mask = np.zeros((height, width), np.uint8)
    rng = np.random.default_rng(seed)
    centre = [int(rng.integers(across, side - across)) for side in (width, height)]
    axes = (across // 2, int(across * rng.uniform(0.35, 0.5)))
    cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    return saved(Image.fromarray(mask), "PNG")


def form(fields: Mapping[str, str | bytes]) -> bytes:
    """A multipart body; bytes become files."""
    return form_of(list(fields.items()))


def form_of(fields: Sequence[tuple[str, str | bytes]]) -> bytes:
    """The same where a name comes more than once."""
    parts = []
    for name, value in fields:
        file = (
            f'; filename="{name}"\r\nContent-Type: application/octet-stream' if type(value) is bytes else ""
        )
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        parts += [head.encode(), value if isinstance(value, bytes) else value.encode(), b"\r\n"]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def post(path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole HTTP/1.1 request, a multipart one unless `headers` say otherwise."""
    given = {
        "Host": "127.0.0.1",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def erase_requests(
    format: str,
    count: int,
    size: tuple[int, int] = (1024, 768),
    headers: Mapping[str, str] | None = None,
    **fields: str,
) -> list[bytes]:
    """`count` requests of one photograph for `POST /v1/erase`, each with a hole of its own."""
    photo = encoded(photograph(*size), format)
    start = secrets.randbelow(1_000_000)
    return [
        post(
            "/v1/erase",
            form({"model": "telea", **fields, "image": photo, "mask": hole(*size, start + k)}),
            headers,
        )
        for k in range(count)
    ]

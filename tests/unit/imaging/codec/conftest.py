"""Small pictures of every kind, made without our own codec, and a way to erase a square of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from skimage import data

from magic_eraser.imaging.photo import Box, Fill, Photo

Array = NDArray[Any]
BOX = Box(20, 10, 44, 40)


@pytest.fixture(scope="session")
def astronaut() -> Array:
    """A part of the astronaut, (90, 120, 3) uint8."""
    return np.ascontiguousarray(data.astronaut()[60:150, 180:300])


@pytest.fixture(scope="session")
def deep(astronaut: Array) -> Array:
    """The same with 16 bits a channel and noise in the lower eight."""
    noise = np.random.default_rng(7).integers(0, 256, astronaut.shape)
    return (astronaut.astype(np.uint16) << 8) + noise.astype(np.uint16)


@pytest.fixture(scope="session")
def alpha() -> Array:
    """A ramp of opacity that is fully transparent at the left and fully opaque at the right, (90, 120) uint8."""
    return np.tile(np.clip(np.arange(-10, 110) * 3, 0, 255).astype(np.uint8), (90, 1))


@pytest.fixture(scope="session")
def save() -> Callable[..., bytes]:
    def to_bytes(image: Image.Image, format: str, **options: Any) -> bytes:
        out = io.BytesIO()
        image.save(out, format, **options)
        return out.getvalue()

    return to_bytes


@pytest.fixture(scope="session")
def srgb_icc() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="session")
def erase() -> Callable[..., Photo]:
    """Fill a disc inside `BOX` with one colour; the picture's own alpha stays where none is given."""

    def with_disc(
        photo: Photo, colour: tuple[int, int, int] = (40, 160, 90), opacity: int | None = None
    ) -> Photo:
        scale, dtype = (257, np.uint16) if photo.deep else (1, np.uint8)
        rgb = np.full((BOX.height, BOX.width, 3), np.array(colour) * scale, dtype)
        alpha = None if opacity is None else np.full((BOX.height, BOX.width), opacity * scale, dtype)
        return photo.with_fills([Fill(BOX, rgb, alpha, disc())])

    return with_disc


def disc() -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: BOX.height, : BOX.width]
    return (rows - BOX.height / 2) ** 2 + (columns - BOX.width / 2) ** 2 < 10**2


@pytest.fixture(scope="session")
def hole() -> NDArray[np.bool_]:
    """The disc that `erase` fills, in the whole picture: bool (90, 120)."""
    whole = np.zeros((90, 120), np.bool_)
    whole[BOX.slices] = disc()
    return whole

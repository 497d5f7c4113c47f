"""What every test may use: real photographs, masks, and encoders that are not ours."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

pytest_plugins = [
    "databases",  # PostgreSQL, SQLite, Redis: see there for how to use them
    "log_guard",  # nothing secret is logged
]

Encode = Callable[..., bytes]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where it counts, a test that was skipped has not passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def _no_weights_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What somebody downloaded here must not change what "auto" means in a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_CACHE_DIR", str(tmp_path_factory.mktemp("weights")))
        patch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))
        yield


@pytest.fixture(scope="session")
def coffee() -> NDArray[np.uint8]:
    """A cup of coffee with a spoon, (400, 600, 3) uint8, free of rights."""
    return data.coffee()


@pytest.fixture(scope="session")
def spoon(coffee: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The spoon in the photograph, generously painted over: bool (400, 600)."""
    mask = np.zeros(coffee.shape[:2], np.uint8)
    handle = [
        (398, 68), (412, 62), (426, 68), (429, 80), (421, 110), (412, 132), (405, 165), (397, 195), (391, 215),
        (389, 240), (368, 244), (372, 226), (380, 206), (392, 186), (402, 160), (409, 132), (409, 112), (404, 92),
    ]  # fmt: skip
    cv2.fillPoly(mask, [np.array(handle)], 255)
    cv2.ellipse(mask, (365, 284), (47, 47), 0, 0, 360, 255, -1)
    cv2.ellipse(mask, (336, 246), (24, 14), -20, 0, 360, 255, -1)  # its reflection in the cup
    return mask > 0


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Encode an array by Pillow: `encode(array, "PNG", **save_options)`."""

    def to_bytes(array: NDArray[Any], format: str = "PNG", **options: Any) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, format, **options)
        return buffer.getvalue()

    return to_bytes


@pytest.fixture(scope="session")
def decode() -> Callable[[bytes], NDArray[Any]]:
    """Decode bytes by Pillow, to an array of its own mode."""
    return lambda content: np.asarray(Image.open(io.BytesIO(content)))


def white(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return mask.astype(np.uint8) * 255


@pytest.fixture(scope="session")
def coffee_png(coffee: NDArray[np.uint8], encode: Encode) -> bytes:
    return encode(coffee, "PNG")


@pytest.fixture(scope="session")
def coffee_jpeg(coffee: NDArray[np.uint8], encode: Encode) -> bytes:
    return encode(coffee, "JPEG", quality=92)


@pytest.fixture(scope="session")
def spoon_png(spoon: NDArray[np.bool_], encode: Encode) -> bytes:
    return encode(white(spoon), "PNG")


@pytest.fixture(scope="session")
def dot() -> NDArray[np.bool_]:
    """A small hole in the middle of the table: bool (400, 600)."""
    mask = np.zeros((400, 600), bool)
    mask[40:52, 60:74] = True
    return mask


@pytest.fixture(scope="session")
def dot_png(dot: NDArray[np.bool_], encode: Encode) -> bytes:
    return encode(white(dot), "PNG")

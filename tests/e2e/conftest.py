"""A real server, a real Chromium, and a person's hands: `Studio` does on the page what one would do oneself."""

from __future__ import annotations

import base64
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from server_process import Server

sync_api = pytest.importorskip("playwright.sync_api")

SHOTS = Path(__file__).parents[2] / "artifacts" / "screenshots"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
KEEP_MASKS = """
  const send = window.fetch;
  window.sentMasks = [];
  window.fetch = (address, init) => {
    const mask = init?.body instanceof FormData ? init.body.get("mask") : null;
    if (mask !== null) window.sentMasks.push(mask);
    return send(address, init);
  };
"""
# Most of these tests are about the page, not about the fill: the instant model keeps them short.
START_QUICK = """
  if (localStorage.getItem("magic-eraser") === null) localStorage.setItem("magic-eraser", '{"model":"telea"}');
"""
READ_MASK = """async () => {
  const bytes = new Uint8Array(await window.sentMasks.at(-1).arrayBuffer());
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
}"""
# The photo is what is wholly opaque on its layer; around it lie only its shadow and nothing. It always covers
# the middle of the stage, so one row and one column tell.
FIND_PHOTO = """canvas => {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const ends = (pixels) => {
    const opaque = [...pixels.data].flatMap((value, i) => (i % 4 === 3 && value === 255 ? [(i - 3) / 4] : []));
    return [opaque.at(0), opaque.at(-1) + 1];
  };
  const [left, right] = ends(context.getImageData(0, Math.floor(height / 2), width, 1));
  const [top, bottom] = ends(context.getImageData(Math.floor(width / 2), 0, 1, height));
  const box = canvas.getBoundingClientRect();
  const density = width / box.width;
  return [box.left + left / density, box.top + top / density, (right - left) / density, (bottom - top) / density];
}"""
COUNT_PAINT = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0;
  for (let i = 3; i < data.length; i += 4) painted += data[i] > 127;
  return painted;
}"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the embedded defaults and a data folder of its own."""
    process = Server(tmp_path_factory.mktemp("server"))
    process.wait_ready()
    yield process.url + "/"
    assert process.stop() == 0
    assert "Traceback" not in process.log


@pytest.fixture(scope="module")  # Playwright runs an event loop in this thread; later tests want their own
def browser() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        message = "No Chromium on this machine: apt-get install chromium fonts-noto-cjk"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Studio:
    """The page in the hands of a person. Points are pixels of the photo."""

    def __init__(self, page: Any, size: tuple[int, int]) -> None:
        self.page = page
        self.size = size
        self.uploads: list[str] = []
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)

    def _console(self, message: Any) -> None:
        # A refused request is told to the person; Chromium also notes it in the console, and that is all right.
        # Reading the canvas back is what these tests do, not the page.
        expected = ("Failed to load resource", "Multiple readback operations")
        if message.type in ("error", "warning") and not any(text in message.text for text in expected):
            self.complaints.append(message.text)

    def _request(self, request: Any) -> None:
        if request.url.startswith(("http:", "https:")) and "//127.0.0.1:" not in request.url:
            self.strangers.append(request.url)
        if request.method == "POST" and request.url.endswith("/v1/images"):
            self.uploads.append(request.url)

    def part(self, name: str) -> Any:
        return self.page.get_by_test_id(name)

    def choose(self, path: Path | dict[str, Any]) -> None:
        self.part("file").set_input_files(path)

    def load(self, path: Path | dict[str, Any]) -> None:
        self.choose(path)
        self.part("editor").wait_for()
        self.settle()

    def settle(self) -> None:
        """Let the page draw."""
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def photo(self) -> tuple[float, float, float, float]:
        """Where the photo lies on the page: left, top, width, height."""
        left, top, width, height = self.part("photo-layer").evaluate(FIND_PHOTO)
        return left, top, width, height

    def where(self, x: float, y: float) -> tuple[float, float]:
        left, top, width, height = self.photo()
        return left + x * width / self.size[0], top + y * height / self.size[1]

    def brush(self, slider: int) -> float:
        """Set the slider; the brush's diameter in pixels of the photo."""
        self.part("size").fill(str(slider))
        return 4 * 60 ** (slider / 100) * self.size[0] / self.photo()[2]

    def stroke(self, *points: tuple[float, float]) -> None:
        places = [self.where(*point) for point in points]
        mouse = self.page.mouse
        mouse.move(*places[0])
        mouse.down()
        for place in places[1:]:
            mouse.move(*place, steps=8)
        mouse.up()
        self.settle()

    def painted(self) -> int:
        """Screen pixels that are painted."""
        self.settle()
        return int(self.part("paint-layer").evaluate(COUNT_PAINT))

    def erase(self) -> None:
        with self.page.expect_response("**/v1/erase", timeout=60_000):
            self.part("erase").click()
        self.wait_for_result()

    def wait_for_result(self) -> None:
        self.part("busy").wait_for(state="hidden", timeout=60_000)
        self.settle()

    def mask(self) -> NDArray[np.bool_]:
        """The mask that was sent last."""
        png = base64.b64decode(self.page.evaluate(READ_MASK))
        with Image.open(io.BytesIO(png)) as image:
            return np.asarray(image.convert("L")) > 127

    def download(self, folder: Path) -> Path:
        with self.page.expect_download() as download:
            self.part("download").click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path

    def screen(self) -> NDArray[np.uint8]:
        """The pixels of the page."""
        with Image.open(io.BytesIO(self.page.screenshot(animations="disabled"))) as image:
            return np.asarray(image.convert("RGB"))

    def shot(self, name: str) -> None:
        """For the eyes of whoever changes the page: look at them."""
        self.page.wait_for_timeout(300)  # colours and panels take this long to arrive
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """`kind`: Start, Move, End; `points`: page pixels of every finger that is down."""
        if not hasattr(self, "_cdp"):
            self._cdp = self.page.context.new_cdp_session(self.page)
        fingers = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        self._cdp.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": fingers})


DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US"}
PHONE: dict[str, Any] = {
    "viewport": {"width": 375, "height": 812},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
    "locale": "en-US",
}


@pytest.fixture
def open_studio(browser: Any, server: str) -> Iterator[Callable[..., Studio]]:
    """Opens the page; in the end nothing may have gone to the console or to another host."""
    studios: list[Studio] = []

    def open_(device: dict[str, Any] = DESKTOP, *, quick: bool = True, **options: Any) -> Studio:
        context = browser.new_context(**{**device, **options})
        context.add_init_script(KEEP_MASKS)
        if quick:
            context.add_init_script(START_QUICK)
        studio = Studio(context.new_page(), (600, 400))
        studios.append(studio)
        studio.page.goto(server)
        return studio

    yield open_
    for studio in studios:
        studio.page.context.close()
        assert studio.complaints == []
        assert studio.strangers == []


@pytest.fixture
def studio(open_studio: Callable[..., Studio]) -> Studio:
    return open_studio()


@pytest.fixture
def phone(open_studio: Callable[..., Studio]) -> Studio:
    return open_studio(PHONE)


@pytest.fixture
def coffee_file(tmp_path: Path, coffee_png: bytes) -> Path:
    path = tmp_path / "coffee.png"
    path.write_bytes(coffee_png)
    return path


@pytest.fixture
def coffee_jpg(tmp_path: Path, coffee_jpeg: bytes) -> Path:
    path = tmp_path / "coffee.jpg"
    path.write_bytes(coffee_jpeg)
    return path

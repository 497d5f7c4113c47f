"""Gradio's page at `/ui`, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the extra `ui` is not installed")

SHOTS = Path(__file__).parents[2] / "artifacts" / "screenshots"
TWO_PICTURES = """id => {
  const pictures = [...document.querySelectorAll(`#${id} img`)];
  return pictures.length >= 2 && pictures.every(picture => picture.complete && picture.naturalWidth > 0);
}"""
SPOON = [(412, 66), (412, 130), (395, 220), (366, 284)]
WORDS = {
    "zh-CN": {
        "tabs": ["涂抹", "上传蒙版"], "erase": "开始处理", "clear": "清除", "download": "下载结果",
        "no image": "请先选择一张图片。", "too large": "请使用主页面",
    },
    "en-US": {
        "tabs": ["Paint", "Upload a mask"], "erase": "Erase", "clear": "Clear", "download": "Download the result",
        "no image": "Choose a photo first.", "too large": "main page takes larger ones",
    },
}  # fmt: skip


class SimplePage:
    """The page in the hands of a person. Points are pixels of the photo, which is 600 x 400."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.strangers: list[str] = []
        self.faults: list[str] = []
        page.on("request", self._request)
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    def _request(self, request: Any) -> None:
        if request.url.startswith(("http:", "https:")) and "//127.0.0.1:" not in request.url:
            self.strangers.append(request.url)

    def part(self, name: str) -> Any:
        return self.page.locator(f"#me_{name}")

    def settle(self) -> None:
        """Wait for the canvas: a photo that comes earlier is lost to an error of Gradio's."""
        self.part("editor").locator(".pixi-target canvas").wait_for(timeout=60_000)
        self.page.wait_for_timeout(800)

    def load(self, path: Path) -> None:
        self.part("editor").locator("input[type=file]").first.set_input_files(path)
        self.part("editor").get_by_label("Brush Size").wait_for()
        self.page.wait_for_timeout(800)  # the canvas takes the picture's size, with an animation

    def stroke(self, *points: tuple[float, float]) -> None:
        box = self.part("editor").locator(".pixi-target canvas").bounding_box()
        zoom = int(self.part("editor").locator(".zoom-number").inner_text().rstrip("% \n")) / 100
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        places = [(middle[0] + (x - 300) * zoom, middle[1] + (y - 200) * zoom) for x, y in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=10)
        self.page.mouse.up()
        self.page.wait_for_timeout(300)

    def wait_for_result(self, name: str) -> None:
        self.page.wait_for_function(TWO_PICTURES, arg=f"me_{name}", timeout=60_000)

    def toast(self) -> str:
        body = self.page.get_by_test_id("toast-body").first
        body.wait_for()
        return str(body.inner_text())

    def download(self, name: str, folder: Path) -> Path:
        with self.page.expect_download() as download:
            self.part(name).click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=SHOTS / f"simple-{name}.png", full_page=True)


@pytest.fixture
def open_page(browser: Any, server: str) -> Iterator[Callable[..., SimplePage]]:
    """Opens `/ui`; in the end nothing may have gone to another host."""
    pages: list[SimplePage] = []

    def open_(locale: str = "en-US", width: int = 1280, height: int = 900) -> SimplePage:
        context = browser.new_context(locale=locale, viewport={"width": width, "height": height})
        page = SimplePage(context.new_page())
        pages.append(page)
        page.page.goto(f"{server}ui", timeout=60_000)
        page.settle()
        return page

    yield open_
    for page in pages:
        page.page.context.close()
        assert page.strangers == []
        assert page.faults == []


@pytest.mark.parametrize("locale", WORDS)
def test_a_person_paints_erases_compares_and_downloads(open_page, coffee_file, coffee, tmp_path, locale):
    page, words = open_page(locale), WORDS[locale]
    assert page.page.title() == "Magic Eraser 魔术橡皮擦"
    assert [tab.inner_text() for tab in page.page.get_by_role("tab").all()] == words["tabs"]
    assert page.part("paint_erase").inner_text() == words["erase"]
    assert page.part("paint_clear").inner_text() == words["clear"]
    assert page.part("download").inner_text() == words["download"]
    assert "__i18n__" not in page.page.content().split("<body")[1].split("<script")[0]
    page.shot(f"{locale}-1-start")

    page.load(coffee_file)
    page.stroke(*SPOON)
    page.shot(f"{locale}-2-painted")
    page.part("paint_erase").click()
    page.wait_for_result("result")
    page.shot(f"{locale}-3-erased")

    path = page.download("download", tmp_path)
    with Image.open(path) as picture:
        result = np.asarray(picture.convert("RGB"))
    assert path.name.endswith("-erased.png")
    changed = (result != coffee).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert changed.sum() > 2000
    assert changed[100:120, 405:418].mean() > 0.8
    assert columns.min() > 320
    assert columns.max() < 460
    assert rows.max() < 340


def test_clear_empties_everything_and_the_next_photo_works(open_page, coffee_file):
    page = open_page()
    page.load(coffee_file)
    page.stroke((100, 100), (150, 120))
    page.part("paint_erase").click()
    page.wait_for_result("result")

    page.part("paint_clear").click()

    page.page.wait_for_function("() => document.querySelectorAll('#me_result img').length === 0")
    page.page.wait_for_function("() => document.querySelector('#me_download').disabled")
    page.settle()
    page.load(coffee_file)
    page.stroke((400, 300), (450, 320))
    page.part("paint_erase").click()
    page.wait_for_result("result")


def test_a_mask_can_be_uploaded_and_the_format_is_kept(open_page, coffee_jpg, tmp_path, spoon_png):
    mask = tmp_path / "mask.png"
    mask.write_bytes(spoon_png)
    page = open_page()
    page.page.get_by_role("tab").nth(1).click()
    for name, path in (("image", coffee_jpg), ("mask", mask)):
        page.part(name).locator("input[type=file]").first.set_input_files(path)
        page.part(name).locator("img").wait_for()
    page.part("upload_erase").click()
    page.wait_for_result("upload_result")
    page.shot("mask-uploaded")

    path = page.download("upload_download", tmp_path)

    assert path.name == "coffee-erased.jpg"
    with Image.open(path) as picture:
        assert picture.format == "JPEG"


def test_a_mask_that_left_a_rim_can_grow_to_it(open_page, encode, tmp_path):
    y, x = np.mgrid[:160, :200]
    away = np.hypot(x - 100, y - 80)
    paths = {name: tmp_path / f"{name}.png" for name in ("image", "mask")}
    paths["image"].write_bytes(encode(np.where(away < 40, 40, 180).astype(np.uint8)))
    paths["mask"].write_bytes(encode((away < 38).astype(np.uint8) * 255))
    page = open_page()
    page.page.get_by_role("tab").nth(1).click()
    for name, path in paths.items():
        page.part(name).locator("input[type=file]").first.set_input_files(path)
        page.part(name).locator("img").wait_for()
    page.part("effort").get_by_label("Quick").check()
    page.part("grow").get_by_role("checkbox").check()
    page.part("upload_erase").click()
    page.wait_for_result("upload_result")
    page.shot("grown")

    with Image.open(page.download("upload_download", tmp_path)) as picture:
        assert np.asarray(picture).min() > 150


@pytest.mark.parametrize("locale", WORDS)
def test_failures_are_sentences_in_the_persons_language(open_page, tmp_path, locale):
    page, words = open_page(locale), WORDS[locale]
    page.part("paint_erase").click()
    assert words["no image"] in page.toast()
    page.shot(f"{locale}-4-error")
    page.page.get_by_test_id("toast-close").click()
    page.page.get_by_test_id("toast-body").wait_for(state="hidden")

    wide = tmp_path / "wide.png"
    Image.new("RGB", (4100, 300), "teal").save(wide)
    page.load(wide)
    page.part("paint_erase").click()
    assert words["too large"] in page.toast()
    assert page.page.get_by_test_id("toast-body").locator("a").get_attribute("href") == "../"


def test_it_fits_a_phone(open_page):
    page = open_page("zh-CN", 375, 800)
    page.shot("phone")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 375

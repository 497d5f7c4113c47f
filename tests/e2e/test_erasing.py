"""A person erases an object from a photograph with the mouse and takes the result home."""

from __future__ import annotations

import io
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

HANDLE = [(412, 74), (414, 92), (407, 130), (396, 190), (384, 246)]
BOWL = [(348, 268), (380, 266), (390, 290), (372, 308), (348, 304), (344, 280), (368, 288)]
ON_THE_TABLE = [(70, 330), (110, 350)]


def paint_spoon(studio: Any) -> None:
    studio.brush(64)
    studio.stroke(*HANDLE)
    studio.brush(72)
    studio.stroke(*BOWL)


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_the_spoon_goes_and_nothing_else_changes(open_studio, coffee, coffee_file, spoon, tmp_path):
    studio = open_studio(quick=False)
    studio.page.wait_for_timeout(2600)  # until the little film shows its paint
    studio.shot("desktop-1-start")
    studio.load(coffee_file)
    studio.shot("desktop-2-open")
    paint_spoon(studio)
    studio.shot("desktop-3-painted")
    studio.erase()
    studio.shot("desktop-4-erased")

    mask = studio.mask()
    assert mask.shape == (400, 600)
    assert (mask & spoon).sum() / spoon.sum() > 0.9
    path = studio.download(tmp_path)
    assert path.name == "coffee-erased.png"
    result = read(path)
    assert result.shape == coffee.shape
    assert np.array_equal(result[~mask], coffee[~mask])
    assert np.abs(result[spoon].astype(int) - coffee[spoon]).mean() > 15


def test_the_mask_is_where_the_brush_was(studio, coffee_file):
    studio.load(coffee_file)
    radius = studio.brush(60) / 2
    studio.stroke((100, 100), (220, 160))
    studio.erase()
    y, x = np.mgrid[:400, :600] + 0.5
    along = np.clip(((x - 100) * 120 + (y - 100) * 60) / (120**2 + 60**2), 0, 1)
    expected = np.hypot(x - 100 - along * 120, y - 100 - along * 60) < radius
    mask = studio.mask()
    assert (mask & expected).sum() / (mask | expected).sum() > 0.95


def test_a_jpeg_stays_a_jpeg_and_is_uploaded_once(studio, coffee, coffee_jpg, tmp_path):
    studio.load(coffee_jpg)
    paint_spoon(studio)
    studio.erase()
    studio.brush(50)
    studio.stroke(*ON_THE_TABLE)
    studio.erase()
    path = studio.download(tmp_path)
    assert path.name == "coffee-erased.jpg"
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (600, 400))
        difference = np.abs(np.asarray(image).astype(int) - coffee)
    assert np.median(difference) < 6
    assert len(studio.uploads) == 1


def test_erasing_goes_on_from_the_result_and_both_can_be_undone(studio, coffee, coffee_file, tmp_path):
    studio.load(coffee_file)
    untouched = studio.screen()[100:660, 200:1080]
    paint_spoon(studio)
    studio.erase()
    first_mask = studio.mask()
    first = read(studio.download(tmp_path))
    studio.brush(50)
    studio.stroke(*ON_THE_TABLE)
    studio.erase()
    second_mask = studio.mask()
    assert not (second_mask & first_mask).any(), (
        "the second mask holds only what was painted after the first erase"
    )
    second = read(studio.download(tmp_path))
    assert np.array_equal(second[~second_mask], first[~second_mask])

    for _ in range(2):  # the result, then the stroke on the table
        studio.page.keyboard.press("Control+z")
    assert np.array_equal(read(studio.download(tmp_path)), first)
    for _ in range(3):  # the result, then bowl and handle
        studio.page.keyboard.press("Control+z")
    studio.page.wait_for_timeout(3600)  # until the last whisper has faded
    assert studio.part("undo").is_disabled()
    assert np.abs(studio.screen()[100:660, 200:1080].astype(int) - untouched).mean() < 0.5
    for _ in range(5):
        studio.page.keyboard.press("Control+Shift+z")
    assert np.array_equal(read(studio.download(tmp_path)), second)


def test_before_and_after_can_be_compared(studio, coffee_file):
    studio.load(coffee_file)
    assert studio.part("compare").is_disabled()
    paint_spoon(studio)
    studio.erase()
    after = studio.screen()
    studio.part("compare").click()
    left, top, width, height = studio.photo()
    handle = studio.part("split")
    start = handle.bounding_box()
    studio.page.mouse.move(start["x"] + 24, start["y"] + 24)
    studio.page.mouse.down()
    studio.page.mouse.move(left + width * 0.62, top + height / 2, steps=6)
    studio.page.mouse.up()
    studio.settle()
    studio.shot("desktop-5-compare")
    assert handle.get_attribute("aria-valuenow") == "62"
    x, y = (round(v) for v in studio.where(352, 300))  # the bowl, left of the line: as it was before
    before = studio.screen()
    assert (
        np.abs(before[y - 5 : y + 5, x - 5 : x + 5].astype(int) - after[y - 5 : y + 5, x - 5 : x + 5]).mean()
        > 10
    )
    handle.focus()
    studio.page.keyboard.press("ArrowRight")
    assert handle.get_attribute("aria-valuenow") == "64"
    studio.page.keyboard.press("Escape")
    assert not handle.is_visible()


def test_the_original_shows_while_its_button_is_held(studio, coffee_file):
    studio.load(coffee_file)
    paint_spoon(studio)
    studio.erase()
    x, y = (round(v) for v in studio.where(366, 290))
    patch = np.s_[y - 12 : y + 12, x - 12 : x + 12]
    after = studio.screen()[patch].astype(int)
    studio.page.keyboard.down("o")
    studio.settle()
    assert np.abs(studio.screen()[patch] - after).mean() > 10
    studio.page.keyboard.up("o")
    studio.settle()
    assert np.abs(studio.screen()[patch] - after).mean() < 1


def test_cancel_stops_the_erase_and_keeps_the_paint(studio, coffee_file):
    studio.load(coffee_file)
    paint_spoon(studio)
    painted = studio.painted()
    studio.page.route("**/v1/erase", lambda _route: None)  # never answers
    studio.part("erase").click()
    studio.page.wait_for_timeout(1200)
    assert 1 <= float(studio.part("elapsed").inner_text().split()[0]) < 3
    studio.shot("desktop-6-busy")
    studio.part("cancel").click()
    studio.wait_for_result()
    assert studio.painted() == painted
    assert studio.part("download").is_disabled()
    assert "Cancelled" in studio.part("whisper").inner_text()
    studio.page.unroute("**/v1/erase")
    studio.erase()
    assert studio.part("download").is_enabled()


def test_an_upload_that_the_server_forgot_is_sent_again_without_a_word(studio, coffee_file, server):
    with studio.page.expect_response(lambda response: response.url.endswith("/v1/images")) as uploaded:
        studio.load(coffee_file)
    forget = urllib.request.Request(f"{server}v1/images/{uploaded.value.json()['id']}", method="DELETE")
    with urllib.request.urlopen(forget):
        pass
    paint_spoon(studio)
    studio.erase()
    assert studio.part("download").is_enabled()
    assert len(studio.uploads) == 2
    assert studio.part("error").count() == 0


def test_another_format_and_model_can_be_chosen_and_are_remembered(studio, coffee_file, tmp_path):
    studio.load(coffee_file)
    studio.part("settings").click()
    studio.part("model-ns").check()
    studio.part("dilate").fill("3")
    studio.part("format").select_option("webp")
    studio.page.wait_for_timeout(300)
    studio.shot("desktop-7-settings")
    studio.page.keyboard.press("Escape")
    paint_spoon(studio)
    with studio.page.expect_response("**/v1/erase") as answer:
        studio.part("erase").click()
    studio.wait_for_result()
    assert answer.value.headers["x-eraser-model"] == "ns"
    path = studio.download(tmp_path)
    assert path.name == "coffee-erased.webp"
    with Image.open(path) as image:
        assert image.format == "WEBP"
    studio.page.reload()
    studio.part("settings").click()
    studio.part("model-ns").wait_for()
    assert studio.part("model-ns").is_checked()
    assert (studio.part("dilate").input_value(), studio.part("format").input_value()) == ("3", "webp")


def test_a_photo_held_upright_by_exif_is_masked_as_it_is_seen(studio, coffee, tmp_path):
    path = tmp_path / "upright.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, shown turned by 90 degrees
    Image.fromarray(coffee).save(path, quality=95, exif=exif)
    studio.size = (400, 600)
    studio.load(path)
    _left, _top, width, height = studio.photo()
    assert width < height
    studio.brush(50)
    studio.stroke((300, 500), (330, 540))
    studio.erase()
    mask = studio.mask()
    assert mask.shape == (600, 400)
    rows, columns = np.nonzero(mask)
    assert abs(rows.mean() - 520) < 4
    assert abs(columns.mean() - 315) < 4
    with Image.open(studio.download(tmp_path)) as image:
        assert image.size == (400, 600)


def test_a_photo_that_the_browser_cannot_show_is_shown_by_the_server(studio, coffee, tmp_path):
    path = tmp_path / "scan.tif"
    Image.fromarray(coffee).save(path)
    studio.load(path)
    studio.brush(50)
    studio.stroke(*ON_THE_TABLE)
    studio.erase()
    saved = studio.download(tmp_path)
    assert saved.name == "scan-erased.tif"
    result = read(saved)
    mask = studio.mask()
    assert np.array_equal(result[~mask], coffee[~mask])


def test_a_large_photo_is_masked_in_its_own_pixels(studio, coffee, tmp_path):
    big = (
        Image.fromarray(coffee)
        .resize((6000, 4000), Image.Resampling.BICUBIC)
        .filter(ImageFilter.GaussianBlur(1))
    )
    path = tmp_path / "big.jpg"
    big.save(path, quality=88)
    studio.size = (6000, 4000)
    studio.load(path)
    studio.brush(45)
    studio.stroke((700, 3300), (1100, 3500))
    studio.erase()
    assert studio.mask().shape == (4000, 6000)
    with Image.open(io.BytesIO(studio.download(tmp_path).read_bytes())) as image:
        assert image.size == (6000, 4000)

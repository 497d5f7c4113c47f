"""The page in a hand: 375 pixels wide, by touch."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


def test_a_finger_paints_and_erases(phone, coffee, coffee_jpg, tmp_path):
    phone.page.wait_for_timeout(2600)
    phone.shot("phone-1-start")
    phone.load(coffee_jpg)
    places = [phone.where(*point) for point in [(352, 262), (380, 272), (384, 300), (350, 306)]]
    phone.touch("Start", places[0])
    for place in places[1:]:
        phone.touch("Move", place)
    phone.touch("End")
    assert phone.painted() > 0
    assert not phone.part("ring").is_visible(), "a finger covers what a ring would show"
    phone.shot("phone-2-painted")
    with phone.page.expect_response("**/v1/erase", timeout=60_000):
        phone.part("erase").tap()
    phone.wait_for_result()
    phone.shot("phone-3-erased")
    mask = phone.mask()
    assert mask.shape == (400, 600)
    assert mask[262, 352]
    assert mask[300, 384]
    phone.part("compare").tap()
    phone.settle()
    phone.shot("phone-4-compare")
    phone.part("settings").tap()
    phone.page.wait_for_timeout(400)
    phone.shot("phone-5-settings")
    phone.page.keyboard.press("Escape")
    path = phone.download(tmp_path)
    assert path.name == "coffee-erased.jpg"
    with Image.open(path) as image:
        assert image.size == (600, 400)
        assert np.median(np.abs(np.asarray(image).astype(int) - coffee)) < 6


def test_a_pinch_zooms_and_never_paints(phone, coffee_file):
    phone.load(coffee_file)
    before = phone.photo()
    left, right = phone.where(250, 200), phone.where(350, 200)
    phone.touch("Start", left)
    phone.touch(
        "Move", (left[0] + 6, left[1] + 4)
    )  # the first finger is down and moves before the second comes
    assert phone.painted() > 0
    phone.touch("Start", left, right)
    for step in range(1, 9):
        phone.touch("Move", (left[0] - 8 * step, left[1]), (right[0] + 8 * step, right[1]))
    phone.touch("End", (left[0] - 64, left[1]))
    phone.touch("Move", (left[0] - 20, left[1] + 30))  # the finger that is left over
    phone.touch("End")
    phone.settle()
    assert phone.painted() == 0
    assert phone.part("undo").is_disabled()
    assert phone.page.evaluate("visualViewport.scale") == 1, "the photo zooms, not the page"
    zoomed = float(phone.part("zoom-label").inner_text().rstrip("%"))
    assert zoomed == pytest.approx(
        100 * before[2] / 600 * (right[0] - left[0] + 128) / (right[0] - left[0]), rel=0.1
    )
    phone.part("fit").tap()
    phone.settle()
    assert phone.photo() == pytest.approx(before, abs=1)


def test_the_tools_are_in_reach_of_the_thumb_and_large_enough(phone, coffee_file):
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 375
    phone.load(coffee_file)
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 375
    assert phone.page.evaluate("document.documentElement.scrollHeight") == 812
    for name in ("erase", "clear", "mode-paint", "mode-keep", "size"):
        assert phone.part(name).bounding_box()["y"] > 812 * 0.75, name
    small = phone.page.evaluate("""() => [...document.querySelectorAll("button, input")]
      .filter((each) => each.checkVisibility())
      .map((each) => [each.id, each.getBoundingClientRect()])
      .filter(([, box]) => box.width < 44 || box.height < 44)
      .map(([id, box]) => `${id} ${box.width} x ${box.height}`)""")
    assert small == []


def test_a_phone_held_sideways_has_its_button_and_its_tools_in_sight(open_studio, coffee_file):
    studio = open_studio({"viewport": {"width": 812, "height": 375}, "has_touch": True, "is_mobile": True})
    button = studio.part("choose").bounding_box()
    assert button["y"] + button["height"] <= 375
    studio.load(coffee_file)
    assert studio.page.evaluate("document.documentElement.scrollWidth") == 812
    erase = studio.part("erase").bounding_box()
    assert erase["y"] + erase["height"] <= 375
    _left, top, _width, height = studio.photo()
    assert top + height <= erase["y"], "the fitted photo is not under the tools"
    studio.shot("phone-7-sideways")


def test_a_narrow_phone_in_chinese_has_no_sideways_scroll(open_studio, coffee_file):
    studio = open_studio(
        {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True}, locale="zh-CN"
    )
    assert studio.page.evaluate("document.documentElement.scrollWidth") == 320
    studio.load(coffee_file)
    assert studio.page.evaluate("document.documentElement.scrollWidth") == 320
    studio.shot("phone-6-narrow-chinese")

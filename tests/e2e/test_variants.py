"""A person who does not like the result lets it be tried again, and picks the best."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SPOON = [(412, 74), (407, 130), (384, 246), (366, 290)]
ON_THE_TABLE = [(70, 330), (110, 350)]
KEEP_FORMS = """
  const send = window.fetch;
  window.sentForms = [];
  window.fetch = (address, init) => {
    if (init?.body instanceof FormData) window.sentForms.push(Object.fromEntries(init.body));
    return send(address, init);
  };
"""


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def again(studio: Any) -> None:
    with studio.page.expect_response("**/v1/erase", timeout=60_000):
        studio.part("again").click()
    studio.wait_for_result()


def label(studio: Any) -> str:
    return str(studio.part("variant-label").inner_text())


def test_a_result_can_be_tried_again_and_the_best_be_picked(open_studio, coffee, coffee_file, tmp_path):
    studio = open_studio(quick=False)
    studio.load(coffee_file)
    studio.brush(64)
    studio.stroke(*SPOON)
    painted = studio.painted()
    assert not studio.part("again").is_visible()
    studio.erase()
    studio.shot("variants-1-first")
    assert studio.part("again").is_visible()
    assert not studio.part("erase").is_visible()
    assert not studio.part("variant-before").is_visible()
    mask = studio.mask()
    first = read(studio.download(tmp_path))
    again(studio)
    assert np.array_equal(studio.mask(), mask)
    second = read(studio.download(tmp_path))
    assert (second[mask] != first[mask]).any()
    assert np.array_equal(second[~mask], coffee[~mask])
    studio.page.keyboard.press("t")
    studio.part("busy").wait_for()
    studio.wait_for_result()
    assert label(studio) == "3/3"
    assert studio.part("variant-after").is_disabled()
    studio.shot("variants-2-third")

    studio.page.keyboard.press("ArrowLeft")
    assert label(studio) == "2/3"
    assert np.array_equal(read(studio.download(tmp_path)), second)
    studio.part("variant-before").click()
    assert studio.part("variant-before").is_disabled()
    assert np.array_equal(read(studio.download(tmp_path)), first)
    studio.page.keyboard.press("ArrowRight")
    studio.part("undo").click()
    assert studio.painted() == painted, "one step back is before the erase, whatever was tried"
    assert studio.part("erase").is_visible()
    studio.part("redo").click()
    assert label(studio) == "2/3"
    assert np.array_equal(read(studio.download(tmp_path)), second)


def test_the_next_erase_goes_on_from_the_variant_that_was_picked(studio, coffee_file, tmp_path):
    studio.page.evaluate("""localStorage.setItem("magic-eraser", '{"model":"patch"}')""")
    studio.page.reload()
    studio.load(coffee_file)
    studio.brush(50)
    studio.stroke((366, 280), (384, 246))
    studio.erase()
    first = read(studio.download(tmp_path))
    again(studio)
    studio.part("variant-before").click()
    studio.stroke(*ON_THE_TABLE)
    assert not studio.part("again").is_visible()
    studio.erase()
    mask = studio.mask()
    last = read(studio.download(tmp_path))
    assert np.array_equal(last[~mask], first[~mask])
    for _ in range(2):  # the result, then the stroke on the table
        studio.page.keyboard.press("Control+z")
    studio.page.keyboard.press("ArrowRight")
    assert label(studio) == "2/2"
    assert studio.part("redo").is_disabled(), "what was done on the other variant does not belong to this one"
    studio.page.keyboard.press("ArrowLeft")
    for _ in range(2):
        studio.page.keyboard.press("Control+y")
    assert np.array_equal(read(studio.download(tmp_path)), last)


def test_a_model_with_one_answer_says_so(studio, coffee_file):
    studio.load(coffee_file)
    studio.stroke((100, 100), (160, 120))
    studio.erase()
    again(studio)
    assert "no other way" in studio.part("whisper").inner_text()
    assert not studio.part("variant-before").is_visible()


def test_trying_again_can_be_cancelled(studio, coffee_file):
    studio.load(coffee_file)
    studio.stroke((100, 100), (160, 120))
    studio.erase()
    studio.page.route("**/v1/erase", lambda _route: None)  # never answers
    studio.part("again").click()
    studio.part("cancel").click()
    studio.wait_for_result()
    studio.page.unroute("**/v1/erase")
    assert "Cancelled" in studio.part("whisper").inner_text()
    assert studio.part("again").is_enabled()
    assert studio.part("download").is_enabled()


def test_the_arrows_move_what_has_the_focus_and_not_the_variants(open_studio, coffee_file):
    studio = open_studio(quick=False)
    studio.load(coffee_file)
    studio.brush(50)
    studio.stroke((366, 280), (384, 246))
    studio.erase()
    again(studio)
    studio.part("size").focus()
    studio.page.keyboard.press("ArrowLeft")
    assert label(studio) == "2/2"
    studio.part("compare").click()
    studio.part("split").focus()
    studio.page.keyboard.press("ArrowLeft")
    assert studio.part("split").get_attribute("aria-valuenow") == "48"
    assert label(studio) == "2/2"


def test_a_finger_finds_it_too(phone, coffee_jpg):
    phone.page.evaluate("""localStorage.setItem("magic-eraser", '{"model":"patch"}')""")
    phone.page.reload()
    phone.load(coffee_jpg)
    places = [phone.where(*point) for point in [(352, 262), (380, 272), (384, 300), (350, 306)]]
    phone.touch("Start", places[0])
    for place in places[1:]:
        phone.touch("Move", place)
    phone.touch("End")
    with phone.page.expect_response("**/v1/erase", timeout=60_000):
        phone.part("erase").tap()
    phone.wait_for_result()
    phone.shot("variants-3-phone-first")
    dock = phone.part("again").bounding_box()
    assert dock["height"] >= 44
    with phone.page.expect_response("**/v1/erase", timeout=60_000):
        phone.part("again").tap()
    phone.wait_for_result()
    assert label(phone) == "2/2"
    phone.part("settings").tap()
    phone.part("language-zh").tap()
    phone.shot("variants-6-phone-settings-zh")
    phone.page.keyboard.press("Escape")
    phone.shot("variants-4-phone-second-zh")
    assert "换一个" in phone.part("again").inner_text()
    for name in ("variant-before", "variant-after", "again"):
        box = phone.part(name).bounding_box()
        assert min(box["width"], box["height"]) >= 44
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 375
    phone.part("variant-before").tap()
    assert label(phone) == "1/2"


def test_growth_and_quality_are_sent_and_remembered(studio, coffee_file):
    studio.page.add_init_script(KEEP_FORMS)
    studio.page.reload()
    studio.load(coffee_file)
    studio.part("settings").click()
    assert studio.part("effort-balanced").get_attribute("aria-pressed") == "true"
    studio.part("dilate-auto").check()
    studio.part("effort-best").click()
    studio.page.wait_for_timeout(300)
    studio.shot("variants-5-settings")
    studio.page.keyboard.press("Escape")
    studio.stroke((100, 100), (160, 120))
    studio.erase()
    studio.page.reload()
    studio.part("settings").click()
    assert studio.part("dilate-auto").is_checked()
    assert studio.part("effort-best").get_attribute("aria-pressed") == "true"
    studio.part("dilate").fill("6")
    assert not studio.part("dilate-auto").is_checked()
    studio.page.keyboard.press("Escape")
    studio.load(coffee_file)
    studio.stroke((100, 100), (160, 120))
    studio.erase()
    (form,) = studio.page.evaluate("window.sentForms.filter((form) => 'mask' in form)")
    assert (form["dilate"], form["effort"], form["rough_when_late"]) == ("6", "best", "true")


def test_a_rough_result_is_told_every_time(studio, coffee_file):
    def rough(route: Any) -> None:
        response = route.fetch()
        route.fulfill(response=response, headers={**response.headers, "x-eraser-notice": "rough_result"})

    studio.page.route(re.compile("/v1/erase$"), rough)
    studio.load(coffee_file)
    for x in (100, 200):
        studio.stroke((x, 100), (x + 40, 120))
        studio.erase()
        note = studio.part("note").filter(has_text="short of time")
        note.wait_for()
        note.get_by_role("button").click()
        assert note.count() == 0

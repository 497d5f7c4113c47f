"""The tools around the photo: brush, undo, zoom, ways in and out, and what is said when something goes wrong."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

DROP = """([base64, kind]) => {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "coffee.png", { type: "image/png" }));
  if (kind === "paste") {
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    return;
  }
  for (const type of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}"""


def test_strokes_can_be_undone_redone_wiped_and_cleared(studio, coffee_file):
    studio.load(coffee_file)
    for button in ("undo", "redo", "clear", "erase", "download"):
        assert studio.part(button).is_disabled(), button
    studio.brush(50)
    studio.stroke((100, 100), (200, 100))
    one = studio.painted()
    studio.stroke((100, 200), (200, 200))
    two = studio.painted()
    assert two > one > 0
    studio.part("undo").click()
    assert studio.painted() == one
    studio.page.keyboard.press("Control+y")
    assert studio.painted() == two
    studio.page.keyboard.press("e")
    assert studio.part("mode-keep").get_attribute("aria-pressed") == "true"
    studio.stroke((100, 200), (200, 200))
    assert abs(studio.painted() - one) < one * 0.02
    studio.part("clear").click()
    assert studio.painted() == 0
    assert studio.part("erase").is_disabled()
    studio.page.keyboard.press("Control+z")
    assert studio.painted() > 0


def test_the_ring_shows_the_brush_and_keeps_its_size_on_the_screen_at_any_zoom(studio, coffee_file):
    studio.load(coffee_file)
    studio.brush(50)
    diameter = 4 * 60**0.5
    place = studio.where(300, 200)
    studio.page.mouse.move(*place)
    ring = studio.part("ring")
    box = ring.bounding_box()
    assert box["width"] == pytest.approx(diameter, abs=1)
    assert (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) == pytest.approx(place, abs=1)
    studio.page.mouse.wheel(0, -600)
    assert ring.bounding_box()["width"] == pytest.approx(diameter, abs=1)
    studio.page.keyboard.press("]")
    assert ring.bounding_box()["width"] == pytest.approx(diameter * 1.15, abs=1)
    studio.page.keyboard.press("[")
    studio.page.keyboard.press("[")
    assert ring.bounding_box()["width"] == pytest.approx(diameter / 1.15, abs=1)
    studio.page.keyboard.down("Shift")
    studio.page.mouse.wheel(0, -200)
    studio.page.keyboard.up("Shift")
    assert ring.bounding_box()["width"] > diameter * 1.15


def test_the_wheel_zooms_at_the_pointer_and_the_photo_can_be_moved_and_fitted(studio, coffee_file):
    studio.load(coffee_file)
    fitted = studio.photo()
    label = studio.part("zoom-label").inner_text()
    place = studio.where(150, 100)
    studio.page.mouse.move(*place)
    studio.page.mouse.wheel(0, 300)
    studio.settle()
    smaller = studio.photo()
    assert smaller[2] < fitted[2]
    assert studio.where(150, 100) == pytest.approx(place, abs=2)
    assert studio.part("zoom-label").inner_text() != label

    def drag(button: str) -> None:
        studio.page.mouse.move(600, 300)
        studio.page.mouse.down(button=button)
        studio.page.mouse.move(640, 330, steps=4)
        studio.page.mouse.up(button=button)
        studio.settle()

    studio.page.keyboard.down(" ")
    drag("left")
    studio.page.keyboard.up(" ")
    drag("middle")
    moved = studio.photo()
    assert (moved[0] - smaller[0], moved[1] - smaller[1]) == pytest.approx((80, 60), abs=2)
    assert studio.painted() == 0
    studio.page.keyboard.press("0")
    studio.settle()
    assert studio.photo() == pytest.approx(fitted, abs=1)


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_photo_can_be_dropped_or_pasted(studio, coffee_png, way):
    studio.page.evaluate(DROP, [base64.b64encode(coffee_png).decode(), way])
    studio.part("editor").wait_for()
    studio.settle()
    assert studio.photo()[2] / studio.photo()[3] == pytest.approx(1.5, abs=0.01)


def test_what_is_no_photo_is_refused_in_a_sentence(studio, coffee_file):
    studio.choose(
        {"name": "holiday.png", "mimeType": "image/png", "buffer": b"Dear diary, this is not a picture."}
    )
    error = studio.part("error")
    error.wait_for()
    assert error.get_attribute("role") == "alert"
    assert error.inner_text().strip().endswith((".", "。"))
    assert "{" not in error.inner_text()
    studio.shot("desktop-8-wrong-file")
    studio.choose({"name": "film.mp4", "mimeType": "video/mp4", "buffer": b"film"})
    studio.page.get_by_text("“film.mp4” is not a photo.").wait_for()
    assert studio.part("error").count() == 1
    studio.load(coffee_file)
    assert studio.part("error").count() == 0


def test_a_file_that_only_begins_like_a_photo_leads_back_to_the_start(studio, coffee_jpeg):
    studio.choose(
        {"name": "half.jpg", "mimeType": "image/jpeg", "buffer": coffee_jpeg[: len(coffee_jpeg) // 2]}
    )
    studio.part("error").wait_for()
    assert studio.part("start").is_visible()


def answer(status: int, **problem: Any) -> Any:
    body = json.dumps({"status": status, **problem})
    return lambda route: route.fulfill(status=status, content_type="application/problem+json", body=body)


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (lambda route: route.abort("connectionrefused"), "cannot be reached"),
        (answer(503, code="queue_full", detail="d", retry_after=90), "try again in 90 s"),
        (answer(504, code="deadline_exceeded", detail="d"), "took too long"),
        (
            answer(402, code="payment_required", detail="The day's calls are used up.", hint="Ask."),
            "used up.\nAsk.",
        ),
        (lambda route: route.fulfill(status=502, body="<html>Bad gateway</html>"), "status 502"),
    ],
)
def test_failures_are_told_and_nothing_is_lost(studio, coffee_file, handler, words):
    studio.load(coffee_file)
    studio.stroke((100, 100), (200, 100))
    painted = studio.painted()
    studio.page.route("**/v1/erase", handler)
    studio.part("erase").click()
    error = studio.part("error")
    error.wait_for()
    assert words in error.inner_text()
    assert studio.painted() == painted
    studio.page.unroute("**/v1/erase")
    studio.page.keyboard.press("Enter")
    studio.wait_for_result()
    assert error.count() == 0
    assert studio.part("download").is_enabled()


def test_a_result_that_was_not_downloaded_is_not_left_without_a_question(
    studio, coffee_file, coffee_jpg, tmp_path
):
    studio.load(coffee_file)
    studio.stroke((100, 100), (200, 100))
    studio.erase()
    studio.choose(coffee_jpg)
    studio.part("leave").wait_for()
    studio.page.wait_for_timeout(200)
    studio.shot("desktop-9-leave")
    studio.part("leave-stay").click()
    assert studio.part("download").is_enabled()
    studio.download(tmp_path)
    studio.choose(coffee_jpg)
    studio.page.locator("#download:disabled").wait_for()
    assert not studio.part("leave").is_visible()


def test_leaving_by_the_dialog_opens_the_other_photo(studio, coffee_file, coffee_jpg):
    studio.load(coffee_file)
    studio.stroke((100, 100), (200, 100))
    studio.erase()
    studio.choose(coffee_jpg)
    studio.part("leave-go").click()
    studio.page.locator("#download:disabled").wait_for()
    assert studio.painted() == 0


def test_closing_the_page_asks_only_while_a_result_is_unsaved(studio, coffee_file, tmp_path):
    asked: list[str] = []
    studio.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    studio.load(coffee_file)
    studio.stroke((100, 100), (200, 100))
    studio.erase()
    studio.page.evaluate("location.reload()")
    studio.page.wait_for_timeout(500)
    assert asked == ["beforeunload"]
    assert studio.part("editor").is_visible()
    studio.download(tmp_path)
    studio.page.reload()
    studio.part("start").wait_for()
    assert asked == ["beforeunload"]


def test_everything_can_be_reached_and_named_by_keyboard_and_screen_reader(studio, coffee_file):
    studio.load(coffee_file)
    unnamed = studio.page.evaluate("""() => [...document.querySelectorAll("button, input, select, [role]")]
      .filter((each) => each.checkVisibility() && !(each.ariaLabel || each.textContent.trim() || each.labels?.length))
      .filter((each) => !["status", "group", "radiogroup"].includes(each.role))
      .map((each) => each.outerHTML.slice(0, 80))""")
    assert unnamed == []
    studio.page.keyboard.press("Tab")
    assert studio.page.evaluate("document.activeElement !== document.body")


def test_every_address_is_relative_so_that_the_page_also_lives_below_a_root_path(studio):
    addresses = studio.page.evaluate("""() => [...document.querySelectorAll("[src], link[href]")]
      .map((each) => each.getAttribute("src") ?? each.getAttribute("href"))""")
    assert addresses
    assert all(address.startswith("./static/") for address in addresses)


def test_a_remembered_model_that_is_gone_is_not_asked_for(open_studio, coffee_file):
    studio = open_studio(quick=False)
    studio.page.evaluate("""localStorage.setItem("magic-eraser", '{"model":"gone"}')""")
    with studio.page.expect_response("**/v1/models"):
        studio.page.reload()
    studio.load(coffee_file)
    studio.stroke((100, 100), (120, 100))
    studio.erase()
    assert studio.part("error").count() == 0
    assert studio.part("download").is_enabled()
    studio.part("settings").click()
    studio.part("model-patch").wait_for()
    assert studio.part("model-auto").is_checked()

"""A person chooses among models of which some are ready, some take their time to load, and some lack something."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import many_models
from many_models import LACKING, USABLE
from server_process import Server

PHONE = {
    "viewport": {"width": 375, "height": 812}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True,
}  # fmt: skip
KEEP_FORMS = """
  const send = window.fetch;
  window.sentForms = [];
  window.fetch = (address, init) => {
    if (init?.body instanceof FormData) window.sentForms.push(Object.fromEntries(init.body));
    return send(address, init);
  };
"""
DOWNLOAD = "magic-eraser models download weightless"
ON_THE_TABLE = [(70, 330), (110, 350)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("models")
    process = Server(folder, script=Path(many_models.__file__), ERASER_WEIGHTS__DIR=str(folder / "weights"))
    process.wait_ready()
    yield process.url + "/"
    assert process.stop() == 0


def open_settings(studio: Any) -> None:
    with studio.page.expect_response("**/v1/models"):
        studio.part("settings").click()
    studio.page.wait_for_timeout(300)


def open_chooser(studio: Any) -> None:
    open_settings(studio)
    studio.part("chooser").locator("summary").first.click()
    studio.part("model-patch").wait_for()


def start_with(studio: Any, **prefs: object) -> None:
    studio.page.evaluate("(prefs) => localStorage.setItem('magic-eraser', prefs)", json.dumps(prefs))
    with studio.page.expect_response("**/v1/models"):
        studio.page.reload()


def rows(studio: Any) -> list[str]:
    names = studio.part("models").get_by_role("radio").all()
    return [str(each.get_attribute("value")) for each in names]


@pytest.mark.parametrize(
    ("locale", "why", "summary"),
    [
        ("en-US", "Its weights are not here yet:", "3 more need something first"),
        ("zh-CN", "尚未下载权重：请运行", "另有 3 个模型尚不可用"),
    ],
)
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_what_can_be_used_is_offered_and_what_lacks_something_says_what(
    open_studio, locale, why, summary, device
):
    given = (PHONE,) if device == "phone" else ()
    studio = open_studio(*given, locale=locale)
    open_chooser(studio)
    assert rows(studio) == ["auto", "patch", "telea", "ns", *(card.id for card in USABLE)]
    studio.shot(f"models-1-{device}-{locale}")
    assert not studio.part("lacking-weightless").is_visible()
    studio.part("lacking").locator("summary").click()
    assert studio.part("lacking").locator("summary").inner_text() == summary
    assert studio.part("lacking").get_by_role("listitem").count() == len(LACKING)
    lacking = studio.part("lacking-weightless")
    assert lacking.locator("p").inner_text() == why
    assert lacking.locator("code").inner_text() == DOWNLOAD
    assert "205 MB" in lacking.inner_text()
    package = studio.part("lacking-unpacked").locator("code").inner_text()
    assert package == "pip install 'magic-eraser[torch]'"
    licence = studio.part("lacking-limited").locator("code").inner_text()
    assert licence == "ERASER_MODELS__ACCEPTED_LICENCES=CC-BY-NC-4.0"
    studio.part("lacking-limited").scroll_into_view_if_needed()
    studio.shot(f"models-2-{device}-{locale}-lacking")
    width = studio.page.viewport_size["width"]
    assert studio.page.evaluate("document.documentElement.scrollWidth") == width
    panel = studio.part("settings-panel").evaluate("each => each.scrollWidth - each.clientWidth")
    assert panel == 0


def test_the_reasons_follow_the_language(open_studio):
    studio = open_studio()
    open_chooser(studio)
    studio.part("lacking").locator("summary").click()
    with studio.page.expect_response("**/v1/models"):
        studio.part("language-zh").click()
    studio.part("lacking-weightless").get_by_text("尚未下载权重").wait_for()


def test_a_command_can_be_copied(open_studio):
    studio = open_studio(permissions=["clipboard-read", "clipboard-write"])
    open_chooser(studio)
    studio.part("lacking").locator("summary").click()
    studio.part("lacking-weightless").get_by_role("button", name="Copy").click()
    studio.part("lacking-weightless").get_by_role("button", name="Copied").wait_for()
    assert studio.page.evaluate("navigator.clipboard.readText()") == DOWNLOAD


def test_a_first_load_is_told_while_it_lasts_and_the_model_afterwards(open_studio, coffee_file):
    studio = open_studio(quick=False)
    open_chooser(studio)
    studio.part("model-waking").check()
    assert studio.part("model-chosen").inner_text() == "Waking"
    assert "few seconds" in studio.part("model-hint").inner_text()
    studio.shot("models-3-first-time")
    studio.part("model-telea").check()
    assert not studio.part("model-hint").is_visible()
    studio.part("model-waking").check()
    studio.page.keyboard.press("Escape")
    studio.load(coffee_file)
    studio.stroke(*ON_THE_TABLE)
    studio.part("erase").click()
    studio.part("busy").get_by_text("Loading Waking first").wait_for()
    studio.shot("models-4-loading")
    studio.wait_for_result()
    assert studio.part("whisper").inner_text().endswith("Waking")
    open_settings(studio)
    assert not studio.part("model-hint").is_visible()
    assert (
        studio.part("models")
        .locator(".model", has=studio.part("model-waking"))
        .get_by_label("in memory")
        .count()
    )
    studio.shot("models-5-in-memory")


def test_loading_can_be_cancelled_and_is_told_in_chinese_on_a_phone(open_studio, coffee_file):
    studio = open_studio(PHONE, quick=False, locale="zh-CN")
    start_with(studio, model="patch")
    held = []

    def hold(route: Any) -> None:
        held.append(route)

    studio.page.route("**/v1/erase", hold)
    studio.page.route("**/v1/models", lambda route: loading(route, "patch"))
    studio.load(coffee_file)
    place = studio.where(300, 200)
    studio.touch("Start", place)
    studio.touch("Move", (place[0] + 30, place[1]))
    studio.touch("End")
    studio.part("erase").tap()
    studio.part("busy").get_by_text("先载入“内容感知填充”").wait_for()
    studio.shot("models-6-phone-loading-zh")
    for name in ("busy", "cancel"):
        box = studio.part(name).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 375
    studio.part("cancel").tap()
    studio.wait_for_result()
    asked = len(held)
    studio.page.wait_for_timeout(1500)
    assert (asked, len(held)) == (1, 1)


def loading(route: Any, name: str) -> None:
    body = route.fetch().json()
    for model in body["models"]:
        model["state"] = "loading" if model["id"] == name else model["state"]
    route.fulfill(json=body)


@pytest.mark.parametrize(
    ("locale", "sentence"),
    [
        ("en-US", "could not do it, so Content-aware fill did."),
        ("zh-CN", "原定的模型未能完成，已改由“内容感知填充”填补"),
    ],
)
def test_another_model_that_stepped_in_is_told_every_time(open_studio, coffee_file, locale, sentence):
    studio = open_studio(quick=False, locale=locale)
    start_with(studio, model="broken")
    studio.load(coffee_file)
    for x in (100, 200):
        studio.stroke((x, 100), (x + 40, 120))
        studio.erase()
        note = studio.part("note").filter(has_text=sentence)
        note.wait_for()
        assert note.count() == 1
        studio.shot(f"models-7-fell-back-{locale}")
        note.get_by_role("button").click()
    name = "Content-aware fill" if locale == "en-US" else "内容感知填充"
    assert studio.part("whisper").inner_text().endswith(name)


def test_a_model_is_asked_only_what_it_heeds(open_studio, coffee_file):
    studio = open_studio(quick=False)
    studio.page.add_init_script(KEEP_FORMS)
    studio.page.reload()
    studio.load(coffee_file)
    open_chooser(studio)
    for name in ("prompt", "negative-prompt", "steps"):
        assert not studio.part(name).is_visible()
    studio.part("model-stepped").check()
    assert not studio.part("prompt").is_visible()
    assert studio.part("steps").get_attribute("placeholder") == "50"
    studio.part("steps").fill("1234")
    studio.part("steps").press("Tab")
    assert studio.part("steps").input_value() == "1000"
    studio.part("model-prompted").check()
    assert studio.part("steps").input_value() == "", "the number was another model's"
    studio.part("prompt").fill("a wooden table")
    studio.part("negative-prompt").fill("a spoon")
    studio.part("steps").fill("12")
    studio.part("steps").press("Tab")
    studio.part("prompt").scroll_into_view_if_needed()
    studio.shot("models-8-prompt")
    studio.page.keyboard.press("Escape")
    studio.stroke(*ON_THE_TABLE)
    studio.erase()
    open_settings(studio)
    studio.part("model-telea").check()
    studio.page.keyboard.press("Escape")
    studio.stroke((200, 330), (230, 350))
    studio.erase()
    first, second = studio.page.evaluate("window.sentForms.filter((form) => 'mask' in form)")
    asked = ("model", "steps", "prompt", "negative_prompt")
    assert [first.get(name) for name in asked] == ["prompted", "12", "a wooden table", "a spoon"]
    assert [second.get(name) for name in asked] == ["telea", None, None, None]


def test_a_remembered_model_that_lacks_something_now_is_not_sent(open_studio, coffee_file):
    studio = open_studio(quick=False)
    start_with(studio, model="weightless", effort="fast")
    studio.load(coffee_file)
    studio.stroke(*ON_THE_TABLE)
    studio.erase()
    assert studio.part("error").count() == 0
    open_settings(studio)
    assert studio.part("model-chosen").inner_text() == "Automatic"


def test_the_keyboard_alone_chooses_a_model(open_studio):
    studio = open_studio()
    press = studio.page.keyboard.press
    open_settings(studio)
    studio.part("chooser").locator("summary").first.focus()
    press("Enter")
    press("Tab")
    assert studio.part("model-telea").evaluate("each => each === document.activeElement")
    press("ArrowDown")
    press("ArrowDown")
    assert studio.part("model-waking").is_checked()
    assert studio.part("model-waking").evaluate("each => each === document.activeElement")


def test_it_is_readable_in_the_dark(open_studio):
    studio = open_studio(color_scheme="dark")
    open_chooser(studio)
    studio.part("model-prompted").check()
    studio.part("lacking").locator("summary").click()
    studio.part("lacking-weightless").scroll_into_view_if_needed()
    studio.shot("models-9-dark")


@pytest.mark.filterwarnings("default")  # Gradio's client speaks by `httpx` and is not ours to mend
def test_the_simple_mode_offers_what_can_be_used_and_says_what_another_lacks(
    browser, server, coffee_file, spoon_png, tmp_path
):
    gradio_client = pytest.importorskip("gradio_client", reason="the extra `ui` is not installed")
    mask = tmp_path / "mask.png"
    mask.write_bytes(spoon_png)
    context = browser.new_context(locale="zh-CN", viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.goto(f"{server}ui", timeout=60_000)
    choice = page.locator("#me_model input")
    choice.wait_for(timeout=60_000)
    page.wait_for_timeout(2000)  # the choices are brought up to date once the page is there
    choice.click()
    options = [each.inner_text().strip("✓\n") for each in page.locator("#me_model [role=option]").all()]
    context.close()
    assert options[0] == "auto（推荐）"
    assert options[4:] == [card.title for card in USABLE]

    client = gradio_client.Client(f"{server}ui", verbose=False, analytics_enabled=False)
    files = [gradio_client.handle_file(str(path)) for path in (coffee_file, mask)]
    with pytest.raises(Exception, match=re.escape(DOWNLOAD)):
        client.predict(*files, "weightless", api_name="/predict")

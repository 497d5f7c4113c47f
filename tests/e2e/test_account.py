"""A person signs in, erases within a plan, and looks after keys: at a server that wants to know who calls."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from account_server import AccountServer
from magic_eraser.accounts.keys import key_format

PHONE = {
    "viewport": {"width": 375, "height": 812}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True,
}  # fmt: skip
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
LOOKS = pytest.mark.parametrize(
    ("device", "locale", "scheme"),
    [(DESKTOP, "en-US", "light"), (DESKTOP, "zh-CN", "dark"), (PHONE, "zh-CN", "light"), (PHONE, "en-US", "dark")],
    ids=["desktop-en", "desktop-zh-dark", "phone-zh", "phone-en-dark"],
)  # fmt: skip
USERS = itertools.count(1)
STROKES = itertools.count()
ANSWERS_IN_TIME = 10_000
UPLOADED = re.compile(r"/v1/images$")


@pytest.fixture(scope="module")
def required(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountServer]:
    process = AccountServer(tmp_path_factory.mktemp("required"), "required")
    process.wait_ready()
    yield process
    assert process.stop() == 0
    assert "Traceback" not in process.log
    assert "eras_live_" not in process.log, "a key was logged"


@pytest.fixture(scope="module")
def optional(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountServer]:
    process = AccountServer(tmp_path_factory.mktemp("optional"), "optional")
    process.wait_ready()
    yield process
    assert process.stop() == 0
    assert "Traceback" not in process.log


@pytest.fixture(scope="module")
def server(required: AccountServer) -> str:
    return required.url + "/"


@pytest.fixture
def key(required: AccountServer) -> str:
    """Of somebody new on the free plan."""
    return required.add_user(f"alice-{next(USERS)}")


def sign_in(studio: Any, key: str, *, stay: bool = False) -> None:
    """Answer the question that is on the screen."""
    studio.part("sign-in-key").fill(key)
    if stay:
        studio.part("sign-in-stay").check()
    studio.part("sign-in-yes").click()
    studio.part("sign-in").wait_for(state="hidden")


def enter(studio: Any, key: str, **options: bool) -> None:
    studio.part("account-open").click()
    sign_in(studio, key, **options)


def load_signed_in(studio: Any, key: str, path: Path) -> None:
    """A photo on the stage and on the server."""
    enter(studio, key)
    with studio.page.expect_response(lambda answer: bool(UPLOADED.search(answer.url)) and answer.ok):
        studio.load(path)


def paint(studio: Any) -> int:
    """Another stroke each time: an equal erase would come from the cache. The screen pixels that are painted."""
    x = 60 + 7 * next(STROKES)
    studio.brush(60)
    studio.stroke((x, 330), (x + 40, 350))
    return studio.painted()


def left(studio: Any, text: str) -> None:
    studio.part("account-open").filter(has_text=text).wait_for(timeout=ANSWERS_IN_TIME)


def kept(studio: Any) -> list[str | None]:
    """What the tab and what the device remember."""
    return studio.page.evaluate(
        "[sessionStorage, localStorage].map((store) => store.getItem('magic-eraser-credential'))"
    )


@LOOKS
def test_whoever_brings_a_photo_is_asked_who_they_are_and_goes_on(
    open_studio, key, coffee_file, device, locale, scheme, request
):
    studio = open_studio(device, locale=locale, color_scheme=scheme)
    zh = locale == "zh-CN"
    studio.part("account-open").filter(has_text="登录" if zh else "Sign in").wait_for()
    studio.choose(coffee_file)
    studio.part("sign-in").wait_for()
    studio.shot(f"account-1-question-{request.node.callspec.id}")
    studio.part("sign-in-key").fill(key_format.make())
    studio.part("sign-in-yes").click()
    studio.part("sign-in-problem").filter(has_text="没有该 API 密钥" if zh else "not known here").wait_for()
    studio.shot(f"account-2-refused-{request.node.callspec.id}")
    sign_in(studio, key)
    studio.part("editor").wait_for()
    paint(studio)
    studio.erase()
    assert studio.part("error").count() == 0
    assert studio.part("download").is_enabled()
    wide = studio.page.evaluate("document.documentElement.scrollWidth")
    assert wide == device["viewport"]["width"]
    if device is DESKTOP:
        left(studio, "今日剩余 1/2 次" if zh else "1 of 2 calls left today")
    else:
        studio.part("settings").click()
        row = "今日剩余 1/2 次" if zh else "1 of 2 calls left today"
        studio.part("account-row").filter(has_text=row).wait_for()
    studio.shot(f"account-3-erased-{request.node.callspec.id}")


def test_a_key_that_is_revoked_in_the_middle_costs_neither_photo_nor_paint(
    open_studio, required, coffee_file
):
    user = f"alice-{next(USERS)}"
    required.add_user(user)
    first, second = required.add_key(user), required.add_key(user)
    studio = open_studio()
    load_signed_in(studio, first["key"], coffee_file)
    painted = paint(studio)
    required.operate("keys", "revoke", first["id"])
    studio.page.wait_for_timeout(700)  # servers look again after half a second
    studio.part("erase").click()
    studio.part("sign-in").wait_for()
    assert studio.painted() == painted
    studio.shot("account-4-revoked")
    sign_in(studio, second["key"])
    studio.wait_for_result()
    assert studio.part("error").count() == 0
    assert studio.part("download").is_enabled()
    assert studio.mask().any()


def test_whoever_would_rather_not_say_keeps_photo_and_paint_and_may_sign_in_later(
    open_studio, key, coffee_file
):
    studio = open_studio()
    studio.load(coffee_file)
    studio.part("sign-in-no").click()
    studio.part("error").filter(has_text="Your photo and your paint are still here").wait_for()
    assert studio.part("editor").is_visible()
    painted = paint(studio)
    studio.part("erase").click()
    studio.part("sign-in").wait_for()
    studio.page.keyboard.press("Escape")
    studio.part("error").get_by_role("button", name="Sign in").click()
    assert studio.painted() == painted
    sign_in(studio, key)
    studio.erase()
    assert studio.part("download").is_enabled()


def test_a_key_is_kept_for_the_tab_and_for_longer_only_where_one_says_so(open_studio, key, server):
    studio = open_studio()
    enter(studio, key)
    left(studio, "2 of 2 calls left today")
    assert kept(studio) == [key, None]
    studio.page.reload()
    left(studio, "2 of 2 calls left today")
    another = studio.page.context.new_page()
    another.goto(server)
    another.get_by_test_id("account-open").filter(has_text="Sign in").wait_for()
    studio.part("account-open").click()
    studio.part("sign-out").click()
    left(studio, "Sign in")
    assert kept(studio) == [None, None]

    enter(studio, key, stay=True)
    assert kept(studio) == [None, key]
    left(studio, "2 of 2 calls left today")
    another.get_by_test_id("account-open").filter(has_text="2 of 2 calls left today").wait_for()
    studio.part("account-open").click()
    studio.part("sign-out").click()
    another.get_by_test_id("account-open").filter(has_text="Sign in").wait_for()
    assert kept(studio) == [None, None]


def test_the_key_goes_into_one_header_and_nowhere_else(open_studio, key, coffee_file):
    studio = open_studio()
    asked: list[Any] = []
    said: list[str] = []

    def note(request: Any) -> None:
        asked.append(request)

    studio.page.on("request", note)
    studio.page.on("console", lambda message: said.append(message.text))
    load_signed_in(studio, key, coffee_file)
    paint(studio)
    studio.erase()
    studio.part("account-open").click()
    studio.part("today").wait_for()
    studio.part("tab-keys").click()
    studio.part("keys").wait_for()
    ours = [request for request in asked if "/v1/" in request.url]
    assert {"/v1/images", "/v1/erase", "/v1/keys"} <= {"/" + request.url.split("/", 3)[3] for request in ours}
    told = {request.url for request in ours if request.headers.get("authorization") == f"Bearer {key}"}
    assert {url.rsplit("/", 1)[1] for url in told} >= {"images", "erase", "keys", "account", "models"}
    for request in asked:
        assert key not in request.url
        rest = {name: value for name, value in request.headers.items() if name != "authorization"}
        assert key not in str(rest)
    assert key not in str(said)
    assert key not in studio.page.url
    assert key not in studio.page.content()


def test_used_up_calls_are_told_with_the_time_and_an_upgrade_that_goes_on_when_it_is_paid(
    open_studio, required, coffee_file
):
    user = f"alice-{next(USERS)}"
    key = required.add_user(user)
    admin = required.add_user(f"root-{next(USERS)}", role="admin")
    studio = open_studio(timezone_id="Asia/Shanghai")
    load_signed_in(studio, key, coffee_file)
    for _ in range(2):
        paint(studio)
        studio.erase()
    left(studio, "0 of 2 calls left today")
    painted = paint(studio)
    studio.part("erase").click()
    notice = studio.part("error")
    notice.filter(has_text="Today’s 2 calls are used up.").wait_for()
    assert re.search(r"free again (tomorrow )?at 08:00\.", notice.inner_text()), "midnight in UTC"
    assert "Basic has 100 a day for 29.00 USD a month." in notice.inner_text()
    studio.shot("account-5-used-up")
    assert studio.painted() == painted
    notice.get_by_role("button", name="Upgrade").click()
    studio.part("choose-basic").click()
    studio.shot("account-6-choose")
    studio.part("ask-yes").click()
    asked = "Basic is asked for. The operator has to confirm the payment of 29.00 USD."
    studio.part("subscription").filter(has_text=asked).wait_for()
    studio.shot("account-7-asked")
    studio.part("account-close").click()

    httpx2.post(
        f"{required.url}/v1/admin/users/{user}/payments",
        headers={"Authorization": f"Bearer {admin}"},
        json={"reference": "bank-1"},
    ).raise_for_status()
    studio.erase()
    assert studio.part("download").is_enabled()
    left(studio, "97 of 100 calls left today")


def test_what_was_asked_for_can_be_taken_back(open_studio, key):
    studio = open_studio()
    enter(studio, key)
    studio.part("account-open").click()
    studio.part("choose-pro").click()
    studio.part("ask-yes").click()
    studio.part("subscription").filter(has_text="Pro is asked for").wait_for()
    assert studio.part("choose-pro").count() == 0
    studio.part("cancel-plan").click()
    studio.part("ask-yes").click()
    studio.part("subscription").wait_for(state="detached")
    assert studio.part("plan-free").get_by_text("Your plan").is_visible()
    assert studio.part("choose-pro").is_visible()


def test_a_new_key_is_shown_once_replaced_and_revoked(open_studio, required):
    user = f"alice-{next(USERS)}"
    studio = open_studio(permissions=["clipboard-read", "clipboard-write"])
    enter(studio, required.add_user(user, plan="pro"))
    studio.part("account-open").click()
    studio.part("tab-keys").click()
    studio.part("new-key-open").click()
    studio.part("ask-name").fill("laptop")
    studio.part("ask-yes").click()
    secret = studio.part("secret").inner_text()
    assert re.fullmatch(r"eras_live_\w{43}", secret)
    studio.part("copy").click()
    assert studio.page.evaluate("navigator.clipboard.readText()") == secret
    studio.shot("account-8-new-key")
    studio.page.keyboard.press("Escape")
    assert studio.part("secret").is_visible(), "a slip of the hand does not lose it"
    studio.part("new-key-done").click()
    row = studio.part("key").filter(has_text="laptop")
    assert secret[-4:] in row.inner_text()
    assert secret not in studio.page.content()
    assert who(required, secret) == user

    row.get_by_role("button", name="Replace").click()
    studio.part("ask-overlap").select_option("0")
    studio.part("ask-yes").click()
    newer = studio.part("secret").inner_text()
    studio.part("new-key-done").click()
    assert who(required, newer) == user
    assert who(required, secret) is None

    row.filter(has_text=newer[-4:]).get_by_role("button", name="Revoke").click()
    studio.part("ask-yes").click()
    row.filter(has_text=newer[-4:]).filter(has_text="revoked").wait_for()
    assert who(required, newer) is None
    studio.shot("account-9-keys")


def who(server: AccountServer, key: str) -> str | None:
    """Whose key it is, to the server."""
    answer = httpx2.get(f"{server.url}/v1/account", headers={"Authorization": f"Bearer {key}"})
    return str(answer.json()["user"]["id"]) if answer.status_code == 200 else None


def test_a_key_that_the_plan_does_not_include_is_refused_where_it_was_asked_for(open_studio, key):
    studio = open_studio()
    enter(studio, key)
    studio.part("account-open").click()
    studio.part("tab-keys").click()
    for name in ("first", "second"):
        studio.part("new-key-open").click()
        studio.part("ask-name").fill(name)
        studio.part("ask-yes").click()
        if name == "first":
            studio.part("new-key-done").click()
    studio.part("ask-problem").filter(has_text=re.compile("plan|key")).wait_for()
    assert studio.part("ask-name").input_value() == "second", "nothing that was typed is lost"


def test_the_person_who_replaces_the_key_in_use_stays_signed_in(open_studio, required):
    user = f"alice-{next(USERS)}"
    key = required.add_user(user)
    studio = open_studio()
    enter(studio, key, stay=True)
    studio.part("account-open").click()
    studio.part("tab-keys").click()
    studio.part("key").filter(has_text="in use here").get_by_role("button", name="Replace").click()
    studio.part("ask-overlap").select_option("0")
    studio.part("ask-yes").click()
    newer = studio.part("secret").inner_text()
    studio.part("new-key-done").click()
    assert kept(studio) == [None, newer]
    studio.part("account-who").filter(has_text=user).wait_for()
    assert studio.part("account-problem").inner_text() == ""


@LOOKS
def test_the_usage_is_a_chart_for_the_eye_and_a_table_for_the_ear(
    open_studio, required, coffee_file, device, locale, scheme, request
):
    user = f"alice-{next(USERS)}"
    studio = open_studio(device, locale=locale, color_scheme=scheme)
    zh = locale == "zh-CN"
    load_signed_in(studio, required.add_user(user, plan="pro"), coffee_file)
    paint(studio)
    studio.erase()
    open_account(studio, device)
    studio.part("tab-usage").click()
    studio.part("usage-total").filter(has_text="共 1 次" if zh else "Calls: 1").wait_for()
    assert studio.part("account").get_by_role("row").count() >= 31
    chart = studio.part("usage-chart")
    assert chart.get_attribute("aria-label")
    chart.focus()
    studio.page.keyboard.press("End")
    said = "1 次 · 0.05 USD" if zh else "calls: 1 · 0.05 USD"
    studio.part("usage-readout").filter(has_text=said).wait_for()
    studio.page.keyboard.press("ArrowLeft")
    studio.part("usage-readout").filter(has_text="0 次" if zh else "calls: 0").wait_for()
    studio.shot(f"account-10-usage-{request.node.callspec.id}")
    assert_no_sideways_scroll(studio)
    with studio.page.expect_download() as download:
        studio.part("usage").click()
    assert download.value.suggested_filename == "usage.csv"
    for tab in ("plan", "keys"):
        studio.part(f"tab-{tab}").click()
        studio.part({"plan": "today", "keys": "keys"}[tab]).wait_for()
        studio.shot(f"account-10-{tab}-{request.node.callspec.id}")
        assert_no_sideways_scroll(studio)
    small = studio.page.evaluate("""() => [...document.querySelectorAll("dialog:modal button")]
      .filter((each) => each.checkVisibility())
      .map((each) => [each.dataset.testid, each.getBoundingClientRect()])
      .filter(([, box]) => box.width < 44 || box.height < 43.9)
      .map(([id, box]) => `${id} ${box.width} x ${box.height}`)""")
    assert small == []


def assert_no_sideways_scroll(studio: Any) -> None:
    widths = studio.page.locator(".account-body").evaluate("body => [body.scrollWidth, body.clientWidth]")
    assert widths[0] == widths[1]


def open_account(studio: Any, device: dict[str, Any]) -> None:
    if device is DESKTOP:
        studio.part("account-open").click()
    else:
        studio.part("settings").click()
        studio.part("account-row").click()
    studio.part("account").wait_for()


def test_models_of_other_plans_are_shown_with_the_reason(open_studio, key):
    studio = open_studio()
    enter(studio, key)
    left(studio, "2 of 2 calls left today")
    studio.part("settings").click()
    studio.part("chooser").evaluate("chooser => { chooser.open = true; }")
    studio.part("forbidden").locator("summary").click()
    row = studio.part("forbidden-ns")
    row.filter(has_text="not in your plan").wait_for()
    assert '"free" does not include the model "ns"' in row.get_attribute("title")
    assert studio.part("model-ns").count() == 0
    assert studio.part("model-telea").is_enabled()
    studio.shot("account-11-models")
    studio.part("models-plans").click()
    studio.part("plan-pro").wait_for()


def test_everything_can_be_done_by_keyboard_and_the_editor_keeps_out_of_it(open_studio, key, coffee_file):
    studio = open_studio()
    keys = studio.page.keyboard
    load_signed_in(studio, key, coffee_file)
    studio.part("account-open").focus()
    keys.press("Enter")
    studio.part("today").wait_for()
    studio.part("tab-plan").focus()
    keys.press("ArrowRight")
    focused = "document.activeElement.dataset.testid"
    assert studio.page.evaluate(focused) == "tab-usage"
    studio.part("usage-chart").wait_for()
    keys.press("End")
    assert studio.page.evaluate(focused) == "tab-keys"
    keys.press("e")
    assert studio.part("mode-paint").get_attribute("aria-pressed") == "true", "no shortcut of the editor"
    names = studio.part("account").get_by_role("button").all()
    assert all(each.evaluate("b => b.ariaLabel || b.innerText.trim()") for each in names)
    keys.press("Escape")
    studio.part("account").wait_for(state="hidden")
    assert studio.page.evaluate(focused) == "account-open"
    keys.press("e")
    assert studio.part("mode-keep").get_attribute("aria-pressed") == "true"


def test_a_key_that_may_only_erase_is_enough_for_erasing(open_studio, required, coffee_file):
    user = f"alice-{next(USERS)}"
    required.add_user(user)
    narrow = required.add_key(user, "user", "erase")["key"]
    studio = open_studio()
    load_signed_in(studio, narrow, coffee_file)
    paint(studio)
    studio.erase()
    assert studio.part("download").is_enabled()
    assert studio.part("error").count() == 0


# --- callers without a credential -----------------------------------------------------------------------------


def test_without_a_key_one_erases_within_the_calls_of_the_default_plan(open_studio, optional, coffee_file):
    studio = open_studio()
    studio.page.goto(optional.url)
    left(studio, "of 2 calls left today")
    studio.load(coffee_file)
    paint(studio)
    studio.erase()
    assert studio.part("download").is_enabled()
    studio.part("account-open").click()
    assert studio.part("account-who").inner_text() == "Not signed in"
    studio.part("plan-pro").wait_for()
    assert studio.part("choose-pro").count() == 0
    assert studio.part("tab-keys").count() == 0
    studio.shot("account-12-stranger")
    studio.part("account-sign-in").click()
    user = f"bob-{next(USERS)}"
    sign_in(studio, optional.add_user(user))
    studio.part("account-who").filter(has_text=user).wait_for()
    studio.part("choose-pro").wait_for()


def test_a_kept_key_that_is_no_good_any_more_is_told_and_forgotten(open_studio, optional):
    studio = open_studio()
    studio.page.goto(optional.url)
    stale = key_format.make()
    studio.page.evaluate("key => sessionStorage.setItem('magic-eraser-credential', key)", stale)
    studio.page.reload()
    studio.part("error").filter(has_text="not known here").wait_for()
    left(studio, "calls left today")
    assert kept(studio) == [None, None]


def test_where_nobody_is_asked_there_is_nothing_of_accounts(
    open_studio, tmp_path_factory: pytest.TempPathFactory, coffee_file: Path
):
    process = AccountServer(tmp_path_factory.mktemp("off"), "off")
    process.wait_ready()
    try:
        studio = open_studio()
        with studio.page.expect_response("**/v1/account"):
            studio.page.goto(process.url)
        studio.load(coffee_file)
        paint(studio)
        studio.erase()
        studio.part("settings").click()
        for part in ("account-open", "account-row", "account", "sign-in", "models-plans"):
            assert not studio.part(part).is_visible(), part
        studio.shot("account-13-off")
    finally:
        assert process.stop() == 0


def test_the_page_works_under_the_strictest_policy(
    open_studio: Callable[..., Any], key: str, coffee_file: Path
):
    """Whatever a proxy in front of the server may demand: nothing inline, nothing that makes markup of text."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )

    def strict(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": policy})

    studio = open_studio()
    studio.page.route(re.compile(r"//127\.0\.0\.1:\d+/$"), strict)
    studio.page.reload()
    load_signed_in(studio, key, coffee_file)
    paint(studio)
    studio.erase()
    studio.part("account-open").click()
    studio.part("tab-usage").click()
    studio.part("usage-chart").wait_for()
    # that nothing was reported to the console, `open_studio` sees

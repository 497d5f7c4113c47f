"""A person erases while the server is full, limits, restarts or has no room: told kindly, and it goes on by itself."""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from server_process import Server

PHONE = {
    "viewport": {"width": 375, "height": 812}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True,
}  # fmt: skip
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
EACH = pytest.mark.parametrize(
    ("device", "locale"),
    [(DESKTOP, "en-US"), (PHONE, "zh-CN"), (PHONE, "en-US")],
    ids=["desktop-en", "phone-zh", "phone-en"],
)
TWO = pytest.mark.parametrize(
    ("device", "locale"), [(DESKTOP, "zh-CN"), (PHONE, "en-US")], ids=["desktop-zh", "phone-en"]
)
SLOW_SECONDS = 2.5
STROKES = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One slot, and one place to wait for it."""
    folder = tmp_path_factory.mktemp("busy")
    process = Server(
        folder,
        slow=SLOW_SECONDS,
        ERASER_QUEUE__SLOTS="1",
        ERASER_QUEUE__DEPTH="1",
        ERASER_LIMITS__MAX_BODY_BYTES=str(8 * 2**20),
    )
    process.wait_ready()
    yield process.url + "/"
    assert process.stop() == 0
    assert "Traceback" not in process.log


class Crowd:
    """Others who use the server: so many requests of the slow model, all on their way when `come` returns."""

    def __init__(self, url: str, photo: bytes, mask: bytes) -> None:
        self.url = url
        self.files = {"image": photo, "mask": mask}
        self.threads: list[threading.Thread] = []

    def come(self, count: int) -> None:
        for seed in range(count):
            thread = threading.Thread(target=self._ask, args=(len(self.threads) + seed,))
            thread.start()
            self.threads.append(thread)
        deadline = time.monotonic() + 5
        while sum(self._queue()) < count:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def leave(self) -> None:
        for thread in self.threads:
            thread.join(30)

    def _ask(self, seed: int) -> None:
        fields = {"model": "slow", "seed": str(seed)}
        headers = {"Cache-Control": "no-store"}
        httpx2.post(f"{self.url}v1/erase", files=self.files, data=fields, headers=headers, timeout=30)

    def _queue(self) -> tuple[int, int]:
        queue = httpx2.get(f"{self.url}v1/status").json()["queue"]
        return queue["running"], queue["waiting"]


@pytest.fixture
def crowd(server: str, coffee_png: bytes, spoon_png: bytes) -> Iterator[Crowd]:
    crowd = Crowd(server, coffee_png, spoon_png)
    yield crowd
    crowd.leave()


def load_and_paint(studio: Any, path: Path) -> None:
    with studio.page.expect_response(lambda answer: answer.url.endswith("/v1/images") and answer.ok):
        studio.load(path)
    paint(studio)


def paint(studio: Any) -> None:
    """Another stroke each time: an equal erase would be answered from the cache, without a queue."""
    x = 60 + 5 * next(STROKES)
    studio.brush(60)
    studio.stroke((x, 330), (x + 40, 350))


def says(studio: Any, pattern: str) -> None:
    """The dock says so, and its end and way out are on the screen."""
    studio.part("busy").filter(has_text=re.compile(pattern)).wait_for(timeout=10_000)
    width = studio.page.viewport_size["width"]
    for part in ("busy", "cancel"):
        box = studio.part(part).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


@EACH
def test_a_full_queue_is_waited_for_with_a_countdown(
    open_studio, crowd, coffee_file, device, locale, request
):
    studio = open_studio(device, locale=locale)
    load_and_paint(studio, coffee_file)
    painted = studio.painted()
    crowd.come(2)
    studio.part("erase").click()
    zh = locale == "zh-CN"
    says(studio, r"当前繁忙，将自动重试\s*还剩 \d+ 秒" if zh else r"Very busy, trying again\s*in \d+ s")
    studio.shot(f"load-1-full-{request.node.callspec.id}")
    assert studio.painted() == painted
    studio.wait_for_result()
    assert studio.part("error").count() == 0
    assert studio.part("download").is_enabled()


def test_the_countdown_can_be_cancelled_and_nothing_is_asked_any_more(open_studio, crowd, coffee_file):
    studio = open_studio()
    load_and_paint(studio, coffee_file)
    painted = studio.painted()
    asked: list[str] = []
    studio.page.on(
        "request", lambda request: asked.append(request.url) if "/v1/erase" in request.url else None
    )
    crowd.come(2)
    studio.part("erase").click()
    says(studio, "Very busy, trying again")
    studio.page.keyboard.press("Escape")
    studio.wait_for_result()
    assert "Cancelled" in studio.part("whisper").inner_text()
    assert studio.painted() == painted
    crowd.leave()
    studio.page.wait_for_timeout(1500)
    assert len(asked) == 1


@EACH
def test_a_queue_shows_that_it_lives(open_studio, crowd, coffee_file, device, locale, request):
    studio = open_studio(device, locale=locale)
    load_and_paint(studio, coffee_file)
    crowd.come(1)
    studio.part("erase").click()
    says(studio, "1 个任务排队中" if locale == "zh-CN" else "Many at once, 1 in line")
    studio.shot(f"load-2-queue-{request.node.callspec.id}")
    studio.wait_for_result()
    assert studio.part("download").is_enabled()


def refusing(times: int, status: int, **problem: Any) -> Any:
    """Answers so many times with a problem, then lets everything through."""
    left = [times]

    def handle(route: Any) -> None:
        if left[0] <= 0:
            return route.fallback()
        left[0] -= 1
        body = json.dumps({"status": status, **problem})
        return route.fulfill(status=status, content_type="application/problem+json", body=body)

    return handle


@TWO
@pytest.mark.parametrize(
    ("status", "code", "en", "zh"),
    [
        (429, "rate_limited", "Too many requests, trying again", "请求过于频繁，将自动重试"),
        (503, "draining", "The server restarts, trying again", "服务器正在重启，将自动重试"),
    ],
)
def test_limits_and_restarts_are_waited_for(open_studio, coffee_file, device, locale, status, code, en, zh):
    studio = open_studio(device, locale=locale)
    load_and_paint(studio, coffee_file)
    studio.page.route("**/v1/erase", refusing(2, status, code=code, detail="d", retry_after=1))
    studio.part("erase").click()
    says(studio, zh if locale == "zh-CN" else en)
    studio.shot(f"load-3-{code}-{locale}-{device['viewport']['width']}")
    studio.wait_for_result()
    assert studio.part("error").count() == 0
    assert studio.part("download").is_enabled()


@TWO
@pytest.mark.parametrize(
    ("problem", "en", "zh"),
    [
        (
            {"status": 429, "code": "rate_limited", "retry_after": 900},
            "try again in 15 minutes",
            "请在 15 分钟后重试",
        ),
        ({"status": 504, "code": "deadline_exceeded"}, "again when it is quieter", "或稍后重试"),
    ],
    ids=["limited", "deadline"],
)
def test_what_no_waiting_mends_is_told_and_the_paint_stays(
    open_studio, coffee_file, device, locale, problem, en, zh, request
):
    studio = open_studio(device, locale=locale)
    load_and_paint(studio, coffee_file)
    painted = studio.painted()
    studio.page.route("**/v1/erase", refusing(1, **problem))
    studio.part("erase").click()
    studio.part("error").filter(has_text=zh if locale == "zh-CN" else en).wait_for()
    studio.shot(f"load-4-{request.node.callspec.id}")
    assert studio.painted() == painted
    studio.part("erase").click()
    studio.wait_for_result()
    assert studio.part("download").is_enabled()


def test_a_result_that_the_server_could_not_keep_is_uploaded_for_the_next_round(open_studio, coffee_file):
    studio = open_studio()
    load_and_paint(studio, coffee_file)

    def forget(route: Any) -> None:
        response = route.fetch()
        headers = {name: value for name, value in response.headers.items() if name != "x-eraser-image-id"}
        route.fulfill(response=response, headers=headers)

    studio.page.route("**/v1/erase", forget)
    studio.erase()
    paint(studio)
    studio.erase()
    assert len(studio.uploads) == 2
    assert studio.part("error").count() == 0


@pytest.mark.parametrize(("locale", "sentence"), [("en-US", "no room left"), ("zh-CN", "存储空间不足")])
def test_an_upload_without_room_is_told_and_tried_again_at_the_next_erase(
    open_studio, coffee_file, locale, sentence
):
    studio = open_studio(locale=locale)
    detail = "The server has no room left to keep this." if locale == "en-US" else "服务器存储空间不足。"
    studio.page.route("**/v1/images", refusing(1, 507, code="storage_full", detail=detail, retry_after=60))
    studio.load(coffee_file)
    studio.part("error").filter(has_text=sentence).wait_for()
    studio.shot(f"load-5-no-room-{locale}")
    paint(studio)
    studio.erase()
    assert studio.part("download").is_enabled()


def large_png(path: Path, side: int) -> Path:
    """Noise, which no compression makes smaller: 3 bytes a pixel."""
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(path, compress_level=0)
    return path


@pytest.mark.parametrize("side", [2000, 4000])
def test_a_file_that_is_too_large_is_refused_with_its_sentence_while_it_is_sent(open_studio, tmp_path, side):
    studio = open_studio()
    studio.choose(large_png(tmp_path / "large.png", side))
    studio.part("error").filter(has_text="larger than 8 MiB").wait_for(timeout=20_000)
    studio.part("start").wait_for()


@TWO
def test_an_upload_to_a_full_house_waits_and_then_goes_on(
    open_studio, crowd, tmp_path, device, locale, request
):
    studio = open_studio(device, locale=locale)
    studio.size = (1600, 1600)
    crowd.come(2)
    studio.load(large_png(tmp_path / "photo.png", 1600))
    studio.brush(60)
    studio.stroke((700, 700), (900, 760))
    studio.part("erase").click()
    says(studio, "当前繁忙，将自动重试" if locale == "zh-CN" else "Very busy, trying again")
    studio.shot(f"load-6-upload-{request.node.callspec.id}")
    studio.wait_for_result()
    assert studio.part("error").count() == 0
    assert studio.part("download").is_enabled()


@TWO
def test_a_photo_that_only_the_server_can_show_says_why_it_does_not_open_yet(
    open_studio, coffee, tmp_path, device, locale, request
):
    studio = open_studio(device, locale=locale)
    path = tmp_path / "scan.tif"
    Image.fromarray(coffee).save(path)
    studio.page.route("**/v1/images", refusing(2, 503, code="queue_full", detail="d", retry_after=1))
    studio.choose(path)
    sentence = "当前繁忙，将自动重试" if locale == "zh-CN" else "Very busy, trying again"
    studio.part("start").get_by_text(sentence).wait_for()
    studio.shot(f"load-7-opening-{request.node.callspec.id}")
    studio.part("editor").wait_for()
    assert studio.part("error").count() == 0


def test_a_restart_with_an_empty_folder_is_not_noticed(open_studio, coffee_file, tmp_path):
    first = Server(tmp_path / "first")
    first.wait_ready()
    studio = open_studio()
    studio.page.goto(first.url)
    load_and_paint(studio, coffee_file)
    studio.erase()
    assert first.stop() == 0
    second = Server(tmp_path / "second", ERASER_SERVER__PORT=str(first.port))
    second.url = first.url
    try:
        second.wait_ready()
        paint(studio)
        studio.erase()
        assert studio.part("error").count() == 0
        assert len(studio.uploads) == 2
    finally:
        assert second.stop() == 0


def test_a_restart_in_the_middle_is_waited_out(open_studio, coffee_file, coffee_png, spoon_png, tmp_path):
    first = Server(tmp_path / "first", slow=2.5)
    first.wait_ready()
    studio = open_studio()
    studio.page.goto(first.url)
    load_and_paint(studio, coffee_file)
    crowd = Crowd(first.url + "/", coffee_png, spoon_png)
    crowd.come(1)
    stopped = threading.Thread(target=first.stop)
    stopped.start()
    while httpx2.get(f"{first.url}/v1/status").json()["state"] != "draining":
        time.sleep(0.02)
    studio.part("erase").click()
    says(studio, "The server restarts, trying again")
    stopped.join()
    crowd.leave()
    second = Server(tmp_path / "second", ERASER_SERVER__PORT=str(first.port))
    second.url = first.url
    try:
        second.wait_ready()
        studio.wait_for_result()
        assert studio.part("error").count() == 0
        assert studio.part("download").is_enabled()
    finally:
        assert second.stop() == 0

"""A model on another server, without a network: what is asked, and what is made of each answer."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx2
import numpy as np
import pytest
from PIL import Image

from magic_eraser.errors import (
    Cancelled,
    ContentBlocked,
    DeadlineExceeded,
    ModelUnavailable,
    UnusableOutput,
)
from magic_eraser.models import remote
from magic_eraser.models.inpainter import Effort, InpaintOptions, Sampler
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch

URL = "http://studio.example:8080"
SIZE = (40, 60)


def png(array) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


GREY = png(np.full((*SIZE, 3), 128, np.uint8))


class Studio:
    """A server that answers from a list, then with a grey picture; `asked` is what it was asked for."""

    def __init__(self, *answers, iopaint: bool = False, models=("patch", "lama"), ready: int = 200) -> None:
        self.answers = list(answers)
        self.iopaint = iopaint
        self.models = models
        self.ready = ready
        self.asked: list[httpx2.Request] = []
        self.broken_off = threading.Event()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/below")
        if request.method == "GET":
            return self.facts(path)
        self.asked.append(request)
        answer = self.answers.pop(0) if self.answers else httpx2.Response(200, content=GREY)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            try:
                await asyncio.sleep(answer)
            except asyncio.CancelledError:
                self.broken_off.set()
                raise
            return httpx2.Response(200, content=GREY)
        return answer

    def facts(self, path: str) -> httpx2.Response:
        if self.iopaint:
            told = {
                "/api/v1/server-config": {"modelInfos": [{"name": name} for name in self.models]},
                "/api/v1/model": {"name": self.models[0]},
            }
        else:
            listed = [{"id": name, "allowed": name != "mat", "why_not": "no"} for name in self.models]
            told = {
                "/v1/models": {"default": "auto", "models": listed},
                "/readyz": {"status": "ok" if self.ready == 200 else "draining"},
            }
        if path not in told:
            return httpx2.Response(404, json={"detail": "Not Found"})
        return httpx2.Response(self.ready if path == "/readyz" else 200, json=told[path])


@pytest.fixture
def contact(monkeypatch):
    """`contact(studio, url)`: a model there, closed at the end. Pauses between tries are short."""
    monkeypatch.setattr("magic_eraser.models.remote.inpainter.BACK_OFF", (0.01, 0.02))
    models = []

    def begin(studio: Studio, url: str = URL, **options):
        made = remote.card("studio", "Studio", "Apache-2.0", url)
        transport = httpx2.MockTransport(studio)
        models.append(remote.load(Setup(), card=made, url=url, transport=transport, **options))
        return models[-1]

    yield begin
    for model in models:
        model.close()


@pytest.fixture
def crop():
    image = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    hole = np.zeros(SIZE, bool)
    hole[10:20, 15:30] = True
    return image, hole


def fields_of(request: httpx2.Request) -> dict[str, bytes]:
    """The parts of a multipart body, by a parser that is not ours."""
    from email.parser import BytesParser

    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + request.content)
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in message.get_payload()
    }


def test_a_server_of_ours_is_sent_the_known_pixels_and_the_mask(contact, crop):
    studio = Studio()
    image, hole = crop

    out = contact(studio, f"{URL}/below/#lama").inpaint(image, hole, InpaintOptions(seed=7), Watch(9))

    (request,) = studio.asked
    fields = fields_of(request)
    assert request.url.path == "/below/v1/erase"
    assert (pixels(fields["image"])[~hole] == image[~hole]).all()
    assert not pixels(fields["image"])[hole].any()
    assert ((pixels(fields["mask"]) == 255) == hole).all()
    assert {name: fields[name] for name in set(fields) - {"image", "mask"}} == {
        "format": b"png",
        "seed": b"7",
        "model": b"lama",
    }
    assert 8 < float(request.headers["x-eraser-deadline"]) < 9
    assert (out == 128).all()
    assert out.dtype == np.uint8


ASKED = InpaintOptions(
    seed=3,
    radius=6,
    effort=Effort.BEST,
    steps=50,
    sampler=Sampler.DDIM,
    prompt="grass",
    negative_prompt="people",
    rough_when_late=True,
)


def test_a_server_of_ours_is_told_what_was_asked_for(contact, crop):
    studio = Studio()
    contact(studio).inpaint(*crop, ASKED, Watch())
    fields = fields_of(studio.asked[0])
    assert {name: fields[name].decode() for name in set(fields) - {"image", "mask"}} == {
        "format": "png",
        "seed": "3",
        "effort": "best",
        "steps": "50",
        "sampler": "ddim",
        "prompt": "grass",
        "negative_prompt": "people",
        "rough_when_late": "true",
    }
    assert "x-eraser-deadline" not in studio.asked[0].headers


def test_iopaint_is_recognised_and_sent_its_own_fields(contact, crop):
    studio = Studio(iopaint=True, models=("lama", "cv2"))
    image, hole = crop

    out = contact(studio, f"{URL}#lama").inpaint(image, hole, ASKED, Watch())

    (request,) = studio.asked
    body = json.loads(request.content)
    assert request.url.path == "/api/v1/inpaint"
    assert (pixels(base64.b64decode(body.pop("image")))[~hole] == image[~hole]).all()
    assert ((pixels(base64.b64decode(body.pop("mask"))) > 127) == hole).all()
    assert body == {
        "hd_strategy": "Original",
        "cv2_radius": 6,
        "ldm_sampler": "ddim",
        "ldm_steps": 50,
        "sd_steps": 50,
        "sd_seed": 3,
        "prompt": "grass",
        "negative_prompt": "people",
    }
    assert (out == 128).all()


def test_what_is_spoken_can_be_given_with_the_address(contact, crop):
    studio = Studio(iopaint=True)
    contact(studio, f"iopaint+{URL}").inpaint(*crop, InpaintOptions(), Watch())
    assert studio.asked[0].url.path == "/api/v1/inpaint"
    with pytest.raises(ModelUnavailable, match="speaks neither"):
        contact(studio, f"eraser+{URL}")


@pytest.mark.parametrize(
    ("studio", "url", "sentence"),
    [
        (Studio(models=("patch",)), f"{URL}#lama", "has no model lama; it has auto, patch"),
        (Studio(models=("mat",)), f"{URL}#mat", "cannot use its model mat"),
        (Studio(ready=503), URL, "answered 503: draining"),
        (Studio(iopaint=True, models=("cv2",)), f"{URL}#lama", "has no model lama; it has cv2"),
        (Studio(iopaint=True, models=("cv2", "lama")), f"{URL}#lama", "runs cv2, not lama"),
        (Studio(iopaint=True), f"{URL}/elsewhere", "speaks neither"),
    ],
)
def test_a_server_that_cannot_serve_is_found_out_at_the_first_contact(contact, studio, url, sentence):
    with pytest.raises(ModelUnavailable, match=sentence):
        contact(studio, url)


def test_a_key_comes_from_the_environment_and_is_shown_nowhere(contact, crop, monkeypatch):
    with pytest.raises(ModelUnavailable, match="environment variable STUDIO_KEY"):
        contact(Studio(), key_from="STUDIO_KEY")
    monkeypatch.setenv("STUDIO_KEY", "s3cret-of-ours")
    studio = Studio(httpx2.Response(401, json={"detail": "The key has expired."}))

    with pytest.raises(ModelUnavailable, match=r"wants another key \(401: The key has expired") as caught:
        contact(studio, key_from="STUDIO_KEY").inpaint(*crop, InpaintOptions(), Watch())

    assert studio.asked[0].headers["authorization"] == "Bearer s3cret-of-ours"
    assert studio.asked[0].headers["x-api-key"] == "s3cret-of-ours"
    assert "s3cret" not in caught.value.detail + caught.value.detail_zh


@pytest.mark.parametrize("iopaint", [False, True])
def test_what_a_server_calls_its_models_is_shown_as_plain_text(contact, iopaint):
    studio = Studio(models=("red\x1b[31m\nforged line",), iopaint=iopaint)
    with pytest.raises(ModelUnavailable, match=r"red \[31m forged line") as caught:
        contact(studio, f"{URL}#lama")
    assert caught.value.detail_zh.isprintable()


@pytest.mark.parametrize(
    "first",
    [
        httpx2.Response(503, headers={"Retry-After": "0"}, json={"code": "queue_full", "detail": "Full."}),
        httpx2.Response(429, json={"detail": "Slowly."}),
        httpx2.Response(502, text="<html>Bad gateway</html>"),
        httpx2.ConnectError("refused"),
        httpx2.RemoteProtocolError("the server left"),
    ],
)
def test_what_passes_is_tried_again(contact, crop, first):
    studio = Studio(first, first)
    assert (contact(studio).inpaint(*crop, InpaintOptions(), Watch(30)) == 128).all()
    assert len(studio.asked) == 3


def test_after_three_tries_it_is_over(contact, crop):
    studio = Studio(*[httpx2.ConnectError("refused")] * 9)
    with pytest.raises(ModelUnavailable, match="cannot be reached: refused") as caught:
        contact(studio).inpaint(*crop, InpaintOptions(), Watch())
    assert len(studio.asked) == 3
    assert caught.value.retry_after


def test_a_server_that_asks_for_time_is_given_it(contact, crop):
    studio = Studio(httpx2.Response(503, headers={"Retry-After": "1"}))
    start = time.monotonic()
    contact(studio).inpaint(*crop, InpaintOptions(), Watch())
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize(("asked_for", "seconds"), [("3", 2), ("60", None)])
def test_a_server_that_asks_for_too_much_time_is_not_waited_for(contact, crop, asked_for, seconds):
    studio = Studio(httpx2.Response(503, headers={"Retry-After": asked_for}, json={"detail": "Full."}))
    start = time.monotonic()
    with pytest.raises(ModelUnavailable, match="answered 503: Full") as caught:
        contact(studio).inpaint(*crop, InpaintOptions(), Watch(seconds))
    assert time.monotonic() - start < 1
    assert caught.value.retry_after == float(asked_for)


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (
            httpx2.Response(422, json={"detail": [{"msg": "Input is odd"}]}),
            ModelUnavailable,
            "422: Input is odd",
        ),
        (httpx2.Response(400, json={"error": "X", "detail": "Size\nodd"}), ModelUnavailable, "400: Size odd"),
        (httpx2.Response(413, text="<html>"), ModelUnavailable, r"413: \(no reason given\)"),
        (
            httpx2.Response(500, json={"error": "KeyError", "detail": "'lama'"}),
            ModelUnavailable,
            "500: 'lama'",
        ),
        (httpx2.Response(403, json={"code": "content_blocked"}), ContentBlocked, "filter"),
        (httpx2.Response(504, json={"code": "deadline_exceeded"}), DeadlineExceeded, "its own time limit"),
        (
            httpx2.Response(307, headers={"Location": "http://inner.example/x"}),
            ModelUnavailable,
            "on to http://inner",
        ),
    ],
)
def test_what_stays_is_not_tried_again(contact, crop, answer, kind, sentence):
    studio = Studio(answer)
    with pytest.raises(kind, match=sentence):
        contact(studio).inpaint(*crop, InpaintOptions(), Watch(30))
    assert len(studio.asked) == 1


def noise(shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<html>hello</html>", "no picture of 60 x 40"),
        (png(noise((40, 59, 3))), "for a crop of"),
        (png(noise((80, 60, 3))), "no picture of 60 x 40"),
        (png(noise((40, 60), np.uint16)), "for a crop of"),
        (GREY[:-20], "no picture of 60 x 40"),
        (bytes(8 * 40 * 60 + 256 * 1024 + 1), "more than 281344 bytes"),
    ],
)
def test_an_answer_that_is_no_picture_of_the_size_is_unusable(contact, crop, content, sentence):
    studio = Studio(httpx2.Response(200, content=content))
    with pytest.raises(UnusableOutput, match=sentence):
        contact(studio).inpaint(*crop, InpaintOptions(), Watch())


@pytest.mark.parametrize(("seconds", "kind"), [(None, Cancelled), (0.3, DeadlineExceeded)])
def test_nobody_waits_longer_than_wanted_and_the_connection_is_closed(contact, crop, seconds, kind):
    studio = Studio(30.0)
    model = contact(studio)
    watch = Watch(seconds)
    threading.Timer(0.4, watch.cancel).start()
    start = time.monotonic()

    with pytest.raises(kind):
        model.inpaint(*crop, InpaintOptions(), watch)

    assert time.monotonic() - start < 1
    assert studio.broken_off.wait(2)
    assert (model.inpaint(*crop, InpaintOptions(), Watch()) == 128).all()


def test_a_pause_between_tries_ends_with_the_request(contact, crop):
    studio = Studio(httpx2.Response(503, headers={"Retry-After": "8"}))
    watch = Watch()
    threading.Timer(0.2, watch.cancel).start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        contact(studio).inpaint(*crop, InpaintOptions(), watch)
    assert time.monotonic() - start < 1


def test_requests_go_side_by_side(contact, crop):
    model = contact(Studio(*[0.5] * 8))
    start = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(model.inpaint, *crop, InpaintOptions(), Watch()) for _ in range(8)]
        assert all((future.result() == 128).all() for future in futures)
    assert time.monotonic() - start < 2


def test_a_rough_answer_is_marked_rough(contact, crop):
    watch = Watch(30)
    studio = Studio(httpx2.Response(200, content=GREY, headers={"X-Eraser-Notice": "rough_result"}))
    contact(studio).inpaint(*crop, InpaintOptions(rough_when_late=True), watch)
    assert watch.rough


def test_a_server_that_is_down_is_left_alone_for_a_while(contact, crop):
    studio = Studio(*[httpx2.ConnectError("refused")] * 9)
    model = contact(studio)
    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            model.inpaint(*crop, InpaintOptions(), Watch())
    before = len(studio.asked)

    with pytest.raises(ModelUnavailable, match="failed 5 times in a row") as caught:
        model.inpaint(*crop, InpaintOptions(), Watch())

    assert before == len(studio.asked) == 5
    assert 10 < caught.value.retry_after <= 15


def test_loading_can_be_pickled_and_needs_nothing_heavy():
    card = remote.card("studio", "Studio", "MIT", f"{URL}#lama")
    loader = pickle.loads(pickle.dumps(partial(remote.load, card=card, url=URL, key_from="KEY")))
    assert loader.keywords["card"] == card
    assert (card.source, card.isolated, card.needs, card.memory_mb) == (URL, False, (), 0)

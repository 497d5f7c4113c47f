"""`POST /v1/erase` as CONTRACT.md has it."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from magic_eraser.api.app import create_app
from magic_eraser.settings import ModelSettings, QueueSettings
from slow_model import catalog_with


def test_the_answer_is_the_picture_with_everything_outside_the_hole_untouched(
    erase, coffee, coffee_png, dot, dot_png, decode
):
    response = erase(coffee_png, dot_png)

    out = decode(response.content)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert (out[~dot] == coffee[~dot]).all()
    assert (out[dot] != coffee[dot]).any()


def test_the_headers_tell_what_happened(erase, coffee_png, dot_png):
    headers = erase(coffee_png, dot_png, model="telea").headers

    assert headers["x-eraser-model"] == "telea"
    assert headers["x-eraser-cache"] == "miss"
    assert len(headers["x-eraser-image-id"]) == 22
    assert len(headers["x-request-id"]) == 32
    stages = [part.split(";dur=") for part in headers["server-timing"].split(", ")]
    assert {name for name, _ in stages} == {"cache", "queue", "decode", "filter", "inpaint", "encode"}
    assert all(float(value) >= 0 for _, value in stages)


def test_a_callers_request_id_is_kept_and_a_strange_one_is_not(erase, coffee_png, dot_png):
    kept = erase(coffee_png, dot_png, headers={"X-Request-Id": "order-12345"})
    strange = erase(coffee_png, dot_png, headers={"X-Request-Id": "a b\tc" * 30})

    assert kept.headers["x-request-id"] == "order-12345"
    assert len(strange.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("format", "media", "pillow"),
    [
        ("png", "image/png", "PNG"),
        ("jpeg", "image/jpeg", "JPEG"),
        ("webp", "image/webp", "WEBP"),
        ("same", "image/png", "PNG"),
    ],
)
def test_the_format_can_be_chosen(erase, coffee_png, dot_png, format, media, pillow):
    response = erase(coffee_png, dot_png, format=format, model="telea")

    assert response.headers["content-type"] == media
    assert Image.open(io.BytesIO(response.content)).format == pillow


def test_a_lower_quality_is_a_smaller_file(erase, coffee_png, dot_png):
    sizes = [
        len(erase(coffee_png, dot_png, format="jpeg", quality=quality, model="telea").content)
        for quality in (30, 95)
    ]
    assert sizes[0] < sizes[1] / 2


def test_what_the_format_cannot_carry_is_said(erase, coffee, encode, dot_png):
    rgba = np.dstack([coffee, np.full(coffee.shape[:2], 128, np.uint8)])

    response = erase(encode(rgba), dot_png, format="jpeg", model="telea")

    assert "alpha_flattened" in response.headers["x-eraser-notice"]


def test_dilate_and_feather_reach_beyond_the_mask_but_not_further(erase, coffee, coffee_png, dot_png, decode):
    out = decode(erase(coffee_png, dot_png, dilate=5, feather=3, model="telea").content)

    changed = np.argwhere((out != coffee).any(axis=2))
    assert changed.min(axis=0)[0] >= 40 - 8
    assert changed.max(axis=0)[0] <= 51 + 8
    assert changed.min(axis=0)[0] < 40


def test_the_same_seed_gives_the_same_bytes_and_another_a_variant(erase, coffee_png, spoon_png):
    first, second, other = (erase(coffee_png, spoon_png, model="patch", seed=s).content for s in (1, 1, 2))

    assert first == second
    assert first != other


def test_json_with_base64_and_data_urls(client, coffee_png, dot_png, coffee, dot, decode):
    body = {
        "image": base64.b64encode(coffee_png).decode(),
        "mask": "data:image/png;base64," + base64.b64encode(dot_png).decode(),
        "model": "telea",
    }

    response = client.post("/v1/erase", json=body)

    assert response.status_code == 200
    assert (decode(response.content)[~dot] == coffee[~dot]).all()


def test_json_is_answered_where_it_is_accepted(erase, coffee_png, dot_png, decode):
    answer = erase(coffee_png, dot_png, headers={"Accept": "application/json"}, model="telea").json()

    head, _, payload = answer["image"].partition(",")
    assert head == "data:image/png;base64"
    assert decode(base64.b64decode(payload)).shape == (400, 600, 3)
    assert (answer["width"], answer["height"], answer["model"]) == (600, 400, "telea")
    assert answer["notices"] == []


def test_the_result_can_be_erased_further(erase, client, coffee, coffee_png, dot, dot_png, decode):
    first = erase(coffee_png, dot_png, model="telea")
    other = np.zeros_like(dot)
    other[300:320, 30:60] = True
    mask = io.BytesIO()
    Image.fromarray(other).save(mask, "PNG")

    second = client.post(
        "/v1/erase",
        files={"mask": mask.getvalue()},
        data={"image_id": first.headers["x-eraser-image-id"], "model": "telea"},
    )

    out = decode(second.content)
    assert (out[dot] == decode(first.content)[dot]).all()
    assert (out[other] != coffee[other]).any()
    assert (out[~dot & ~other] == coffee[~dot & ~other]).all()


@pytest.fixture
def rimmed(encode):
    """A dark disc on grey as PNG, a mask that leaves 2 px of its rim, and how far each pixel is from its middle."""
    y, x = np.mgrid[:160, :200]
    away = np.hypot(x - 100, y - 80)
    image = np.full((160, 200, 3), 180, np.uint8)
    image[away < 40] = 40
    return encode(image), encode((away < 38).astype(np.uint8) * 255), away


def test_dilate_auto_takes_the_rim_that_the_mask_left(erase, rimmed, decode):
    image, mask, _away = rimmed

    as_painted = decode(erase(image, mask, model="telea").content)
    grown = decode(erase(image, mask, model="telea", dilate="auto").content)

    assert as_painted.min() == 40
    assert grown.min() > 150


def test_json_takes_the_same_options(client, rimmed, decode):
    image, mask = (base64.b64encode(each).decode() for each in rimmed[:2])
    body = {
        "image": image,
        "mask": mask,
        "model": "telea",
        "dilate": "auto",
        "effort": "fast",
        "rough_when_late": True,
    }

    response = client.post("/v1/erase", json=body)

    assert response.status_code == 200
    assert decode(response.content).min() > 150
    assert "x-eraser-notice" not in response.headers


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dilate", "201"),
        ("dilate", "-1"),
        ("dilate", "Auto"),
        ("dilate", "1.5"),
        ("dilate", ""),
        ("effort", "most"),
        ("rough_when_late", "perhaps"),
        ("steps", "0"),
        ("steps", "1001"),
        ("sampler", "euler"),
        ("prompt", "x" * 1001),
        ("negative_prompt", "x" * 1001),
        ("quality", "0"),
        ("quality", "101"),
        ("quality", "best"),
    ],
)
def test_a_wrong_value_is_named_by_its_field(erase, coffee_png, dot_png, field, value):
    response = erase(coffee_png, dot_png, **{field: value})

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == f"/{field}"


def test_a_wrong_growth_is_one_sentence(client, coffee_png, dot_png):
    body = {
        name: base64.b64encode(each).decode() for name, each in (("image", coffee_png), ("mask", dot_png))
    }

    problem = client.post("/v1/erase", json={**body, "dilate": [3]}).json()

    assert problem["detail"] == 'dilate: Input should be a whole number from 0 to 200, or "auto".'
    assert len(problem["errors"]) == 1


def test_effort_reaches_the_model(erase, slow, coffee_png, dot_png):
    erase(coffee_png, dot_png, model="slow", effort="best")
    erase(coffee_png, dot_png, model="slow")

    assert [asked.effort for asked in slow.asked] == ["best", "balanced"]


def test_a_high_quality_is_of_the_fill_and_a_number_of_the_file(erase, slow, coffee_png, dot_png):
    high = erase(coffee_png, dot_png, model="slow", quality="high", format="jpeg")
    erase(coffee_png, dot_png, model="slow", quality=80, format="jpeg")

    assert high.status_code == 200
    assert [asked.effort for asked in slow.asked] == ["best", "balanced"]


def test_what_diffusion_models_heed_reaches_the_model(erase, slow, coffee_png, dot_png):
    erase(coffee_png, dot_png, model="slow", steps=7, sampler="ddim", prompt="a table", negative_prompt="cup")
    erase(coffee_png, dot_png, model="slow")

    said, unsaid = slow.asked
    assert (said.steps, said.sampler, said.prompt, said.negative_prompt) == (7, "ddim", "a table", "cup")
    assert (unsaid.steps, unsaid.sampler, unsaid.prompt, unsaid.negative_prompt) == (None, "plms", "", "")


def test_a_caller_may_ask_for_less_time(erase, slow, coffee_png, dot_png):
    slow.seconds = 5

    response = erase(coffee_png, dot_png, model="slow", headers={"X-Eraser-Deadline": "0.5"})

    assert response.status_code == 504
    assert response.json()["code"] == "deadline_exceeded"
    assert slow.stopped_by == ["DeadlineExceeded"]


def test_but_not_for_more_than_the_server_gives(settings, slow, coffee_png, dot_png):
    slow.seconds = 5
    short = settings.model_copy(update={"queue": QueueSettings(deadline_seconds=0.5)})
    with TestClient(create_app(short, catalog=catalog_with(slow))) as client:
        response = client.post(
            "/v1/erase",
            files={"image": coffee_png, "mask": dot_png},
            data={"model": "slow"},
            headers={"X-Eraser-Deadline": "60"},
        )

    assert response.status_code == 504


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", ""])
def test_a_wrong_deadline_is_refused(erase, coffee_png, dot_png, value):
    response = erase(coffee_png, dot_png, headers={"X-Eraser-Deadline": value})

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/X-Eraser-Deadline"


@pytest.mark.parametrize(("language", "word"), [("en", "time limit"), ("zh-CN", "时限")])
def test_near_the_deadline_a_rough_result_says_so(erase, slow, coffee_png, dot_png, language, word):
    slow.seconds = 20
    headers = {"X-Eraser-Deadline": "2", "Accept": "application/json", "Accept-Language": language}

    response = erase(coffee_png, dot_png, model="slow", rough_when_late="true", headers=headers)

    assert response.status_code == 200
    assert response.headers["x-eraser-notice"] == "rough_result"
    (notice,) = response.json()["notices"]
    assert word in notice["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/predict", lambda image, mask: {"data": [image, mask]}),
        ("/api/v1/inpaint", lambda image, mask: {"image": image, "mask": mask}),
    ],
    ids=["predict", "iopaint"],
)
def test_the_compatible_apis_heed_the_deadline_too(settings, slow, coffee_png, dot_png, path, body):
    slow.seconds = 5
    app = create_app(
        settings.model_copy(update={"models": ModelSettings(default="slow")}), catalog=catalog_with(slow)
    )
    sent = body(*(base64.b64encode(each).decode() for each in (coffee_png, dot_png)))
    with TestClient(app) as client:
        late = client.post(path, json=sent, headers={"X-Eraser-Deadline": "0.5"})
        wrong = client.post(path, json=sent, headers={"X-Eraser-Deadline": "soon"})

    assert (late.status_code, wrong.status_code) == (504, 422)
    assert (slow.asked[0].effort, slow.asked[0].rough_when_late) == ("balanced", False)

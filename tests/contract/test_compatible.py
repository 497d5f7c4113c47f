"""What clients of other servers already speak."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import many_models
from magic_eraser.api.app import create_app
from magic_eraser.settings import QueueSettings, WeightSettings
from slow_model import catalog_with


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


# --- the deployment guide's /api/predict ----------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "data:image/png;name=a.png;base64,"])
def test_predict_takes_base64_or_data_urls(client, coffee, coffee_png, dot, dot_png, decode, prefix):
    response = client.post("/api/predict", json={"data": [prefix + b64(coffee_png), prefix + b64(dot_png)]})

    answer = response.json()
    assert response.status_code == 200
    assert answer["duration"] >= 0
    (url,) = answer["data"]
    head, _, payload = url.partition(",")
    assert head == "data:image/png;base64"
    assert (decode(base64.b64decode(payload))[~dot] == coffee[~dot]).all()


def test_predict_takes_line_broken_base64_and_gradios_own_fields(client, coffee_png, dot_png):
    broken = base64.encodebytes(coffee_png).decode()
    body = {"data": [broken, b64(dot_png)], "fn_index": 0, "session_hash": "abc"}

    assert client.post("/api/predict", json=body).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"data": ["@@", "@@"]}, 400),
        ({"data": []}, 422),
        ({"data": ["only one"]}, 422),
        ({"data": "text"}, 422),
        ({"data": [1, 2]}, 422),
        ({}, 422),
        ([], 422),
    ],
)
def test_predict_fails_as_an_error_sentence(client, body, status):
    response = client.post("/api/predict", json=body)

    assert response.status_code == status
    assert isinstance(response.json()["error"], str)
    assert len(response.json()["error"]) > 20


def test_predict_refuses_a_large_body_in_its_own_shape(client):
    response = client.post("/api/predict", json={"data": ["A" * 4_000_000, "A"]})
    assert response.status_code == 413
    assert "error" in response.json()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_predict_says_queue_and_timeout_in_any_language(settings, slow, coffee_png, dot_png, language):
    slow.seconds = 30
    models = {"models": settings.models.model_copy(update={"default": "slow"})}
    headers = {"Accept-Language": language}
    body = {"data": [b64(coffee_png), b64(dot_png)]}

    late = settings.model_copy(update={"queue": QueueSettings(slots=1, deadline_seconds=0.2), **models})
    with TestClient(create_app(late, catalog=catalog_with(slow))) as client:
        response = client.post("/api/predict", json=body, headers=headers)
        assert response.status_code == 504
        assert "timeout" in response.json()["error"]

    full = settings.model_copy(update={"queue": QueueSettings(slots=1, depth=0), **models})
    with TestClient(create_app(full, catalog=catalog_with(slow))) as client:
        client.app.state.rooms.admission.running = 1  # somebody is at work
        response = client.post("/api/predict", json=body, headers=headers)
        assert response.status_code == 503
        assert "queue" in response.json()["error"]


# --- IOPaint 1.6 ----------------------------------------------------------------------------------------


def inpaint(client, image: bytes, mask: bytes, **fields):
    return client.post("/api/v1/inpaint", json={"image": b64(image), "mask": b64(mask), **fields})


def test_iopaint_answers_raw_bytes_in_the_pictures_format_with_the_seed(client, coffee_jpeg, dot_png):
    response = inpaint(client, coffee_jpeg, dot_png, sd_seed=7)

    assert response.status_code == 200
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["x-seed"] == "7"
    assert Image.open(io.BytesIO(response.content)).size == (600, 400)


def test_iopaints_defaults_and_its_random_seed(client, coffee_png, dot_png):
    assert inpaint(client, coffee_png, dot_png).headers["x-seed"] == "42"
    assert 1 <= int(inpaint(client, coffee_png, dot_png, sd_seed=-1).headers["x-seed"]) <= 99_999_999


def test_iopaints_full_request_is_accepted(client, coffee_png, dot_png):
    fields = {
        "ldm_steps": 5000, "ldm_sampler": "ddim", "sd_steps": 0, "zits_wireframe": True, "hd_strategy": "Crop",
        "hd_strategy_crop_triger_size": 640, "hd_trategy_resize_imit": 2048, "prompt": "", "sd_scale": 1.0,
        "cv2_flag": "INPAINT_TELEA", "cv2_radius": 5, "enable_controlnet": False, "use_croper": False,
    }  # fmt: skip
    assert inpaint(client, coffee_png, dot_png, **fields).status_code == 200


def test_iopaints_cv2_is_telea_or_ns_by_flag_and_radius(client, coffee, coffee_png, dot, dot_png, decode):
    import cv2

    client.post("/api/v1/model", json={"name": "cv2"})
    for flag, method in (("INPAINT_NS", cv2.INPAINT_NS), ("INPAINT_TELEA", cv2.INPAINT_TELEA)):
        out = decode(inpaint(client, coffee_png, dot_png, cv2_flag=flag, cv2_radius=5).content)
        expected = cv2.inpaint(coffee, dot.astype(np.uint8), 5, method)
        assert np.abs(out[dot].astype(int) - expected[dot]).max() <= 2


def test_iopaints_model_can_be_asked_and_switched(client):
    shown = client.get("/api/v1/model").json()
    assert shown["name"] == "auto"
    assert shown["model_type"] == "inpaint"
    assert client.post("/api/v1/model", json={"name": "telea"}).json()["name"] == "telea"
    assert client.get("/api/v1/model").json()["path"] == "telea"


def test_a_wrong_name_is_a_404_and_bricks_nothing(client, coffee_png, dot_png):
    response = client.post("/api/v1/model", json={"name": "nope"})

    assert response.status_code == 404
    assert response.json().keys() == {"error", "detail", "body", "errors"}
    assert client.get("/api/v1/model").json()["name"] == "auto"
    assert inpaint(client, coffee_png, dot_png).status_code == 200


def test_iopaints_config_samplers_and_input_image(client):
    config = client.get("/api/v1/server-config").json()
    assert {info["name"] for info in config["modelInfos"]} >= {"cv2", "patch"}
    assert config["enableFileManager"] is False
    assert len(config["samplers"]) == 19
    assert client.get("/api/v1/samplers").json() == config["samplers"]
    missing = client.get("/api/v1/inputimage")
    assert missing.status_code == 200
    assert missing.json()["detail"] == "No input image configured"


def test_iopaints_envelope_for_failures(client, coffee_png, dot_png, encode):
    size = inpaint(client, coffee_png, encode(np.full((10, 10), 255, np.uint8)))
    assert size.status_code == 400
    assert size.json()["errors"].startswith("400: ")
    broken = inpaint(client, b"no picture", dot_png)
    assert broken.status_code == 400
    assert broken.json()["error"] == "InvalidImage"
    missing = client.post("/api/v1/inpaint", json={"mask": b64(dot_png)})
    assert missing.status_code == 422
    assert missing.json()["detail"][0]["loc"] == ["body", "image"]


@pytest.fixture
def inpainters():
    return many_models.inpainters()


@pytest.fixture
def many(settings, tmp_path, inpainters):
    """A server with models that heed steps or prompts, and models that lack something."""
    weights = WeightSettings(dir=tmp_path / "weights")
    app = create_app(
        settings.model_copy(update={"weights": weights}), catalog=many_models.catalog(inpainters)
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_iopaint_offers_the_models_that_can_be_used_and_says_which_need_a_prompt(many):
    infos = {info["name"]: info for info in many.get("/api/v1/server-config").json()["modelInfos"]}

    usable = [card.id for card in many_models.USABLE]
    assert list(infos) == ["auto", "cv2", "patch", "telea", "ns", *usable]
    assert [name for name, info in infos.items() if info["need_prompt"]] == ["prompted"]
    assert infos["prompted"]["model_type"] == "diffusers_sd_inpaint"
    assert many.post("/api/v1/model", json={"name": "prompted"}).json() == infos["prompted"]
    assert many.get("/api/v1/model").json() == infos["prompted"]


@pytest.mark.parametrize("card", many_models.LACKING, ids=lambda card: card.id)
def test_iopaints_model_is_not_switched_to_one_that_cannot_be_used(many, card):
    many.post("/api/v1/model", json={"name": "ns"})

    response = many.post("/api/v1/model", json={"name": card.id})

    assert response.status_code == 503
    assert response.json()["error"] == "ModelNotReady"
    assert response.json()["errors"] == f"503: {response.json()['detail']}"
    assert many.get("/api/v1/model").json()["name"] == "ns"


def test_iopaints_ldm_fields_reach_a_model_with_a_sampler(many, inpainters, coffee_png, dot_png):
    many.post("/api/v1/model", json={"name": "stepped"})
    inpaint(many, coffee_png, dot_png)
    inpaint(many, coffee_png, dot_png, ldm_steps=7, ldm_sampler="ddim", sd_steps=9, prompt="a cat")

    asked = [(each.steps, each.sampler, each.prompt) for each in inpainters["stepped"].asked]
    assert asked == [(20, "plms", ""), (7, "ddim", "")]


def test_iopaints_sd_fields_reach_a_model_with_a_prompt(many, inpainters, coffee_png, dot_png):
    many.post("/api/v1/model", json={"name": "prompted"})
    inpaint(many, coffee_png, dot_png)
    inpaint(many, coffee_png, dot_png, sd_steps=9, prompt="a table", negative_prompt="a spoon", ldm_steps=7)

    asked = [(each.steps, each.prompt, each.negative_prompt) for each in inpainters["prompted"].asked]
    assert asked == [(50, "", ""), (9, "a table", "a spoon")]


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        ("auto", "ldm_sampler", "euler"),
        ("stepped", "ldm_steps", 0),
        ("stepped", "ldm_steps", 1001),
        ("prompted", "sd_steps", 0),
        ("prompted", "prompt", "x" * 1001),
        ("prompted", "negative_prompt", "x" * 1001),
    ],
)
def test_iopaints_fields_have_limits_where_they_are_heeded(many, coffee_png, dot_png, model, field, value):
    many.post("/api/v1/model", json={"name": model})

    response = inpaint(many, coffee_png, dot_png, **{field: value})

    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "body"

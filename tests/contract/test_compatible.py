"""What clients of other servers already speak."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from magic_eraser.api.app import create_app
from magic_eraser.settings import QueueSettings
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
        "ldm_steps": 30, "ldm_sampler": "ddim", "zits_wireframe": True, "hd_strategy": "Crop",
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

"""Every failure has a stable code, one shape, a way out, and no traceback."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import zipfile

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from magic_eraser import errors
from magic_eraser.api import problems
from magic_eraser.api.app import create_app
from magic_eraser.errors import error_types
from magic_eraser.settings import QueueSettings
from slow_model import catalog_with

MEMBERS = {"type", "title", "status", "detail", "hint", "instance", "code", "request_id"}
ALL = error_types()


def assert_problem(response, status: int, code: str) -> dict:
    body = response.json()
    assert (response.status_code, body.get("code")) == (status, code), body
    assert response.headers["content-type"] == "application/problem+json"
    assert body.keys() >= MEMBERS
    assert body["status"] == status
    assert body["type"] == f"urn:magic-eraser:error:{code}"
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["detail"]
    assert body["hint"]
    assert "Traceback" not in response.text
    assert "site-packages" not in response.text
    return body


# --- the tree -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thrower():
    app = FastAPI()
    problems.install(app)

    @app.get("/{code}")
    async def throw(code: str):
        raise next(kind for kind in ALL if kind.code == code)(retry_after=2.2)

    return TestClient(app)


def test_codes_are_unique_and_complete():
    codes = [kind.code for kind in ALL]
    assert len(codes) == len(set(codes))
    assert set(codes) >= {
        "invalid_image", "invalid_mask", "mask_size_mismatch", "empty_mask", "not_authenticated", "invalid_token",
        "token_expired", "payment_required", "plan_forbids_model", "plan_forbids_feature", "content_blocked",
        "unknown_model", "not_found", "idempotency_in_flight", "body_too_large", "image_too_large",
        "unsupported_format", "validation_failed", "idempotency_mismatch", "rate_limited", "quota_exhausted",
        "queue_full", "draining", "model_unavailable", "deadline_exceeded", "internal",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.code)
def test_every_error_has_one_shape_in_both_languages(thrower, kind):
    english = thrower.get(f"/{kind.code}")
    chinese = thrower.get(f"/{kind.code}", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})

    assert english.status_code == kind.status
    assert english.json()["title"] == kind.title
    assert english.json()["retry_after"] == 3
    assert english.headers["retry-after"] == "3"
    for member in ("title", "detail", "hint"):
        assert re.search("[\u4e00-\u9fff]", chinese.json()[member]), member
        assert not re.search("[\u4e00-\u9fff]", english.json()[member]), member


def test_the_errors_a_client_looks_for_hold_its_words():
    assert "queue" in errors.QueueFull().sentence()
    assert "timeout" in errors.DeadlineExceeded().sentence()


# --- the picture --------------------------------------------------------------------------------------


def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        packed.writestr("photo.png", b"x")
    return content.getvalue()


def bomb() -> bytes:
    """A PNG header that claims 100,000 x 100,000 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, payload: bytes) -> bytes:
        return (
            struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("image", "status", "code", "says"),
    [
        (b"", 400, "invalid_image", "empty"),
        (b"this is no picture at all", 400, "invalid_image", "not a picture"),
        (archive(), 415, "unsupported_format", "ZIP"),
        (b"%PDF-1.7 ...", 415, "unsupported_format", "PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported_format", "SVG"),
        (bomb(), 413, "image_too_large", "100"),
    ],
    ids=["zero bytes", "text", "a ZIP named .png", "a PDF", "an SVG", "a decompression bomb"],
)
def test_what_is_not_a_picture_is_named(erase, dot_png, image, status, code, says):
    body = assert_problem(erase(image, dot_png), status, code)
    assert says in body["detail"]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
def test_a_truncated_file_is_refused(erase, coffee, encode, dot_png, format):
    whole = encode(coffee, format)
    body = assert_problem(erase(whole[: len(whole) * 2 // 3], dot_png), 400, "invalid_image")
    assert "cut off" in body["detail"] or "truncated" in body["detail"]


def test_too_many_pixels_are_refused_by_the_header(erase, encode, dot_png):
    body = assert_problem(erase(encode(np.zeros((1001, 1000), np.uint8)), dot_png), 413, "image_too_large")
    assert body["max_pixels"] == 1_000_000


def test_an_animation_gives_its_first_frame_and_says_so(erase, coffee, dot_png):
    frames = [Image.fromarray(coffee), Image.fromarray(255 - coffee)]
    content = io.BytesIO()
    frames[0].save(content, "WEBP", save_all=True, append_images=frames[1:], lossless=True)

    response = erase(content.getvalue(), dot_png, model="telea")

    assert response.status_code == 200
    assert "animation_dropped" in response.headers["x-eraser-notice"]


# --- the mask -----------------------------------------------------------------------------------------


def test_a_mask_of_another_size_is_refused_with_both_sizes(erase, coffee_png, encode):
    body = assert_problem(
        erase(coffee_png, encode(np.full((300, 200), 255, np.uint8))), 400, "mask_size_mismatch"
    )
    for number in ("600", "400", "200", "300"):
        assert number in body["detail"]


def test_an_empty_mask_is_refused(erase, coffee_png, encode):
    assert_problem(erase(coffee_png, encode(np.full((400, 600), 127, np.uint8))), 400, "empty_mask")


def test_a_mask_of_everything_is_refused_and_says_why(erase, coffee_png, encode):
    body = assert_problem(erase(coffee_png, encode(np.full((400, 600), 255, np.uint8))), 400, "invalid_mask")
    assert "nothing" in body["detail"].lower()


def test_one_pixel_cannot_be_erased_from_itself(erase, encode):
    one = np.full((1, 1), 255, np.uint8)
    assert_problem(erase(encode(one), encode(one)), 400, "invalid_mask")


@pytest.mark.parametrize("mask", [b"", b"no mask", archive()], ids=["empty", "text", "zip"])
def test_a_mask_that_is_no_picture_is_an_invalid_mask(erase, coffee_png, mask):
    body = assert_problem(erase(coffee_png, mask), 400, "invalid_mask")
    assert "mask" in body["detail"]


# --- the fields ---------------------------------------------------------------------------------------


def test_a_wrong_model_name_lists_the_right_ones(erase, coffee_png, dot_png):
    body = assert_problem(erase(coffee_png, dot_png, model="lamma"), 404, "unknown_model")
    assert "patch" in body["detail"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dilate", "-1"), ("dilate", "201"), ("dilate", "1.5"), ("feather", "x"), ("quality", "0"),
        ("format", "exe"), ("seed", "-3"), ("seed", str(2**32)), ("model", "m" * 101), ("unheard_of", "1"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(erase, coffee_png, dot_png, field, value):
    body = assert_problem(erase(coffee_png, dot_png, **{field: value}), 422, "validation_failed")
    assert body["errors"][0]["pointer"] == f"/{field}"


@pytest.mark.parametrize(
    "body",
    [
        {"image": 5, "mask": "YQ=="}, {"image": ["a"], "mask": "YQ=="}, {"image": None, "mask": None}, {},
        {"mask": {"a": 1}}, {"image": "x", "mask": "x", "dilate": "many"}, {"image": "x", "mask": "x", "model": 7},
    ],
)  # fmt: skip
def test_wrong_types_in_json_are_named(client, body):
    assert_problem(client.post("/v1/erase", json=body), 422, "validation_failed")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_broken_json_is_refused(client, content):
    response = client.post("/v1/erase", content=content, headers={"Content-Type": "application/json"})
    assert_problem(response, 422, "validation_failed")


@pytest.mark.parametrize("broken", ["@@@@", "abc", "data:image/png;base64,****", "data:image/png,raw"])
def test_broken_base64_is_said_for_image_and_mask(client, coffee_png, broken):
    good = base64.b64encode(coffee_png).decode()
    image = client.post("/v1/erase", json={"image": broken, "mask": good})
    mask = client.post("/v1/erase", json={"image": good, "mask": broken})

    assert_problem(image, 400, "invalid_image")
    assert_problem(mask, 400, "invalid_mask")


def test_neither_form_nor_json_is_refused(client):
    response = client.post("/v1/erase", content=b"raw", headers={"Content-Type": "text/plain"})
    body = assert_problem(response, 422, "validation_failed")
    assert "multipart/form-data" in body["detail"]


def test_a_broken_form_is_refused(client):
    response = client.post(
        "/v1/erase", content=b"--x\r\nnonsense", headers={"Content-Type": "multipart/form-data"}
    )
    assert_problem(response, 422, "validation_failed")


def test_an_image_twice_or_in_two_ways_is_refused(client, coffee_png, dot_png):
    twice = [("image", ("a", coffee_png)), ("image", ("b", coffee_png)), ("mask", ("m", dot_png))]
    assert_problem(client.post("/v1/erase", files=twice), 422, "validation_failed")
    both = client.post("/v1/erase", files={"image": coffee_png, "mask": dot_png}, data={"image_id": "x" * 22})
    assert_problem(both, 422, "validation_failed")


def test_a_missing_part_is_named(erase, coffee_png, dot_png):
    assert assert_problem(erase(None, dot_png), 422, "validation_failed")["errors"][0]["pointer"] == "/image"
    assert (
        assert_problem(erase(coffee_png, None), 422, "validation_failed")["errors"][0]["pointer"] == "/mask"
    )


# --- limits and load ----------------------------------------------------------------------------------


def test_a_body_beyond_the_cap_is_refused(erase, dot_png, settings):
    body = assert_problem(erase(bytes(3_000_001), dot_png), 413, "body_too_large")
    assert body["max_bytes"] == settings.limits.max_body_bytes


def test_a_body_of_unknown_length_is_cut_off_while_it_streams(client):
    sent = 0

    def endless():
        nonlocal sent
        yield b'{"image": "'
        for _ in range(100):
            sent += 1
            yield b"A" * 1_000_000

    response = client.post("/v1/erase", content=endless(), headers={"Content-Type": "application/json"})

    assert_problem(response, 413, "body_too_large")


def test_a_full_queue_says_when_to_come_back(client, slow, erase, coffee_png, dot_png):
    slow.seconds = 1.0
    answers = []
    threads = [
        threading.Thread(target=lambda k=k: answers.append(erase(coffee_png, dot_png, model="slow", seed=k)))
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 200, 503, 503]  # one slot, one waiting
    refused = next(answer for answer in answers if answer.status_code == 503)
    body = assert_problem(refused, 503, "queue_full")
    assert int(refused.headers["retry-after"]) == body["retry_after"] >= 1
    assert 'eraser_admission_rejected_total{reason="queue_full"} 2.0' in client.get("/metrics").text


def test_past_the_deadline_the_work_has_stopped(settings, slow, coffee_png, dot_png):
    short = settings.model_copy(update={"queue": QueueSettings(slots=1, depth=1, deadline_seconds=0.3)})
    slow.seconds = 30
    with TestClient(create_app(short, catalog=catalog_with(slow))) as client:
        response = client.post(
            "/v1/erase", files={"image": coffee_png, "mask": dot_png}, data={"model": "slow"}
        )
        assert_problem(response, 504, "deadline_exceeded")
        assert slow.stopped_by == ["DeadlineExceeded"]
        assert client.get("/v1/status").json()["queue"]["running"] == 0


def test_while_draining_new_work_is_refused_and_readiness_says_so(client, erase, coffee_png, dot_png):
    client.app.state.rooms.admission.drain()

    response = erase(coffee_png, dot_png)
    upload = client.post("/v1/images", files={"image": coffee_png})

    assert_problem(response, 503, "draining")
    assert_problem(upload, 503, "draining")
    assert response.headers["retry-after"] == "5"
    assert client.get("/readyz").status_code == client.get("/health").status_code == 503
    assert client.get("/readyz").json() == {"status": "draining"}
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    "fault",
    [errors.QuotaExhausted, errors.PaymentRequired, errors.PlanForbidsModel, errors.RateLimited],
)
def test_what_the_quota_refuses_reaches_the_caller(settings, coffee_png, dot_png, fault):
    class Refusing:
        async def reserve(self, principal, units):
            raise fault(retry_after=60)

    with TestClient(create_app(settings, quota=Refusing())) as client:
        response = client.post("/v1/erase", files={"image": coffee_png, "mask": dot_png})

    assert_problem(response, fault.status, fault.code)
    assert response.headers["retry-after"] == "60"


def test_what_the_filter_blocks_reaches_the_caller(settings, coffee_png, dot_png):
    class Blocking:
        id = "blocking"

        async def check(self, photo, watch):
            raise errors.ContentBlocked

    with TestClient(create_app(settings, content_filter=Blocking())) as client:
        response = client.post("/v1/erase", files={"image": coffee_png, "mask": dot_png})

    assert_problem(response, 403, "content_blocked")


def test_a_defect_of_ours_says_nothing_of_its_cause(settings, coffee_png, dot_png):
    class Broken:
        async def check(self, photo, watch):
            raise RuntimeError("the password is hunter2")

    with TestClient(create_app(settings, content_filter=Broken()), raise_server_exceptions=False) as client:
        response = client.post("/v1/erase", files={"image": coffee_png, "mask": dot_png})
        predict = client.post(
            "/api/predict",
            json={"data": [base64.b64encode(part).decode() for part in (coffee_png, dot_png)]},
        )

    assert_problem(response, 500, "internal")
    assert "hunter2" not in response.text + predict.text
    assert predict.status_code == 500


# --- addresses ----------------------------------------------------------------------------------------


def test_no_such_address_and_no_such_method(client):
    assert_problem(client.get("/v2/erase"), 404, "not_found")
    response = client.put("/v1/erase")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


def test_unknown_addresses_share_one_metric_label(client):
    for path in ("/a", "/b", "/wp-login.php"):
        client.get(path)
    assert (
        'iopaint_requests_total{endpoint="unmatched",method="GET",status="404"} 3.0'
        in client.get("/metrics").text
    )


def test_nothing_is_left_behind_after_all_that(client, erase, dot_png, settings):
    erase(b"broken", dot_png)
    erase(bytes(3_000_001), dot_png)

    files = [path for path in settings.data_dir.rglob("*") if path.is_file()]
    assert [path for path in files if not path.name.startswith("eraser.db")] == []
    assert client.get("/v1/status").json()["queue"]["running"] == 0


def test_a_problem_is_valid_json_for_any_detail(client):
    for name in (
        r"\ud800",
        r"\u0000<script>",
        r"\ud83d\ude00",
    ):  # a lone surrogate cannot be written as UTF-8
        body = f'{{"image": "YQ==", "mask": "YQ==", "model": "{name}"}}'.encode()
        response = client.post("/v1/erase", content=body, headers={"Content-Type": "application/json"})
        json.loads(response.content)
        assert response.status_code in (404, 422)

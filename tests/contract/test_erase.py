"""`POST /v1/erase` as CONTRACT.md has it."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image


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
    assert headers["x-eraser-cache"] == "bypass"
    assert len(headers["x-eraser-image-id"]) == 22
    assert len(headers["x-request-id"]) == 32
    stages = [part.split(";dur=") for part in headers["server-timing"].split(", ")]
    assert {name for name, _ in stages} == {"decode", "filter", "queue", "inpaint", "encode"}
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

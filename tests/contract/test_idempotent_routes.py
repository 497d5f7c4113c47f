"""`Idempotency-Key` at every door that costs."""

from __future__ import annotations

import base64

import pytest


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture(params=["/v1/erase", "/v1/erase as JSON", "/api/predict", "/api/v1/inpaint"])
def door(request, client, coffee_png, dot_png):
    """`door(key, mask=...)`: the same request, whichever route takes it."""

    def post(key, mask=dot_png):
        headers = {"Idempotency-Key": key}
        if request.param == "/v1/erase":
            files = {"image": ("a.png", coffee_png), "mask": ("b.png", mask)}
            return client.post("/v1/erase", files=files, headers=headers)
        body = {"image": b64(coffee_png), "mask": b64(mask)}
        if request.param == "/api/predict":
            body = {"data": [body["image"], body["mask"]]}
        if request.param == "/api/v1/inpaint":
            body["sd_seed"] = -1
        return client.post(request.param.removesuffix(" as JSON"), json=body, headers=headers)

    return post


def test_the_same_request_is_answered_the_same(door):
    first, again, other = door('"one"'), door("one"), door("another")
    assert (first.status_code, again.status_code, other.status_code) == (200, 200, 200)
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers | other.headers
    for name in ("content-type", "x-seed", "x-eraser-model", "x-eraser-image-id"):
        assert again.headers.get(name) == first.headers.get(name)
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


def test_another_request_with_its_key_is_refused(door, spoon_png):
    assert door("one").status_code == 200
    assert door("one", mask=spoon_png).status_code == 422


def test_a_failure_is_not_kept(door, dot_png):
    assert door("one", mask=b"broken").status_code == 400
    assert door("one").status_code == 200


def test_a_key_that_is_none_is_refused(door):
    assert door('"').status_code == 422

"""`POST /cleanup/v1`: what a program written for ClipDrop sends and sees."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from accounts_house import accounts_house
from magic_eraser import errors
from magic_eraser.accounts.principal import Scope
from magic_eraser.api.app import create_app
from magic_eraser.api.compat.cleanup import NO_LIMIT, status_of
from magic_eraser.models.inpainter import Effort
from magic_eraser.settings import QueueSettings
from slow_model import catalog_with

PLANS = """
default = "tiny"
[plans.tiny]
title = "Tiny"
price = "0"
calls_a_day = 2
cost_a_call = "0"
features = ["basic_inpaint"]
models = ["patch"]
max_pixels = 300_000
free_cached = true
[plans.paid]
title = "Paid"
price = "10"
calls_a_day = "unlimited"
cost_a_call = "0.10"
features = ["basic_inpaint", "all_models", "custom_models", "hd_processing"]
charging = "credit"
[plans.flat]
title = "Flat"
price = "10"
calls_a_day = "unlimited"
cost_a_call = "0"
features = ["basic_inpaint"]
models = ["patch"]
max_pixels = 1_000_000
"""


def cleanup(client, image: bytes | None, mask: bytes | None, headers=None, **fields):
    given = (("image_file", "photo.jpg", image), ("mask_file", "mask.png", mask))
    files = {name: (file, content) for name, file, content in given if content is not None}
    return client.post("/cleanup/v1", files=files or None, data=fields, headers=headers)


def assert_error(response, status: int, said: str = "") -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"error"}
    assert said in response.json()["error"]
    assert not {"x-remaining-credits", "x-credits-consumed"} & set(response.headers)


def opened(response) -> Image.Image:
    return Image.open(io.BytesIO(response.content))


# --- the answer -----------------------------------------------------------------------------------------


def test_clipdrops_own_example(client, coffee, coffee_png, dot, dot_png, decode):
    response = cleanup(
        client, coffee_png, dot_png, {"x-api-key": "ignored where nobody is asked"}, mode="fast"
    )

    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-credits-consumed"] == "1"
    assert response.headers["x-remaining-credits"] == str(NO_LIMIT) == "2147483647"
    result = decode(response.content)
    assert (result[~dot] == coffee[~dot]).all()
    assert (result[dot] != coffee[dot]).any()


def test_a_jpeg_is_answered_as_png_unless_another_is_asked_for(client, coffee_jpeg, dot_png):
    assert opened(cleanup(client, coffee_jpeg, dot_png)).format == "PNG"


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("image/png", "PNG"),
        ("image/jpeg", "JPEG"),
        ("image/webp", "WEBP"),
        ("*/*", "PNG"),
        ("image/*", "PNG"),
        ("", "PNG"),
        ("image/avif,image/webp,image/apng,image/*;q=0.8", "WEBP"),
        ("image/jpeg;q=0.5, image/webp;q=0.9", "WEBP"),
        ("image/png;q=0, */*", "JPEG"),
        ("application/json, image/jpeg;q=0.1", "JPEG"),
        ("IMAGE/JPEG", "JPEG"),
    ],
)
def test_the_format_is_the_one_that_is_liked_best(client, coffee_png, dot_png, accept, format):
    response = cleanup(client, coffee_png, dot_png, {"Accept": accept})

    assert response.status_code == 200
    assert opened(response).format == format
    assert response.headers["content-type"] == f"image/{format.lower()}"
    assert "accept" in response.headers["vary"].lower()


@pytest.mark.parametrize(
    "accept", ["image/avif", "application/json", "image/png;q=0", "*/*;q=0", "text", "image/png;q=x"]
)
def test_another_format_is_not_to_be_had(client, coffee_png, dot_png, accept):
    assert_error(cleanup(client, coffee_png, dot_png, {"Accept": accept}), 406, "image/png")


def test_the_same_again_is_free(client, coffee_png, dot_png):
    first, second = (cleanup(client, coffee_png, dot_png) for _ in range(2))
    assert first.headers["x-credits-consumed"] == "1"
    assert second.headers["x-credits-consumed"] == "0"
    assert second.headers["x-remaining-credits"] == "2147483647"
    assert second.content == first.content
    assert cleanup(client, coffee_png, dot_png, mode="quality").headers["x-credits-consumed"] == "1"
    assert cleanup(client, coffee_png, dot_png, {"Accept": "image/webp"}).headers["x-credits-consumed"] == "1"


def test_the_mode_is_how_much_work_the_fill_is_worth(settings, slow, coffee_png, dot_png):
    models = settings.models.model_copy(update={"default": "slow"})
    app = create_app(settings.model_copy(update={"models": models}), catalog=catalog_with(slow))
    with TestClient(app) as client:
        for fields in ({}, {"mode": "fast"}, {"mode": "quality"}):
            cleanup(client, coffee_png, dot_png, {"Cache-Control": "no-store"}, **fields)
    efforts = [(each.effort, each.rough_when_late) for each in slow.asked]
    assert efforts == [(Effort.FAST, False), (Effort.FAST, False), (Effort.BEST, True)]


def test_the_same_key_is_answered_once(client, coffee_png, dot_png):
    headers = {"Idempotency-Key": "one", "Cache-Control": "no-store"}
    first, second = (cleanup(client, coffee_png, dot_png, headers) for _ in range(2))
    assert second.headers["idempotency-replayed"] == "true"
    assert second.content == first.content
    assert_error(
        cleanup(client, coffee_png, dot_png, {**headers, "Accept": "image/webp"}), 400, "Idempotency-Key"
    )


# --- what cannot be done --------------------------------------------------------------------------------


def test_bad_input_is_a_400(client, coffee_png, dot_png, encode):
    small = encode(np.full((10, 10), 255, np.uint8))
    black = encode(np.zeros((400, 600), np.uint8))
    assert_error(cleanup(client, coffee_png, None), 400, '"mask_file"')
    assert_error(cleanup(client, None, dot_png), 400, '"image_file"')
    assert_error(cleanup(client, None, None), 400)
    assert_error(cleanup(client, coffee_png, small), 400, "10")
    assert_error(cleanup(client, coffee_png, black), 400, "No pixel of the 600 x 400 mask")
    assert_error(cleanup(client, b"no picture", dot_png), 400)
    assert_error(cleanup(client, coffee_png, b"no mask"), 400)
    assert_error(cleanup(client, coffee_png[:-200], dot_png), 400)
    assert_error(cleanup(client, coffee_png, dot_png, mode="better"), 400, "mode")
    assert_error(
        client.post("/cleanup/v1", data={"image_file": "text", "mask_file": "text"}), 400, '"image_file"'
    )
    assert_error(
        client.post("/cleanup/v1", content=b"%PDF", headers={"Content-Type": "application/pdf"}), 400
    )
    assert_error(client.post("/cleanup/v1"), 400)
    assert_error(cleanup(client, coffee_png, dot_png, {"X-Eraser-Deadline": "soon"}), 400)


def test_fields_that_are_not_known_mean_nothing(client, coffee_png, dot_png):
    assert cleanup(client, coffee_png, dot_png, prompt="a cat", upscale="2").status_code == 200


def test_what_is_too_large_is_a_413(client, dot_png, encode):
    wide = encode(np.zeros((1001, 1000, 3), np.uint8))
    assert_error(cleanup(client, wide, dot_png), 413)
    assert_error(cleanup(client, b"x" * 3_000_001, dot_png), 413)


def test_too_many_requests_are_a_429(settings, slow, coffee_png, dot_png):
    limits = settings.limits.model_copy(update={"requests_per_minute": 1})
    with TestClient(
        create_app(settings.model_copy(update={"limits": limits}), catalog=catalog_with(slow))
    ) as client:
        assert cleanup(client, coffee_png, dot_png).status_code == 200
        refused = cleanup(client, coffee_png, dot_png)
    assert_error(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60


def test_a_full_queue_and_a_server_that_leaves_are_a_429(settings, slow, coffee_png, dot_png):
    full = settings.model_copy(update={"queue": QueueSettings(slots=1, depth=0)})
    with TestClient(create_app(full, catalog=catalog_with(slow))) as client:
        client.app.state.rooms.admission.running = 1  # somebody is at work
        refused = cleanup(client, coffee_png, dot_png)
        assert_error(refused, 429)
        assert int(refused.headers["retry-after"]) >= 1
        client.app.state.rooms.admission.running = 0
        client.app.state.rooms.admission.drain()
        refused = cleanup(client, coffee_png, dot_png)
        assert_error(refused, 429)
        assert int(refused.headers["retry-after"]) >= 1


def test_what_is_our_fault_is_a_500(settings, slow, coffee_png, dot_png):
    slow.seconds = 30
    models = settings.models.model_copy(update={"default": "slow"})
    late = settings.model_copy(
        update={"queue": QueueSettings(slots=1, deadline_seconds=0.2), "models": models}
    )
    with TestClient(create_app(late, catalog=catalog_with(slow))) as client:
        assert_error(cleanup(client, coffee_png, dot_png), 500, "timeout")
        assert (
            cleanup(client, coffee_png, dot_png, mode="quality").headers["x-eraser-notice"] == "rough_result"
        )


def test_errors_are_in_the_callers_language(client, coffee_png, dot_png):
    headers = {"Accept": "image/avif", "Accept-Language": "zh-CN"}
    assert_error(cleanup(client, coffee_png, dot_png, headers), 406, "无法以所要求的格式返回")


def test_every_error_has_one_of_clipdrops_statuses():
    allowed = {400, 401, 402, 406, 413, 429, 500}
    for kind in errors.error_types():
        assert status_of(kind()) in allowed | {499}, kind
    assert {kind.code for kind in errors.error_types() if status_of(kind()) == 402} == {
        "payment_required", "quota_exhausted", "plan_forbids_model", "plan_forbids_feature",
    }  # fmt: skip
    assert {kind.code for kind in errors.error_types() if status_of(kind()) == 401} == {
        "not_authenticated", "invalid_token", "token_expired", "insufficient_scope", "account_disabled",
    }  # fmt: skip


# --- callers who pay ------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path, slow):
    plans = tmp_path / "plans.toml"
    plans.write_text(PLANS)
    with accounts_house(tmp_path / "data", plans_file=plans, slow=slow) as house:
        yield house


def x_api_key(headers: dict[str, str]) -> dict[str, str]:
    return {"x-api-key": headers["Authorization"].removeprefix("Bearer ")}


def test_a_key_pays_until_its_credits_are_used_up(house, coffee_png, dot_png, encode):
    key = x_api_key(house.user("alice", plan="tiny"))
    left = []
    for row in (0, 0, 1, 1):
        mask = np.zeros((400, 600), np.uint8)
        mask[10 + row : 20, 10:20] = 255
        response = cleanup(house.client, coffee_png, encode(mask), key)
        left.append((response.headers["x-credits-consumed"], response.headers["x-remaining-credits"]))
    assert left == [("1", "1"), ("0", "1"), ("1", "0"), ("0", "0")]  # every second one is from the cache
    refused = cleanup(house.client, coffee_png, dot_png, key)
    assert_error(refused, 402)
    assert int(refused.headers["retry-after"]) >= 1
    failed = cleanup(house.client, coffee_png, b"no mask", x_api_key(house.user("bob", plan="tiny")))
    assert_error(failed, 400)


def test_failures_cost_nothing(house, coffee_png, dot_png):
    key = x_api_key(house.user("alice", plan="tiny"))
    for _ in range(5):
        assert_error(cleanup(house.client, coffee_png, b"no mask", key), 400)
    assert cleanup(house.client, coffee_png, dot_png, key).headers["x-remaining-credits"] == "1"


def test_without_credit_it_is_a_402(house, coffee_png, dot_png):
    key = x_api_key(house.user("alice", plan="paid"))
    assert_error(cleanup(house.client, coffee_png, dot_png, key), 402)


def test_what_the_plan_does_not_include_is_a_402(house, dot_png, encode):
    key = x_api_key(house.user("alice", plan="tiny"))
    large = encode(np.zeros((600, 600, 3), np.uint8))
    assert_error(cleanup(house.client, large, dot_png, key), 402, "300,000 pixels")


def test_plans_without_a_daily_limit_say_so(house, coffee_png, dot_png):
    key = x_api_key(house.user("alice", plan="flat"))
    for _from_the_cache in (False, True):
        response = cleanup(house.client, coffee_png, dot_png, key)
        assert response.headers["x-remaining-credits"] == "2147483647"
        assert response.headers["x-credits-consumed"] == "1"


def test_who_is_not_known_gets_a_401(house, coffee_png, dot_png):
    key = x_api_key(house.user("alice", plan="tiny"))
    assert_error(cleanup(house.client, coffee_png, dot_png), 401)
    for wrong in ("wrong", key["x-api-key"][:-1] + "0", "eras_live_" + "a" * 43, "a.b.c"):
        refused = cleanup(house.client, coffee_png, dot_png, {"x-api-key": wrong})
        assert_error(refused, 401)
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert wrong not in refused.text
    no_scope = x_api_key(house.key("alice", scopes={Scope.ACCOUNT_READ}))
    assert_error(cleanup(house.client, coffee_png, dot_png, no_scope), 401, "erase")
    house.run(house.rooms.accounts.users.disable, "alice", actor="test")
    disabled = cleanup(house.client, coffee_png, dot_png, key)
    assert_error(disabled, 401)
    assert disabled.headers["www-authenticate"].startswith("Bearer")


def test_the_document_has_clipdrops_statuses_and_headers(client):
    operation = client.get("/openapi.json").json()["paths"]["/cleanup/v1"]["post"]
    assert set(operation["responses"]) == {"200", "400", "401", "402", "406", "413", "429", "500"}
    assert operation["responses"]["200"]["headers"].keys() == {"x-remaining-credits", "x-credits-consumed"}
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert json.loads(json.dumps(form))["properties"].keys() == {"image_file", "mask_file", "mode"}
    assert set(form["required"]) == {"image_file", "mask_file"}

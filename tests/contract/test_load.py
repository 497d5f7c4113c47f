"""What load, limits and the cache look like from outside."""

from __future__ import annotations

import threading
import time

import pytest
from fastapi.testclient import TestClient

from magic_eraser.api.app import create_app
from magic_eraser.settings import CacheSettings, LimitSettings
from slow_model import catalog_with


def stages(answer) -> list[str]:
    return [part.split(";")[0] for part in answer.headers["server-timing"].split(", ")]


def test_an_equal_request_is_a_hit_with_the_same_bytes(client, erase, coffee_png, dot_png):
    first, second = (erase(coffee_png, dot_png, model="telea") for _ in range(2))

    assert (first.headers["x-eraser-cache"], second.headers["x-eraser-cache"]) == ("miss", "hit")
    assert first.content == second.content
    assert first.headers["x-eraser-model"] == second.headers["x-eraser-model"] == "telea"
    assert stages(second) == ["cache"]
    assert first.headers["x-eraser-image-id"] != second.headers["x-eraser-image-id"]
    metrics = client.get("/metrics").text
    assert 'eraser_cache_requests_total{backend="file",result="hit"} 1.0' in metrics


@pytest.mark.parametrize(
    ("directive", "told", "then"),
    [("no-store", "bypass", "miss"), ("max-age=0, No-Cache", "miss", "hit"), ("max-age=0", "miss", "hit")],
)
def test_the_callers_cache_control_holds(erase, coffee_png, dot_png, directive, told, then):
    answer = erase(coffee_png, dot_png, model="telea", headers={"Cache-Control": directive})
    again = erase(coffee_png, dot_png, model="telea")

    assert (answer.headers["x-eraser-cache"], again.headers["x-eraser-cache"]) == (told, then)


def test_no_cache_has_it_made_anew(erase, slow, coffee_png, dot_png):
    for _ in range(2):
        answer = erase(coffee_png, dot_png, model="slow", headers={"Cache-Control": "no-cache"})
        assert answer.headers["x-eraser-cache"] == "miss"
    assert len(slow.asked) == 2


def test_a_failure_is_kept_for_nobody(erase, coffee_png, encode, dot):
    empty = encode(dot.astype("uint8") * 0)
    for _ in range(2):
        assert erase(coffee_png, empty).json()["code"] == "empty_mask"


def test_without_a_cache_every_answer_is_made(settings, slow, coffee_png, dot_png):
    none = settings.model_copy(update={"cache": CacheSettings(backend="null")})
    with TestClient(create_app(none, catalog=catalog_with(slow))) as client:
        for _ in range(2):
            files = {"image": coffee_png, "mask": dot_png}
            answer = client.post("/v1/erase", files=files, data={"model": "telea"})
            assert answer.headers["x-eraser-cache"] == "bypass"


def test_a_hit_needs_no_slot(client, erase, slow, coffee_png, dot_png):
    erase(coffee_png, dot_png, model="telea")
    slow.seconds = 5
    thread = threading.Thread(target=erase, args=(coffee_png, dot_png), kwargs={"model": "slow"})
    thread.start()
    assert slow.begun.acquire(timeout=5)

    start = time.monotonic()
    answer = erase(coffee_png, dot_png, model="telea")
    took = time.monotonic() - start
    slow.seconds = 0
    thread.join()

    assert answer.headers["x-eraser-cache"] == "hit"
    assert took < 1


@pytest.fixture
def limited(settings, slow):
    """Three requests a minute."""
    few = settings.model_copy(
        update={
            "limits": LimitSettings(max_pixels=1_000_000, max_body_bytes=3_000_000, requests_per_minute=3)
        }
    )
    with TestClient(create_app(few, catalog=catalog_with(slow)), client=("192.0.2.7", 50000)) as client:
        yield client


def test_a_limit_is_told_and_rejects(limited, coffee_png, dot_png):
    files = {"image": coffee_png, "mask": dot_png}
    answers = [limited.post("/v1/erase", files=files, data={"model": "telea"}) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit-policy"] for answer in answers] == ['"default";q=3;w=60'] * 4
    left = [answer.headers["ratelimit"].split(";")[1] for answer in answers]
    assert left == ["r=2", "r=1", "r=0", "r=0"]
    refused = answers[-1]
    assert refused.json()["code"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert f"t={refused.headers['retry-after']}" in refused.headers["ratelimit"]
    assert 'eraser_admission_rejected_total{reason="rate_limited"} 1.0' in limited.get("/metrics").text


def test_the_limit_holds_for_every_door_that_costs_and_for_no_other(limited, coffee_png):
    for _ in range(3):
        assert limited.post("/v1/images", files={"image": coffee_png}).status_code == 201
    assert limited.post("/api/predict", json={"data": ["", ""]}).status_code == 429
    assert limited.post("/api/v1/inpaint", json={}).status_code == 429
    assert limited.get("/v1/models").status_code == 200
    assert "ratelimit" not in limited.get("/v1/models").headers


def test_a_failed_request_tells_the_rate_as_well(limited):
    answer = limited.post("/v1/erase", json={})

    assert answer.status_code == 422
    assert answer.headers["ratelimit"].startswith('"default";r=2;t=')


def test_without_a_limit_there_are_no_such_headers(erase, coffee_png, dot_png):
    answer = erase(coffee_png, dot_png, model="telea")

    assert not [name for name in answer.headers if name.startswith("ratelimit")]


def test_the_request_that_wakes_the_server_says_so(client, erase, coffee_png, dot_png):
    client.app.state.rooms.activity.fall_asleep()
    assert client.get("/v1/status").json()["asleep"] is True

    first, second = (erase(coffee_png, dot_png, model=model) for model in ("telea", "ns"))

    assert first.headers["server-timing"].startswith('wake;desc="slept 0 s"')
    assert "wake" not in second.headers["server-timing"]
    assert client.get("/v1/status").json()["asleep"] is False


def test_status_tells_what_the_server_leans_on(client):
    status = client.get("/v1/status").json()

    assert status["dependencies"] == {"database": "ok", "redis": "none"}
    metrics = client.get("/metrics").text
    assert "iopaint_active_users 0.0" in metrics
    assert 'eraser_jobs{state="running"} 0.0' in metrics


def test_users_are_counted_once(client, erase, coffee_png, dot_png):
    for model in ("telea", "ns"):
        erase(coffee_png, dot_png, model=model)

    assert "iopaint_active_users 1.0" in client.get("/metrics").text

"""How many jobs, and how much of the disk, one caller may have; and what a full house means for a job."""

from __future__ import annotations

import threading

import pytest
from fastapi.testclient import TestClient

from magic_eraser.api.app import create_app
from magic_eraser.settings import JobSettings
from slow_model import catalog_with


@pytest.fixture
def settings(settings):
    jobs = JobSettings(max_open=2, max_kept_bytes=1_500_000, max_body_bytes=4_000_000)
    return settings.model_copy(update={"jobs": jobs})


@pytest.fixture
def submit(client, coffee_png, dot_png):
    """`submit(client=..., headers=..., **fields)`: one pair to /v1/jobs."""

    def post(client=client, headers=None, **fields):
        files = [("image", ("a.png", coffee_png)), ("mask", ("m.png", dot_png))]
        return client.post("/v1/jobs", files=files, data=fields, headers=headers or {})

    return post


def test_one_open_job_too_many_waits_for_the_others(submit, client, slow):
    slow.seconds = 30
    first, second, refused = (submit(model="slow") for _ in range(3))

    assert (first.status_code, second.status_code, refused.status_code) == (202, 202, 429)
    assert refused.json()["code"] == "rate_limited"
    assert "2 jobs" in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) >= 1
    for job in (first, second):
        client.delete(f"/v1/jobs/{job.json()['id']}")
    assert submit(model="telea").status_code == 202


def test_another_address_is_another_caller(submit, client, slow):
    slow.seconds = 30
    for _ in range(2):
        submit(model="slow")

    other = TestClient(client.app, client=("192.0.2.9", 1))
    assert submit(other, model="telea").status_code == 202
    for job in client.get("/v1/jobs").json()["jobs"]:
        client.delete(f"/v1/jobs/{job['id']}")


def test_old_jobs_take_room_until_they_are_deleted(submit, client, slow, coffee_png):
    assert 1_500_000 / 4 < len(coffee_png) < 1_500_000 / 3
    slow.seconds = 0
    made = []
    for _ in range(3):
        made.append(submit(model="slow").json()["id"])
        client.get(f"/v1/jobs/{made[-1]}/events")  # until it is over

    refused = submit(model="slow")
    assert refused.status_code == 429
    assert "MiB" in refused.json()["detail"]
    assert client.delete(f"/v1/jobs/{made[0]}").status_code == 204
    assert submit(model="slow").status_code == 202


def test_a_full_queue_is_no_reason_to_refuse_a_job(submit, client, erase, slow, coffee_png, dot_png):
    slow.seconds = 2
    threads = [
        threading.Thread(target=erase, args=(coffee_png, dot_png), kwargs={"model": "slow", "seed": seed})
        for seed in range(2)
    ]
    for thread in threads:
        thread.start()
    while client.get("/v1/status").json()["queue"]["waiting"] < 1:
        pass

    assert erase(coffee_png, dot_png, model="telea", seed=9).status_code == 503
    assert submit(model="telea").status_code == 202
    later = erase(coffee_png, dot_png, model="telea", seed=9, headers={"Prefer": "respond-async"})
    assert (later.status_code, later.headers["preference-applied"]) == (202, "respond-async")
    for thread in threads:
        thread.join()


def test_no_store_holds_for_jobs_too(settings, slow, coffee_png, dot_png):
    app = create_app(settings, catalog=catalog_with(slow))
    with TestClient(app) as client:
        files = {"image": coffee_png, "mask": dot_png}
        for headers in ({"Prefer": "respond-async"}, {}):
            answer = client.post(
                "/v1/erase" if headers else "/v1/jobs",
                files=files,
                data={"model": "telea"},
                headers={"Cache-Control": "no-store", **headers},
            )
            job = answer.json()
            client.get(f"/v1/jobs/{job['id']}/events")
        assert 'result="put"' not in client.get("/metrics").text
        assert client.get("/v1/jobs").json()["jobs"][0]["succeeded"] == 1

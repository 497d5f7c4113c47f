"""`/v1/jobs`: many pictures in one request, as a client sees it."""

from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from dataclasses import replace
from datetime import datetime

import pytest
from fastapi.testclient import TestClient

from made_zips import made
from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.api import deps
from magic_eraser.api.app import create_app
from magic_eraser.api.streams import MOST_STREAMS
from magic_eraser.settings import JobSettings
from slow_model import catalog_with


@pytest.fixture
def settings(settings):
    jobs = JobSettings(max_items=4, max_body_bytes=4_000_000, webhook_secret="secret", attempts=1)
    return settings.model_copy(update={"jobs": jobs})


@pytest.fixture
def submit(client):
    """`submit(images, masks, headers=..., **fields)`: a multipart POST to /v1/jobs; pictures as (name, bytes)."""

    def post(images=(), masks=(), *, archive=None, headers=None, **fields):
        files = [("image", picture) for picture in images] + [("mask", picture) for picture in masks]
        if archive is not None:
            files.append(("archive", ("batch.zip", archive)))
        return client.post("/v1/jobs", files=files or None, data=fields, headers=headers or {})

    return post


@pytest.fixture
def over(client):
    """`over(job)`: the job once it is."""

    def wait(job):
        give_up = time.monotonic() + 20
        while True:
            seen = client.get(f"/v1/jobs/{job['id']}").json()
            if seen["finished_at"] is not None:
                return seen
            assert time.monotonic() < give_up, seen
            time.sleep(0.03)

    return wait


@pytest.fixture
def pair(coffee_png, dot_png):
    return (("cup.png", coffee_png),), (("mask.png", dot_png),)


def problem(response, status: int, code: str) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code
    return response.json()


def stream_of(client, path: str, **options) -> list[dict]:
    """The events of a stream that ends, by its own rules (WHATWG HTML, 9.2.6)."""
    response = client.get(path, **options)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            found.append({**fields, "data": json.loads(fields["data"])})
    return found


def test_pairs_become_a_job_that_is_worked_through(
    submit, over, client, coffee_png, coffee_jpeg, dot_png, decode
):
    images = [("cup.png", coffee_png), ("cup.jpg", coffee_jpeg)]
    response = submit(images, [("m", dot_png)] * 2, model="telea")
    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert response.headers["cache-control"] == "no-store"
    assert (job["state"], job["total"], job["succeeded"], job["failed"]) == ("queued", 2, 0, 0)
    assert job["finished_at"] is None
    assert job["expires_at"] is None
    assert datetime.fromisoformat(job["created_at"]).tzinfo is not None
    shown = [(item["index"], item["name"], item["success"], item["error"]) for item in job["items"]]
    assert shown == [(0, "cup.png", None, None), (1, "cup.jpg", None, None)]

    done = over(job)
    assert (done["state"], done["succeeded"], done["failed"]) == ("succeeded", 2, 0)
    assert done["expires_at"] > done["finished_at"] > done["created_at"]
    assert [item["success"] for item in done["items"]] == [True, True]
    result = client.get(done["items"][0]["result"])
    assert result.status_code == 200
    assert result.headers["content-type"] == "image/png"
    assert result.headers["x-eraser-model"] == "telea"
    erased, original = decode(result.content), decode(coffee_png)
    assert (erased[100:] == original[100:]).all()
    assert (erased[42:50, 62:72] != original[42:50, 62:72]).any()
    assert client.get(f"/v1/jobs/{job['id']}/items/1").headers["content-type"] == "image/jpeg"


def test_the_result_is_what_erase_answers(submit, over, client, erase, pair, coffee_png, dot_png):
    job = over(submit(*pair, model="telea", dilate="4", format="webp").json())
    alone = erase(coffee_png, dot_png, model="telea", dilate="4", format="webp")
    assert client.get(job["items"][0]["result"]).content == alone.content


def test_an_archive_is_a_job_too(submit, over, coffee_png, dot_png):
    archive = made({
        "trip/images/b.png": coffee_png, "trip/masks/b_mask.png": dot_png,
        "trip/images/a.png": coffee_png, "trip/masks/a.png": dot_png,
    })  # fmt: skip
    job = over(submit(archive=archive, model="telea").json())
    assert [(item["name"], item["success"]) for item in job["items"]] == [("a.png", True), ("b.png", True)]


def test_json_with_base64_is_a_job_too(client, over, coffee_png, dot_png):
    image, mask = (base64.b64encode(content).decode() for content in (coffee_png, dot_png))
    response = client.post("/v1/jobs", json={"image": [image], "mask": [mask], "model": "telea"})
    assert over(response.json())["state"] == "succeeded"


def test_a_picture_that_is_broken_fails_alone(submit, over, client, coffee_png, dot_png):
    images = [("broken.png", b"not a picture"), ("cup.png", coffee_png)]
    job = over(submit(images, [("m", dot_png)] * 2, model="telea").json())
    assert (job["state"], job["succeeded"], job["failed"]) == ("failed", 1, 1)
    broken, good = job["items"]
    assert (broken["success"], broken["code"], broken["result"]) == (False, "invalid_image", None)
    assert good["success"]
    path = f"/v1/jobs/{job['id']}/items/0"
    told = problem(client.get(path), 400, "invalid_image")
    assert broken["error"] == f"{told['detail']} {told['hint']}"
    chinese = {"Accept-Language": "zh-CN"}
    items = client.get(f"/v1/jobs/{job['id']}", headers=chinese).json()["items"]
    assert items[0]["error"] != broken["error"]
    assert "图片" in items[0]["error"]
    told = client.get(path, headers=chinese).json()
    assert items[0]["error"] == told["detail"] + told["hint"]


class TestRefused:
    @pytest.mark.parametrize(
        ("fields", "pointer"),
        [
            ({"dilate": "many"}, "/dilate"),
            ({"quality": "0"}, "/quality"),
            ({"surprise": "1"}, "/surprise"),
            ({"format": "psd"}, "/format"),
        ],
    )
    def test_fields_are_judged_before_anything_is_kept(self, submit, client, pair, fields, pointer):
        refused = problem(submit(*pair, **fields), 422, "validation_failed")
        assert refused["errors"][0]["pointer"] == pointer
        assert client.get("/v1/jobs").json() == {"jobs": [], "next": None}

    def test_a_model_that_is_not_there(self, submit, pair):
        problem(submit(*pair, model="dall-e"), 404, "unknown_model")

    def test_pictures_without_masks_or_no_pictures(self, submit, pair):
        problem(submit(pair[0], ()), 422, "validation_failed")
        problem(submit(pair[0] * 2, pair[1]), 422, "validation_failed")
        problem(submit(model="telea"), 422, "validation_failed")

    def test_pairs_and_an_archive(self, submit, pair):
        problem(submit(*pair, archive=made({})), 422, "validation_failed")

    def test_an_archive_that_is_none(self, submit):
        problem(submit(archive=b"not a zip"), 400, "invalid_archive")

    @pytest.mark.parametrize("text", ["dGV4dA==", "not base64!", "x" * 5000 + "!"])
    def test_an_archive_that_is_a_text(self, client, text):
        problem(client.post("/v1/jobs", data={"archive": text}), 400, "invalid_archive")
        problem(client.post("/v1/jobs", json={"archive": text}), 400, "invalid_archive")
        problem(client.post("/v1/jobs", json={"archive": 7}), 422, "validation_failed")

    def test_more_pairs_than_allowed(self, submit, pair):
        assert problem(submit(pair[0] * 5, pair[1] * 5), 413, "batch_too_large")["max_items"] == 4

    def test_a_body_beyond_the_limit_of_jobs(self, submit, settings):
        too_large = [("a.png", bytes(settings.jobs.max_body_bytes))]
        problem(submit(too_large, too_large), 413, "body_too_large")

    def test_a_picture_beyond_the_limit_of_pictures(self, submit, settings, dot_png):
        """A job's body may be larger than any other's; each picture in it may not."""
        large = [("large.png", bytes(settings.limits.max_body_bytes + 1))]
        assert "large.png" in problem(submit(large, [("m", dot_png)]), 413, "batch_too_large")["detail"]

    def test_nothing_is_left_of_what_was_refused(self, submit, settings, pair):
        submit(*pair, archive=b"x")
        submit([*pair[0], ("large.png", bytes(settings.limits.max_body_bytes + 1))], pair[1] * 2)
        assert [path for path in (settings.data_dir / "blobs").rglob("*") if path.is_file()] == []

    def test_while_the_server_leaves(self, submit, client, pair):
        client.app.state.rooms.admission.drain()
        problem(submit(*pair), 503, "draining")


class TestWebhookUrl:
    @pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://169.254.169.254/", "ftp://example.com/"])
    def test_a_private_one_is_refused_at_once(self, submit, pair, url):
        refused = problem(submit(*pair, webhook_url=url), 422, "validation_failed")
        assert refused["errors"][0]["pointer"] == "/webhook_url"

    def test_any_is_refused_where_no_secret_is_set(self, settings, slow, pair, coffee_png, dot_png):
        bare = settings.model_copy(update={"jobs": JobSettings()})
        with TestClient(create_app(bare, catalog=catalog_with(slow))) as client:
            files = [("image", pair[0][0]), ("mask", pair[1][0])]
            response = client.post("/v1/jobs", files=files, data={"webhook_url": "https://93.184.216.34/"})
        refused = problem(response, 422, "validation_failed")
        assert "ERASER_JOBS__WEBHOOK_SECRET" in refused["detail"]
        assert refused["errors"][0]["pointer"] == "/webhook_url"


def test_a_request_that_is_sent_again_is_one_job(submit, client, pair):
    headers = {"Idempotency-Key": "a-key"}
    first = submit(*pair, model="telea", headers=headers)
    again = submit(*pair, model="telea", headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1
    problem(submit(*pair, model="ns", headers=headers), 422, "idempotency_mismatch")


def test_an_erase_that_does_not_want_to_wait_is_a_job_of_one(client, over, coffee_png, dot_png, erase):
    headers = {"Prefer": "wait=10, Respond-Async; x=1"}
    response = erase(coffee_png, dot_png, model="telea", headers=headers)
    assert response.status_code == 202
    assert response.headers["preference-applied"] == "respond-async"
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    (item,) = over(job)["items"]
    assert (item["name"], item["success"]) == ("image", True)
    assert client.get(item["result"]).content == erase(coffee_png, dot_png, model="telea").content
    problem(erase(coffee_png, dot_png, model="dall-e", headers=headers), 404, "unknown_model")


def test_jobs_are_listed_newest_first_by_pages(submit, client, pair):
    ids = [submit(*pair, model="telea").json()["id"] for _ in range(3)]
    whole = client.get("/v1/jobs").json()
    assert [job["id"] for job in whole["jobs"]] == ids[::-1]
    assert whole["next"] is None
    assert "items" not in whole["jobs"][0]
    page = client.get("/v1/jobs", params={"limit": 2}).json()
    assert [job["id"] for job in page["jobs"]] == ids[:0:-1]
    rest = client.get("/v1/jobs", params={"limit": 2, "after": page["next"]}).json()
    assert ([job["id"] for job in rest["jobs"]], rest["next"]) == ([ids[0]], None)
    problem(client.get("/v1/jobs", params={"limit": 101}), 422, "validation_failed")
    problem(client.get("/v1/jobs", params={"after": "nobody"}), 404, "not_found")


def test_an_open_item_says_when_to_ask_again(submit, client, pair):
    job = submit(*pair, model="slow").json()
    response = client.get(f"/v1/jobs/{job['id']}/items/0")
    assert problem(response, 404, "not_found")["detail"] == "Item 0 is not done yet."
    assert response.headers["retry-after"] == "2"
    problem(client.get(f"/v1/jobs/{job['id']}/items/1"), 404, "not_found")
    problem(client.get(f"/v1/jobs/{job['id']}/items/-1"), 422, "validation_failed")
    problem(client.get(f"/v1/jobs/{job['id']}/items/99999999999999999999"), 422, "validation_failed")


class TestArchive:
    def read(self, client, job) -> zipfile.ZipFile:
        response = client.get(f"/v1/jobs/{job['id']}/archive")
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/zip"
        assert f"job-{job['id']}.zip" in response.headers["content-disposition"]
        return zipfile.ZipFile(io.BytesIO(response.content))

    def test_it_holds_every_result_and_a_report(self, submit, over, client, coffee_png, dot_png):
        images = [("cup.png", coffee_png), ("x.png", b"broken"), ("cup.png", coffee_png)]
        job = over(submit(images, [("m", dot_png)] * 3, model="telea", format="jpeg").json())
        archive = self.read(client, job)
        assert archive.testzip() is None
        assert archive.namelist() == ["report.json", "cup.jpg", "cup-2.jpg"]
        assert archive.read("cup.jpg") == client.get(job["items"][0]["result"]).content
        assert json.loads(archive.read("report.json")) == job

    def test_of_an_open_job_it_holds_what_there_is(self, submit, client, pair):
        job = submit(*pair, model="slow").json()
        archive = self.read(client, job)
        assert archive.namelist() == ["report.json"]
        assert json.loads(archive.read("report.json"))["items"][0]["success"] is None


class TestEvents:
    def test_every_item_is_told_and_then_the_job(self, submit, client, coffee_png, dot_png):
        images = [("a.png", coffee_png), ("b.png", b"broken"), ("c.png", coffee_png)]
        job = submit(images, [("m", dot_png)] * 3, model="telea").json()
        found = stream_of(client, job["links"]["events"])
        assert [event["id"] for event in found] == ["1", "2", "3", "4"]
        assert [event["event"] for event in found] == ["item", "item", "item", "job"]
        assert {event["data"]["index"]: event["data"]["success"] for event in found[:3]} == {
            0: True, 1: False, 2: True,
        }  # fmt: skip
        assert found[-1]["data"]["state"] == "failed"
        assert "items" not in found[-1]["data"]

    def test_a_client_that_comes_back_gets_what_it_missed(self, submit, over, client, coffee_png, dot_png):
        job = over(submit([("a.png", coffee_png)] * 3, [("m", dot_png)] * 3, model="telea").json())
        path = job["links"]["events"]
        whole = stream_of(client, path)
        assert stream_of(client, path, headers={"Last-Event-ID": "2"}) == whole[2:]
        assert stream_of(client, path, params={"after": 2}) == whole[2:]
        assert stream_of(client, path, headers={"Last-Event-ID": "3"}, params={"after": 0}) == whole[3:]

    def test_a_client_that_has_everything_is_told_to_stay_away(self, submit, over, client, pair):
        job = over(submit(*pair, model="telea").json())
        response = client.get(job["links"]["events"], headers={"Last-Event-ID": "2"})
        assert (response.status_code, response.content) == (204, b"")

    @pytest.mark.parametrize("seen", ["x", "-1", "1.5", "9" * 30, "²"])
    def test_an_id_that_is_none_of_ours_is_refused(self, submit, client, pair, seen):
        job = submit(*pair, model="telea").json()
        headers = {"Last-Event-ID": seen.encode("latin-1")}
        problem(client.get(job["links"]["events"], headers=headers), 422, "validation_failed")

    def test_a_cancelled_job_ends_the_stream(self, submit, client, pair):
        job = submit(*pair, model="slow").json()
        client.delete(f"/v1/jobs/{job['id']}")
        (event,) = stream_of(client, job["links"]["events"])
        assert (event["event"], event["data"]["state"]) == ("job", "cancelled")

    def test_too_many_streams_of_one_caller_are_refused_and_ended_ones_do_not_count(
        self, submit, over, client, pair
    ):
        job = over(submit(*pair, model="telea").json())
        streams = client.app.state.rooms.streams
        for _ in range(MOST_STREAMS + 1):
            stream_of(client, job["links"]["events"])
        assert streams.count == 0
        ends = [streams.begin(LOCAL_OWNER.party) for _ in range(MOST_STREAMS)]
        response = client.get(job["links"]["events"])
        problem(response, 429, "rate_limited")
        assert response.headers["retry-after"]
        ends[0]()
        ends[0]()
        assert stream_of(client, job["links"]["events"])

    def test_it_ends_when_the_server_leaves(self, submit, client, pair):
        job = submit(*pair, model="slow").json()
        client.app.state.rooms.admission.drain()
        assert stream_of(client, job["links"]["events"]) == []


class TestDelete:
    def test_an_open_job_is_cancelled(self, submit, client, slow, coffee_png, dot_png):
        slow.seconds = 20
        job = submit([("a.png", coffee_png)] * 2, [("m", dot_png)] * 2, model="slow").json()
        slow.begun.acquire()
        response = client.delete(f"/v1/jobs/{job['id']}")
        assert response.status_code == 202
        told = response.json()
        assert told["state"] == "cancelled"
        assert [(item["success"], item["code"]) for item in told["items"]] == [(False, "cancelled")] * 2
        assert told["items"][0]["error"]
        problem(client.get(f"/v1/jobs/{job['id']}/items/0"), 404, "not_found")

    def test_a_job_that_is_over_goes_with_all_its_pictures(self, submit, over, client, settings, pair):
        job = over(submit(*pair, model="telea").json())
        files = settings.data_dir / "blobs"
        assert [path for path in files.rglob("*") if path.is_file()]
        response = client.delete(f"/v1/jobs/{job['id']}")
        assert (response.status_code, response.content) == (204, b"")
        for path in ("", "/items/0", "/archive", "/events"):
            problem(client.get(f"/v1/jobs/{job['id']}{path}"), 404, "not_found")
        problem(client.delete(f"/v1/jobs/{job['id']}"), 404, "not_found")
        assert [path for path in files.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("job_id", ["nobody", "x" * 300, "%00", "a%00b", "%F0%9F%98%80"])
def test_what_is_no_job_is_not_found(client, job_id):
    for path in ("", "/items/0", "/archive", "/events"):
        assert client.get(f"/v1/jobs/{job_id}{path}").status_code == 404
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 404


def test_another_tenants_job_is_not_there(submit, client, pair):
    """BOLA, on every route: nobody learns even that it exists."""
    job = submit(*pair, model="telea").json()
    rooms = client.app.state.rooms
    stranger = replace(LOCAL_OWNER, tenant_id="somebody-else")

    client.app.dependency_overrides[deps._caller] = lambda: stranger
    for path in ("", "/items/0", "/archive", "/events"):
        problem(client.get(f"/v1/jobs/{job['id']}{path}"), 404, "not_found")
    problem(client.delete(f"/v1/jobs/{job['id']}"), 404, "not_found")
    assert client.get("/v1/jobs").json()["jobs"] == []
    problem(client.get("/v1/jobs", params={"after": job["id"]}), 404, "not_found")
    client.app.dependency_overrides.clear()
    assert client.get(f"/v1/jobs/{job['id']}").status_code == 200
    assert rooms.streams.count == 0


def test_links_are_below_the_root_path(settings, slow, pair):
    server = settings.server.model_copy(update={"root_path": "/eraser"})
    app = create_app(settings.model_copy(update={"server": server}), catalog=catalog_with(slow))
    with TestClient(app) as client:
        files = [("image", pair[0][0]), ("mask", pair[1][0])]
        response = client.post("/v1/jobs", files=files, data={"model": "telea"})
        assert response.headers["location"] == f"/eraser/v1/jobs/{response.json()['id']}"
        assert response.json()["links"]["events"].startswith("/eraser/v1/jobs/")

"""The disk of the data folder is full: what must be kept is refused with a sentence, what need not be is done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from crowd import client_at, over, post_erase, post_job, refused, wait_until
from ledger import charged_in_file, each_once
from simple_mode_calls import told, uploaded
from small_disk import SmallDisk, small_disk


def may_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder)) as disk:
        return disk.real


def upload(client, photo: bytes):
    return client.post("/v1/images", files={"image": photo})


if may_mount():  # root on a machine; a server that runs cannot be kept from writing otherwise

    @pytest.fixture
    def disk(tmp_path) -> Iterator[SmallDisk]:
        with small_disk(tmp_path) as disk:
            yield disk

    def test_uploads_and_jobs_are_refused_erasing_goes_on_and_with_room_everything_works(disk, start, pair):
        server = start(
            ERASER_DATA_DIR=str(disk.folder),  # its log lies elsewhere
            ERASER_CACHE__BACKEND="null",  # which would give up its own room for what must be kept
        )
        key = {"Idempotency-Key": "kept"}
        with client_at(server.url) as client:
            assert "x-eraser-image-id" in post_erase(client, *pair).headers
            disk.fill()
            for _ in range(2):
                refused(upload(client, pair[0]), 507, "storage_full")
                refused(post_job(client, *pair, 2), 507, "storage_full")
                for seed in (1, 2):
                    answer = post_erase(client, *pair, seed=seed)
                    assert answer.status_code == 200, answer.text
                    assert "x-eraser-image-id" not in answer.headers
                refused(post_erase(client, *pair, key), 507, "storage_full")
                assert client.get("/readyz").status_code == 200
                assert client.get("/v1/status").status_code == 200
                assert client.get("/metrics").status_code == 200
                assert client.get("/v1/jobs").json()["jobs"] == []
            answer = post_erase(client, *pair, {"Accept": "application/json"}, seed=3)
            assert answer.json()["image_id"] is None
            disk.free()
            assert upload(client, pair[0]).status_code == 201
            assert post_erase(client, *pair, key).status_code == 200
            assert "x-eraser-image-id" in post_erase(client, *pair, seed=4).headers
            job = post_job(client, *pair, 2).json()
            assert over(client, job)["succeeded"] == 2
        assert charged_in_file(disk.folder, job["id"]) == each_once(job["id"], 2)
        assert list(disk.folder.rglob("*.part")) == []
        assert [
            path.name for path in (disk.folder / "blobs").iterdir() if not path.name.startswith("idem-")
        ] == [job["id"]]
        assert "Traceback" not in server.log

    def test_a_job_in_the_middle_waits_for_room_and_loses_nothing(disk, start, pair):
        server = start(slow=0.3, ERASER_DATA_DIR=str(disk.folder), ERASER_CACHE__BACKEND="null")
        with client_at(server.url) as client:
            job = post_job(client, *pair, 6, model="slow").json()
            wait_until(lambda: client.get(f"/v1/jobs/{job['id']}").json()["succeeded"] >= 1)
            disk.fill()
            before = client.get(f"/v1/jobs/{job['id']}").json()
            assert (
                post_erase(client, *pair, model="slow").status_code == 200
            )  # and those at work have come to their end
            assert post_erase(client, *pair, model="slow", seed=2).status_code == 200
            seen = client.get(f"/v1/jobs/{job['id']}").json()
            assert (seen["state"], seen["failed"]) == ("running", 0)
            assert seen["succeeded"] <= before["succeeded"] + 2
            disk.free()
            done = over(client, job)
        assert (done["succeeded"], done["failed"]) == (6, 0)
        assert charged_in_file(disk.folder, job["id"]) == each_once(job["id"], 6)
        assert list(disk.folder.rglob("*.part")) == []
        assert "Traceback" not in server.log

    def test_bodies_that_find_no_room_in_the_temporary_folder_are_refused_and_small_ones_are_not(
        disk, start, pair
    ):
        server = start(TMPDIR=str(disk.folder))
        large = pair[0] + bytes(1_500_000)  # no decoder minds what follows the picture
        with client_at(server.url) as client:
            assert post_erase(client, large, pair[1]).status_code == 200
            wait_until(lambda: shutil.disk_usage(disk.folder).used == 0)  # its body goes after its answer
            disk.fill()
            refused(post_erase(client, large, pair[1], seed=1), 507, "storage_full")
            refused(post_job(client, large, pair[1]), 507, "storage_full")
            assert post_erase(client, *pair, seed=2).status_code == 200
            disk.free()
            assert post_erase(client, large, pair[1], seed=3).status_code == 200
        assert list(disk.folder.iterdir()) == []
        assert "Traceback" not in server.log

    def test_the_simple_mode_says_that_there_is_no_room(disk, start, pair):
        server = start(ERASER_DATA_DIR=str(disk.folder), ERASER_CACHE__BACKEND="null")
        with client_at(server.url) as client:
            client.get("/ui/").raise_for_status()
            files = uploaded(client, pair)
            assert told(client, files).startswith("event: complete")
            disk.fill()
            refused_there = told(client, files)
            assert refused_there.startswith("event: error")
            assert "no room left" in refused_there
            sent = {"files": ("x.png", bytes(100_000), "image/png")}
            upload_there = client.post("/ui/gradio_api/upload", files=sent)
            assert upload_there.status_code == 507
            assert "no room left" in upload_there.text
            disk.free()
            assert told(client, files).startswith("event: complete")
        assert "Traceback" not in server.log


def test_a_result_that_cannot_be_kept_for_the_next_round_is_answered_all_the_same(start, pair):
    server = start()
    (server.data_dir / "images").write_bytes(b"where there should be a folder")
    with client_at(server.url) as client:
        answer = post_erase(client, *pair)
        assert answer.status_code == 200, answer.text
        assert "x-eraser-image-id" not in answer.headers
        refused(upload(client, pair[0]), 503, "storage_unavailable")
    assert "Traceback" not in server.log

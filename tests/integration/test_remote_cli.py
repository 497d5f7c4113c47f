"""`magic-eraser erase --server`: the command and a server, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import httpx2
import numpy as np
import pytest
from PIL import Image

from magic_eraser.cli.remote_notes import NAME
from server_process import Server

NAMES = [f"{letter}.png" for letter in "abcdef"]


def begin(*arguments, cwd) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "magic_eraser", "erase", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120"},
    )


def ended(command: subprocess.Popen) -> tuple[int, str, str]:
    out, err = command.communicate(timeout=60)
    return command.returncode, out, err


def erase(*arguments, cwd) -> tuple[int, str, str]:
    return ended(begin(*arguments, cwd=cwd))


@pytest.fixture
def folders(tmp_path, coffee, coffee_png, dot_png):
    """Six photographs, with masks, and a place for results."""
    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
    for number, name in enumerate(NAMES):
        Image.fromarray(coffee + np.uint8(number)).save(tmp_path / "photos" / name)
        (tmp_path / "masks" / name).write_bytes(dot_png)
    return tmp_path


def results(folder) -> list[str]:
    return sorted(path.name for path in (folder / "clean").glob("[!.]*"))


def until(condition, seconds=30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def submissions(server) -> int:
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    return sum(line.get("endpoint") == "/v1/jobs" and line.get("method") == "POST" for line in lines)


def restarted(server: Server, **options) -> Server:
    again = Server(server.data_dir, ERASER_SERVER__PORT=str(server.port), **options)
    again.port, again.url = server.port, server.url
    return again


# --- one photograph ---------------------------------------------------------------------------------------


def test_one_photograph_is_as_this_machine_does_it(start, folders):
    server = start()
    options = ("photos/a.png", "masks/a.png", "--model", "telea", "--dilate", "3")
    status, out, err = erase(*options, "-o", "there.png", "--server", server.url, cwd=folders)
    assert (status, err) == (0, "")
    assert "there.png (telea" in out
    assert erase(*options, "-o", "here.png", cwd=folders)[0] == 0
    here, there = (np.asarray(Image.open(folders / name)) for name in ("here.png", "there.png"))
    assert (here == there).all()


def test_what_the_server_refuses_is_one_line_with_its_hint(start, folders):
    server = start()
    (folders / "photos" / "a.png").write_bytes(b"broken")
    status, out, err = erase(
        "photos/a.png", "masks/a.png", "-o", "x.png", "--server", server.url, cwd=folders
    )
    assert (status, out) == (1, "")
    assert err.startswith("magic-eraser: The server answered ")
    assert err.count("\n") == 1
    assert not (folders / "x.png").exists()


# --- a folder ---------------------------------------------------------------------------------------------


def test_a_folder_is_worked_through_by_a_job(start, folders):
    server = start()
    (folders / "photos" / "b.png").write_bytes(b"broken")
    command = ("photos", "masks", "-o", "clean", "--model", "telea", "--server", server.url)

    status, out, err = erase(*command, cwd=folders)

    assert (status, out.strip()) == (1, "5 erased, 0 there already, 1 failed")
    assert err.startswith("magic-eraser: photos/b.png: ")
    assert results(folders) == [name for name in NAMES if name != "b.png"]
    assert not (folders / "clean" / NAME).exists()
    erase(*command[:2], "-o", "here", "--model", "telea", cwd=folders)
    for name in results(folders):
        assert (
            np.asarray(Image.open(folders / "clean" / name))
            == np.asarray(Image.open(folders / "here" / name))
        ).all()

    status, out, _ = erase(*command, "--json", cwd=folders)
    assert [report["skipped"] for report in json.loads(out)] == [name != "b.png" for name in NAMES]
    assert submissions(server) == 2


def test_more_than_a_job_takes_goes_in_several(start, folders):
    server = start(ERASER_JOBS__MAX_ITEMS="2")
    status, out, _ = erase(
        "photos", "masks", "-o", "clean", "--model", "telea", "--server", server.url, cwd=folders
    )
    assert (status, out.strip()) == (0, "6 erased, 0 there already, 0 failed")


def test_a_server_killed_and_started_again_loses_nothing(start, folders):
    options = {"ERASER_JOBS__LEASE_SECONDS": "1", "ERASER_JOBS__CONCURRENCY": "1"}
    server = start(slow=0.3, **options)
    command = begin("photos", "masks", "-o", "clean", "--model", "slow", "--server", server.url, cwd=folders)
    until(lambda: (folders / "clean").exists() and results(folders))
    server.signal(signal.SIGKILL)
    server.process.wait()
    time.sleep(0.5)
    again = restarted(server, slow=0.3, **options)
    try:
        status, out, err = ended(command)
    finally:
        again.stop()
    assert (status, out.strip(), err) == (0, "6 erased, 0 there already, 0 failed", "")
    assert results(folders) == NAMES
    assert submissions(again) == 0


def test_interrupted_the_server_works_on_and_the_same_command_goes_on(start, folders):
    server = start(slow=0.3, ERASER_JOBS__CONCURRENCY="1")
    arguments = ("photos", "masks", "-o", "clean", "--model", "slow", "--server", server.url)
    command = begin(*arguments, cwd=folders)
    until(lambda: (folders / "clean").exists() and results(folders))
    command.send_signal(signal.SIGINT)
    status, _, err = ended(command)
    assert status == 130
    assert err.count("\n") == 1
    stop = err.partition("curl -X DELETE ")[2].strip()
    assert stop.startswith(f"{server.url}/v1/jobs/")
    until(lambda: httpx2.get(stop).json()["state"] == "succeeded")

    status, out, _ = erase(*arguments, cwd=folders)

    assert status == 0
    assert out.endswith(" there already, 0 failed\n")
    assert results(folders) == NAMES
    assert submissions(server) == 1


def test_a_job_that_somebody_cancelled_is_told_of_and_begun_anew_by_the_next_run(start, folders):
    server = start(slow=0.3, ERASER_JOBS__CONCURRENCY="1")
    arguments = ("photos", "masks", "-o", "clean", "--model", "slow", "--server", server.url)
    command = begin(*arguments, cwd=folders)
    until(lambda: (folders / "clean").exists() and results(folders))
    (noted,) = json.loads((folders / "clean" / NAME).read_text())
    httpx2.delete(f"{server.url}/v1/jobs/{noted['job']}").raise_for_status()
    status, out, err = ended(command)
    assert status == 1
    assert "cancelled" in err

    status, out, _ = erase(*arguments, cwd=folders)
    assert (status, out.strip().split(", ")[2]) == (0, "0 failed")
    assert results(folders) == NAMES

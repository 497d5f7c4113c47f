"""Weights come over the network whole, once, or with a sentence that says why not."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import stamina

from file_server import FileServer
from magic_eraser.errors import DownloadFailed
from magic_eraser.models import download
from magic_eraser.models.card import ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.weights import Condition, WeightStore

CONTENT = random.Random(5).randbytes(600_000)
SHA256, MD5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()
FETCH = """
import sys
from pathlib import Path
from magic_eraser.models.card import ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.weights import WeightStore
folder, url, sha256 = sys.argv[1:]
file = WeightFile("net.pt", url, sha256=sha256)
card = ModelCard("net", "", "MIT", "", Speed.FAST, Quality.GOOD, weights=(file,))
WeightStore(Path(folder)).download(card)
"""


@pytest.fixture(autouse=True)
def _no_waiting():
    with stamina.set_testing(True, attempts=download.ATTEMPTS):
        yield


@pytest.fixture
def server():
    with FileServer() as running:
        yield running


@pytest.fixture
def other_host():
    with FileServer() as running:
        yield running


def card(url: str, **checksums: str) -> ModelCard:
    file = WeightFile("net.pt", url, **checksums)
    return ModelCard("net", "A net", "MIT", "", Speed.FAST, Quality.GOOD, weights=(file,))


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- all goes well ------------------------------------------------------------------------------------


@pytest.mark.parametrize("checksums", [{}, {"md5": MD5}, {"sha256": SHA256}, {"md5": MD5, "sha256": SHA256}])
def test_a_file_comes_whole_and_its_checksum_is_kept(server, tmp_path, checksums):
    server.publish("/net.pt", CONTENT)
    store, net = WeightStore(tmp_path / "new"), card(f"{server.address}/net.pt", **checksums)
    told = []

    (path,) = store.download(net, lambda file, done, total: told.append((file.name, done, total)))

    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["net.pt", "net.pt.sha256"]
    assert path.with_name("net.pt.sha256").read_text() == f"{SHA256}  net.pt\n"
    assert told[:2] == [("net.pt", 0, 0), ("net.pt", 0, len(CONTENT))]
    assert told[-1] == ("net.pt", len(CONTENT), len(CONTENT))
    assert [verdict.condition for verdict in store.verify(net)] == [Condition.OK]


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    published = server.publish("/net.pt", CONTENT)
    store, net = WeightStore(tmp_path), card(f"{server.address}/net.pt")
    store.download(net)
    store.download(net)
    assert len(published.asked) == 1


def test_redirects_are_followed(server, other_host, tmp_path):
    other_host.publish("/cdn/1234", CONTENT)
    server.publish("/net.pt", status=302, headers={"Location": f"{other_host.address}/cdn/1234?sig=x"})
    other_host.files["/cdn/1234?sig=x"] = other_host.files["/cdn/1234"]
    (path,) = WeightStore(tmp_path).download(card(f"{server.address}/net.pt"))
    assert path.read_bytes() == CONTENT


def test_a_mirror_serves_the_same_paths(server, tmp_path):
    server.publish("/weights/a/b/net.pt", CONTENT)
    store = WeightStore(tmp_path, mirror=f"{server.address}/weights/")
    assert store.download(card("https://publisher.invalid/a/b/net.pt"))[0].read_bytes() == CONTENT


# --- broken connections -------------------------------------------------------------------------------


def test_a_broken_connection_is_taken_up_where_it_broke(server, tmp_path):
    published = server.publish("/net.pt", CONTENT, cuts=[200_000, 100_000])
    (path,) = WeightStore(tmp_path).download(card(f"{server.address}/net.pt"))
    assert path.read_bytes() == CONTENT
    assert published.sent == len(CONTENT)
    assert [asked.get("Range") for asked in published.asked] == [None, "bytes=200000-", "bytes=300000-"]
    assert published.asked[1]["If-Range"] == published.etag


def test_a_server_that_stays_broken_leaves_a_part_and_the_next_try_goes_on(server, tmp_path):
    published = server.publish("/net.pt", CONTENT, cuts=[100_000, 0, 0, 0, 0])
    store, net = WeightStore(tmp_path), card(f"{server.address}/net.pt", sha256=SHA256)

    with pytest.raises(DownloadFailed, match="goes on where it stopped") as caught:
        store.download(net)
    assert "从中断处继续" in caught.value.detail_zh
    assert (tmp_path / "net.pt.part").stat().st_size == 100_000
    assert store.missing(net)

    assert store.download(net)[0].read_bytes() == CONTENT
    assert published.sent == len(CONTENT)


def test_a_server_that_ignores_ranges_starts_over(server, tmp_path):
    published = server.publish("/net.pt", CONTENT, ranges=False, cuts=[200_000])
    assert WeightStore(tmp_path).download(card(f"{server.address}/net.pt"))[0].read_bytes() == CONTENT
    assert published.sent == len(CONTENT) + 200_000


def test_a_file_that_changed_meanwhile_starts_over(server, tmp_path):
    server.publish("/net.pt", CONTENT[::-1], cuts=[100_000, 0, 0, 0, 0])
    store, net = WeightStore(tmp_path), card(f"{server.address}/net.pt")
    with pytest.raises(DownloadFailed):
        store.download(net)
    server.publish("/net.pt", CONTENT)
    assert store.download(net)[0].read_bytes() == CONTENT


def test_without_a_validator_or_a_checksum_nothing_is_pieced_together(server, tmp_path):
    server.publish("/net.pt", CONTENT[::-1], etag="", cuts=[100_000] * 5)
    store, net = WeightStore(tmp_path), card(f"{server.address}/net.pt")
    with pytest.raises(DownloadFailed):
        store.download(net)
    published = server.publish("/net.pt", CONTENT, etag="")
    assert store.download(net)[0].read_bytes() == CONTENT
    assert "Range" not in published.asked[0]


def test_a_part_of_another_file_is_found_out_and_fetched_anew(server, tmp_path):
    (tmp_path / "net.pt.part").write_bytes(CONTENT[::-1][:100_000])
    server.publish("/net.pt", CONTENT)
    net = card(f"{server.address}/net.pt", md5=MD5)
    assert WeightStore(tmp_path).download(net)[0].read_bytes() == CONTENT


def test_a_part_that_is_complete_only_wants_its_name(server, tmp_path):
    (tmp_path / "net.pt.part").write_bytes(CONTENT)
    published = server.publish("/net.pt", CONTENT)
    net = card(f"{server.address}/net.pt", sha256=SHA256)
    assert WeightStore(tmp_path).download(net)[0].read_bytes() == CONTENT
    assert published.sent == 0


def test_a_part_that_is_too_long_is_thrown_away(server, tmp_path):
    (tmp_path / "net.pt.part").write_bytes(CONTENT + b"more")
    server.publish("/net.pt", CONTENT)
    net = card(f"{server.address}/net.pt", sha256=SHA256)
    assert WeightStore(tmp_path).download(net)[0].read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.publish("/net.pt", CONTENT, busy=2)
    assert WeightStore(tmp_path).download(card(f"{server.address}/net.pt"))[0].read_bytes() == CONTENT


def test_a_process_that_is_killed_leaves_what_the_next_one_needs(server, tmp_path):
    published = server.publish("/net.pt", CONTENT, pause=0.02)
    command = [sys.executable, "-c", FETCH, str(tmp_path), f"{server.address}/net.pt", SHA256]
    process = subprocess.Popen(command)
    part = tmp_path / "net.pt.part"
    while not (part.exists() and part.stat().st_size > 150_000):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = part.stat().st_size
    published.pause = published.sent = 0

    subprocess.run(command, check=True, timeout=60)

    assert (tmp_path / "net.pt").read_bytes() == CONTENT
    assert published.asked[-1]["Range"] == f"bytes={kept}-"
    assert len(published.asked) == 2


def test_several_processes_at_once_fetch_it_once(server, tmp_path):
    published = server.publish("/net.pt", CONTENT, pause=0.02)
    command = [sys.executable, "-c", FETCH, str(tmp_path), f"{server.address}/net.pt", SHA256]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert published.sent == len(CONTENT)
    assert (tmp_path / "net.pt").read_bytes() == CONTENT
    assert names(tmp_path) == ["net.pt", "net.pt.sha256"]


def test_several_threads_at_once_fetch_it_once(server, tmp_path):
    published = server.publish("/net.pt", CONTENT, pause=0.005)
    store, net = WeightStore(tmp_path), card(f"{server.address}/net.pt")
    threads = [threading.Thread(target=store.download, args=(net,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert published.sent == len(CONTENT)
    assert not store.missing(net)


def test_what_is_being_downloaded_is_not_removed(server, tmp_path):
    server.publish("/net.pt", CONTENT, pause=0.02)
    store, net = WeightStore(tmp_path), card(f"{server.address}/net.pt")
    thread = threading.Thread(target=store.download, args=(net,))
    thread.start()
    while not (tmp_path / "net.pt.part").exists():
        time.sleep(0.005)
    with pytest.raises(DownloadFailed, match="being downloaded"):
        store.remove(net)
    thread.join()
    assert store.remove(net).removed == (tmp_path / "net.pt",)
    assert names(tmp_path) == []


# --- what cannot be had -------------------------------------------------------------------------------


def test_a_wrong_checksum_throws_the_file_away(server, tmp_path):
    server.publish("/net.pt", CONTENT)
    store = WeightStore(tmp_path)
    with pytest.raises(DownloadFailed, match="wrong checksum") as caught:
        store.download(card(f"{server.address}/net.pt", sha256="0" * 64))
    assert "校验和不符" in caught.value.sentence("zh")
    assert not {"net.pt", "net.pt.part", "net.pt.part.etag"} & set(names(tmp_path))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "is not there"),
        (401, "does not let us have"),
        (403, "ERASER_WEIGHTS__MIRROR"),
        (500, "busy or has a fault"),
    ],
)
def test_a_refusal_says_what_it_was_and_the_way_out(server, tmp_path, status, words):
    server.publish("/net.pt", status=status)
    with pytest.raises(DownloadFailed, match=words) as caught:
        WeightStore(tmp_path).download(card(f"{server.address}/net.pt"))
    assert f"HTTP {status}" in caught.value.detail
    assert f"HTTP {status}" in caught.value.detail_zh


def test_a_login_page_is_no_file(server, tmp_path):
    server.publish(
        "/net.pt", b"<html>Welcome to the hotel", headers={"Content-Type": "text/html; charset=utf-8"}
    )
    server.publish("/empty.pt")
    for name in ("net.pt", "empty.pt"):
        with pytest.raises(DownloadFailed, match="web page"):
            WeightStore(tmp_path).download(card(f"{server.address}/{name}"))


def test_nobody_listening_is_said_plainly(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DownloadFailed, match=f"127.0.0.1:{port} cannot be reached") as caught:
        WeightStore(tmp_path).download(card(f"http://user:secret@127.0.0.1:{port}/net.pt"))
    assert "secret" not in caught.value.sentence()


def test_a_server_that_says_nothing_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/net.pt"
        with pytest.raises(DownloadFailed, match="too slowly"):
            WeightStore(tmp_path).download(card(address))


def test_a_redirect_to_nowhere_is_said(server, tmp_path):
    server.publish("/net.pt", status=302, headers={"Location": "/net.pt"})
    server.publish("/ftp.pt", status=302, headers={"Location": "ftp://127.0.0.1/net.pt"})
    for name in ("net.pt", "ftp.pt"):
        with pytest.raises(DownloadFailed, match="leads nowhere"):
            WeightStore(tmp_path).download(card(f"{server.address}/{name}"))


# --- Hugging Face -------------------------------------------------------------------------------------


REPOSITORY = f"{download.HUGGING_FACE}/someone/net/resolve/main/net.pt"


def test_the_token_goes_to_hugging_face_and_not_to_its_storage(server, other_host, tmp_path):
    stored = other_host.publish("/blob", CONTENT)
    asked = server.publish(
        "/someone/net/resolve/main/net.pt", status=302, headers={"Location": f"{other_host.address}/blob"}
    )
    store = WeightStore(tmp_path, hf_endpoint=f"{server.address}/", hf_token="hf_secret")
    store.download(card(REPOSITORY))
    assert asked.asked[0]["Authorization"] == "Bearer hf_secret"
    assert "Authorization" not in stored.asked[0]


def test_the_token_goes_to_no_mirror_and_no_other_publisher(server, tmp_path):
    mirrored = server.publish("/someone/net/resolve/main/net.pt", CONTENT)
    WeightStore(tmp_path / "a", mirror=server.address, hf_token="hf_secret").download(card(REPOSITORY))
    WeightStore(tmp_path / "b", hf_endpoint=server.address, hf_token="hf_secret").download(
        card(f"{server.address}/someone/net/resolve/main/net.pt")
    )
    assert [asked.get("Authorization") for asked in mirrored.asked] == [None, None]


@pytest.mark.parametrize("honest", [True, False])
def test_the_checksum_that_hugging_face_names_is_checked(server, other_host, tmp_path, honest):
    other_host.publish("/blob", CONTENT)
    linked = SHA256 if honest else "0" * 64
    server.publish(
        "/someone/net/resolve/main/net.pt",
        status=302,
        headers={"Location": f"{other_host.address}/blob", "X-Linked-ETag": f'"{linked}"'},
    )
    store = WeightStore(tmp_path, hf_endpoint=server.address)
    if honest:
        assert store.download(card(REPOSITORY))[0].read_bytes() == CONTENT
    else:
        with pytest.raises(DownloadFailed, match="wrong checksum"):
            store.download(card(REPOSITORY))


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_file_asks_for_a_token(server, tmp_path, status):
    server.publish("/someone/net/resolve/main/net.pt", status=status)
    with pytest.raises(DownloadFailed, match="set HF_TOKEN") as caught:
        WeightStore(tmp_path, hf_endpoint=server.address).download(card(REPOSITORY))
    assert f"{server.address}/someone/net," in caught.value.detail


# --- the command line ---------------------------------------------------------------------------------


MAIN = """
import sys
from magic_eraser.cli import main, models
from magic_eraser.models.card import ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.entry import Entry
file = WeightFile("net.pt", sys.argv.pop(1), size=600_000)
card = ModelCard("net", "A net", "MIT", "", Speed.FAST, Quality.GOOD, weights=(file,))
models.offered = lambda store: {"net": Entry(card, lambda setup: None)}
main.main()
"""


def command(server, *arguments) -> list[str]:

    return [sys.executable, "-c", MAIN, f"{server.address}/net.pt", "models", *arguments]


def environment(folder) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ERASER_", "HF_"))}
    return kept | {"ERASER_WEIGHTS__DIR": str(folder), "COLUMNS": "80"}


def run(server, folder, *arguments) -> subprocess.CompletedProcess:
    line = command(server, *arguments)
    return subprocess.run(
        line, capture_output=True, text=True, env=environment(folder), check=False, timeout=60
    )


def test_the_command_downloads_and_the_list_says_so(server, tmp_path):
    server.publish("/net.pt", CONTENT)
    assert "magic-eraser models download net" in run(server, tmp_path, "list").stdout
    done = run(server, tmp_path, "download", "net")
    assert (done.returncode, done.stdout, done.stderr) == (0, "net is ready.\n", "")
    assert run(server, tmp_path, "download", "net").stdout == "net was here already.\n"
    assert "Need" not in run(server, tmp_path, "list").stdout


def test_a_failed_download_is_one_line_and_exit_1(server, tmp_path):
    done = run(server, tmp_path, "download", "net")
    assert done.returncode == 1
    assert done.stderr.startswith("magic-eraser: ")
    assert done.stderr.count("\n") == 1
    assert "HTTP 404" in done.stderr


def test_control_c_keeps_what_came_and_says_so(server, tmp_path):
    published = server.publish("/net.pt", CONTENT, pause=0.05)
    process = subprocess.Popen(
        command(server, "download", "net"),
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    )
    part = tmp_path / "net.pt.part"
    while not (part.exists() and part.stat().st_size > 100_000):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "type the same command to go on" in said
    assert "Traceback" not in said

    published.pause = 0
    assert run(server, tmp_path, "download", "net").returncode == 0
    assert published.asked[-1]["Range"].startswith("bytes=")

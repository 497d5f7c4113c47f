"""Where weights are looked for, what is said of them, and how one file is fetched."""

from __future__ import annotations

import errno
import hashlib
import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
import stamina
import torch

from magic_eraser.errors import DownloadFailed, ModelUnavailable
from magic_eraser.models import download
from magic_eraser.models.availability import why_not
from magic_eraser.models.card import ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.download import Source, fetch
from magic_eraser.models.download_faults import readable
from magic_eraser.models.weights import Condition, WeightStore, torch_caches
from magic_eraser.settings import WeightSettings

CONTENT = b"weights of a net"
SHA256, MD5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()
LAMA = "https://github.com/Sanster/models/releases/download/add_big_lama/big-lama.pt"
FACE = "https://huggingface.co/someone/net/resolve/main/two.pt"


def card(*files: WeightFile, **facts) -> ModelCard:
    return ModelCard("net", "A net", "MIT", "", Speed.FAST, Quality.GOOD, weights=files, **facts)


ONE, TWO = WeightFile("one.pt", LAMA), WeightFile("two.pt", LAMA)


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def torch_file(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names or ("net/data.pkl",):
            archive.writestr(name, b"x" * 1000)
    return buffer.getvalue()


# --- finding ------------------------------------------------------------------------------------------


def test_making_a_store_touches_nothing(tmp_path):
    WeightStore(tmp_path / "not" / "there")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["", "torch/hub/checkpoints", "hub/checkpoints"])
def test_files_are_found_as_ours_and_as_iopaint_lays_them_out(tmp_path, place):
    path = put(tmp_path / place / "one.pt")
    store = WeightStore(tmp_path)
    assert store.where(card(ONE, TWO)) == {ONE: path, TWO: None}
    assert store.missing(card(ONE, TWO)) == [TWO]


def test_our_own_folder_comes_first(tmp_path):
    other = put(tmp_path / "cache" / "one.pt")
    store = WeightStore(tmp_path / "ours", also=[tmp_path / "cache"])
    assert store.paths(card(ONE)) == (other,)
    ours = put(tmp_path / "ours" / "one.pt")
    assert store.paths(card(ONE)) == (ours,)


def test_paths_come_in_the_order_of_the_card(tmp_path):
    two, one = put(tmp_path / "two.pt"), put(tmp_path / "cache" / "one.pt")
    assert WeightStore(tmp_path, also=[tmp_path / "cache"]).paths(card(ONE, TWO)) == (one, two)


def test_a_missing_file_says_what_to_type(tmp_path):
    put(tmp_path / "one.pt")
    with pytest.raises(ModelUnavailable) as caught:
        WeightStore(tmp_path).paths(card(ONE, TWO))
    for detail in (caught.value.detail, caught.value.detail_zh):
        assert "two.pt" in detail
        assert "one.pt" not in detail
        assert "magic-eraser models download net" in detail


def test_a_model_without_weights_lacks_none(tmp_path):
    assert WeightStore(tmp_path).paths(card()) == WeightStore(tmp_path).download(card()) == ()


def test_an_empty_file_is_no_weights(tmp_path):
    put(tmp_path / "one.pt", b"")
    assert WeightStore(tmp_path).missing(card(ONE)) == [ONE]


def test_a_whole_path_is_used_where_it_lies(tmp_path):
    path = put(tmp_path / "elsewhere" / "mine.pt")
    mine = WeightFile(str(path))
    assert WeightStore(tmp_path / "ours").paths(card(mine)) == (path,)


def test_a_folder_counts_as_there(tmp_path):
    pipeline = tmp_path / "pipeline"
    pipeline.mkdir()
    mine = WeightFile(str(pipeline))
    assert WeightStore(tmp_path).paths(card(mine)) == (pipeline,)
    assert WeightStore(tmp_path).verify(card(mine))[0].condition is Condition.UNKNOWN


def test_the_caches_of_torch_are_where_torch_keeps_them(monkeypatch):
    for variables in (
        {"TORCH_HOME": "/t"},
        {"XDG_CACHE_HOME": "/x"},
        {"TORCH_HOME": "/t", "XDG_CACHE_HOME": "/x"},
        {},
    ):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert torch_caches(variables)[0] == Path(torch.hub.get_dir(), "checkpoints").absolute()


def test_a_store_is_as_the_settings_say(tmp_path):
    settings = WeightSettings(dir=tmp_path, offline=True, mirror="https://m.example", hf_token="t")
    store = WeightStore.from_settings(settings, {"TORCH_HOME": str(tmp_path / "torch")})
    path = put(tmp_path / "torch" / "hub" / "checkpoints" / "one.pt")
    assert store.folder == tmp_path
    assert store.offline
    assert store.paths(card(ONE)) == (path,)


def test_a_store_is_a_shelf_for_why_not(tmp_path):
    store = WeightStore(tmp_path)
    lacks = why_not(card(ONE), store, ())
    assert lacks is not None
    assert lacks.code == "weights"
    put(tmp_path / "one.pt")
    assert why_not(card(ONE), store, ()) is None


def test_a_file_of_ones_own_that_is_gone_is_not_to_be_downloaded(tmp_path):
    mine = replace(card(WeightFile(str(tmp_path / "mine.pt"))), added=True)
    lacks = why_not(mine, WeightStore(tmp_path), ())
    assert lacks is not None
    for message in (lacks.message, lacks.message_zh):
        assert str(tmp_path / "mine.pt") in message
        assert f"magic-eraser models remove {mine.id}" in message
        assert "download" not in message


# --- checking -----------------------------------------------------------------------------------------


def condition(tmp_path, content: bytes, noted: str = "", **checksums) -> Condition:
    put(tmp_path / "one.pt", content)
    if noted:
        put(tmp_path / "one.pt.sha256", f"{noted}  one.pt\n".encode())
    (verdict,) = WeightStore(tmp_path).verify(card(WeightFile("one.pt", LAMA, **checksums)))
    return verdict.condition


@pytest.mark.parametrize("checksums", [{"md5": MD5}, {"sha256": SHA256}, {"noted": SHA256}])
def test_a_file_with_the_right_checksum_is_ok(tmp_path, checksums):
    assert condition(tmp_path, CONTENT, **checksums) is Condition.OK


def test_a_missing_file_is_missing(tmp_path):
    assert WeightStore(tmp_path).verify(card(ONE))[0].condition is Condition.MISSING


def test_a_file_without_any_checksum_is_unknown(tmp_path):
    assert condition(tmp_path, CONTENT) is Condition.UNKNOWN


def test_a_file_that_changed_since_its_download_is_damaged(tmp_path):
    assert condition(tmp_path, CONTENT + b"!", noted=SHA256) is Condition.DAMAGED


def test_a_file_of_ones_own_differs_and_is_used(tmp_path):
    assert condition(tmp_path, torch_file(), sha256=SHA256) is Condition.DIFFERS
    assert WeightStore(tmp_path).paths(card(ONE)) == (tmp_path / "one.pt",)


@pytest.mark.parametrize("checksums", [{}, {"sha256": SHA256}])
def test_half_a_file_is_damaged(tmp_path, checksums):
    assert condition(tmp_path, torch_file()[:-200], **checksums) is Condition.DAMAGED


# --- removing -----------------------------------------------------------------------------------------


def test_removal_takes_ours_and_leaves_what_belongs_to_others(tmp_path):
    ours = put(tmp_path / "ours" / "one.pt")
    put(tmp_path / "ours" / "one.pt.sha256", b"x")
    put(tmp_path / "ours" / "two.pt.part", b"half")
    iopaint = put(tmp_path / "ours" / "torch" / "hub" / "checkpoints" / "one.pt")
    cache = put(tmp_path / "cache" / "one.pt")
    done = WeightStore(tmp_path / "ours", also=[tmp_path / "cache"]).remove(card(ONE, TWO))
    assert done.removed == (ours,)
    assert done.freed == len(CONTENT) + 1 + 4
    assert done.left == (iopaint, cache)
    assert {path.name for path in (tmp_path / "ours").iterdir()} == {"torch"}


def test_removal_of_what_is_used_where_it_lies_leaves_it(tmp_path):
    path = put(tmp_path / "elsewhere" / "mine.pt")
    done = WeightStore(tmp_path / "ours").remove(card(WeightFile(str(path))))
    assert done.removed == ()
    assert done.left == (path,)
    assert path.exists()


def test_removal_of_nothing_makes_no_folder(tmp_path):
    assert WeightStore(tmp_path / "ours").remove(card(ONE)).freed == 0
    assert not (tmp_path / "ours").exists()


# --- whom to ask --------------------------------------------------------------------------------------


HUB, CARVE = "https://huggingface.co", "/Carve/LaMa-ONNX/resolve/main/lama_fp32.onnx?download=true"
BOTH = Source(mirror="http://m.example", hf_endpoint="https://hf.example")


@pytest.mark.parametrize(
    ("source", "url", "address"),
    [
        (Source(), LAMA, LAMA),
        (
            Source(mirror="https://m.example/w/"),
            LAMA,
            LAMA.replace("https://github.com", "https://m.example/w"),
        ),
        (Source(hf_endpoint="https://hf.example/"), HUB + CARVE, "https://hf.example" + CARVE),
        (Source(hf_endpoint="https://hf.example"), LAMA, LAMA),
        (BOTH, HUB + CARVE, "http://m.example" + CARVE),
    ],
)
def test_the_address_is_the_publishers_or_the_mirrors(source, url, address):
    assert source.address(url) == address


@pytest.mark.parametrize(
    "url", ["ftp://host/net.pt", "file:///etc/passwd", "net.pt", "https:///net.pt", "http://[x/net.pt"]
)
def test_only_web_addresses_are_fetched(tmp_path, url):
    with pytest.raises(DownloadFailed, match="only http"):
        WeightStore(tmp_path).download(card(WeightFile("one.pt", url)))
    assert not list(tmp_path.iterdir())


def test_offline_nothing_is_tried(tmp_path):
    with pytest.raises(DownloadFailed, match="ERASER_WEIGHTS__OFFLINE") as caught:
        WeightStore(tmp_path / "ours", offline=True).download(card(ONE, WeightFile("two.pt", FACE)))
    for detail in (caught.value.detail, caught.value.detail_zh):
        assert all(word in detail for word in ("one.pt", "two.pt", LAMA, FACE, str(tmp_path / "ours")))
    assert not list(tmp_path.iterdir())


def test_a_file_of_ones_own_cannot_be_fetched(tmp_path):
    with pytest.raises(DownloadFailed, match="add it again"):
        WeightStore(tmp_path).download(card(WeightFile("added/mine.pt"), added=True))


# --- one file -----------------------------------------------------------------------------------------


@pytest.fixture
def session():
    def answer(_request: httpx2.Request) -> httpx2.Response:
        headers = {"ETag": '"1"', "Content-Length": str(len(CONTENT))}
        return httpx2.Response(200, stream=httpx2.ByteStream(CONTENT), headers=headers)

    with download.client(httpx2.MockTransport(answer)) as made:
        yield made


def failing(error: type[Exception], words: str = "") -> httpx2.Client:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        raise error(words)

    return download.client(httpx2.MockTransport(answer))


def test_a_full_disk_is_seen_ahead(tmp_path, session, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=10))
    with pytest.raises(
        DownloadFailed, match=r"not enough room .* 16 bytes are to come, 10 bytes are free"
    ) as caught:
        fetch(ONE, tmp_path / "one.pt", Source(), session)
    assert "空间不足" in caught.value.detail_zh


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_gets_full_is_said_and_the_part_is_kept(tmp_path, session, monkeypatch, number):
    opened = Path.open

    class Full(io.BytesIO):
        def write(self, _block):
            raise OSError(number, "No space left on device")

    def full(path, mode="r", *rest, **more):
        return Full() if mode == "ab" else opened(path, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DownloadFailed, match="is full") as caught:
        fetch(ONE, tmp_path / "one.pt", Source(), session)
    assert "磁盘已满" in caught.value.detail_zh
    assert (tmp_path / "one.pt.part").exists()
    assert not (tmp_path / "one.pt").exists()


def test_a_folder_that_cannot_be_is_said(tmp_path, session):
    put(tmp_path / "file")
    with pytest.raises(DownloadFailed, match="Nothing can be written to"):
        fetch(ONE, tmp_path / "file" / "one.pt", Source(), session)


@pytest.mark.parametrize(
    ("error", "words", "said"),
    [
        (httpx2.ConnectError, "[Errno -2] Name or service not known", "cannot be reached"),
        (httpx2.ConnectError, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed", "SSL_CERT_FILE"),
        (httpx2.ConnectTimeout, "", "cannot be reached"),
        (httpx2.ProxyError, "407 Proxy Authentication Required", "HTTPS_PROXY"),
        (httpx2.ReadTimeout, "", "too slowly"),
        (httpx2.RemoteProtocolError, "peer closed", "broke the connection"),
    ],
)
def test_each_fault_of_the_network_is_a_sentence(tmp_path, error, words, said):
    with (
        stamina.set_testing(True, attempts=2),
        failing(error, words) as session,
        pytest.raises(DownloadFailed, match=said) as caught,
    ):
        fetch(ONE, tmp_path / "one.pt", Source(), session)
    assert caught.value.code == "download_failed"
    assert caught.value.status == 503
    assert caught.value.detail_zh != caught.value.title_zh


def test_progress_that_raises_stops_and_keeps_the_part(tmp_path, session):
    def stop(_file, done, _total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(ONE, tmp_path / "one.pt", Source(), session, stop)
    assert (tmp_path / "one.pt.part").read_bytes() == CONTENT
    assert (tmp_path / "one.pt.part.etag").read_text() == '"1"'


def test_a_server_that_sends_parts_nobody_asked_for_is_given_up(tmp_path):
    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(206, content=CONTENT, headers={"Content-Range": "bytes 5-20/21"})

    with (
        stamina.set_testing(True, attempts=2),
        download.client(httpx2.MockTransport(answer)) as session,
        pytest.raises(DownloadFailed, match="broke the connection"),
    ):
        fetch(ONE, tmp_path / "one.pt", Source(), session)


def test_sizes_are_readable():
    sizes = (0, 999, 1000, 205_669_692, 1_600_000_000, 4_000_000_000_000)
    assert [readable(size) for size in sizes] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "205.7 MB",
        "1.6 GB",
        "4.0 TB",
    ]

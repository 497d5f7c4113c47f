"""A person's own models: what is taken, what is refused, what is left alone."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import shutil
import zipfile

import numpy as np
import onnx
import pytest
import structlog
import torch
from onnx import TensorProto, helper
from safetensors.numpy import save

from magic_eraser.models import added
from magic_eraser.models.added import AddedModel, Family, NotAModel, add, read, remove
from magic_eraser.models.wholeness import Kind, is_torchscript, is_whole, kind


def state_dict() -> bytes:
    buffer = io.BytesIO()
    torch.save({"model.1.weight": torch.ones(64, 64)}, buffer)
    return buffer.getvalue()


def program() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # the layout of torch.jit.save
        for name in ("net/data.pkl", "net/constants.pkl", "net/code/__torch__.py", "net/version"):
            archive.writestr(name, b"x" * 500)
    return buffer.getvalue()


def graph() -> bytes:
    shape = [1, 3, None, None]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("in", "out")]
    node = helper.make_node("Relu", ["in"], ["out"])
    return helper.make_model(helper.make_graph([node], "net", ends[:1], ends[1:])).SerializeToString()


FILES = {
    ".pt": state_dict(),
    ".safetensors": save({"w": np.ones((8, 8), np.float32)}, {"note": "mine"}),
    ".onnx": graph(),
}


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for ending, content in FILES.items():
        (folder / f"net{ending}").write_bytes(content)
    (folder / "program.pt").write_bytes(program())
    return folder


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


# --- kinds of file ------------------------------------------------------------------------------------


def test_kinds_are_told_by_content(files):
    kinds = {ending: kind(files / f"net{ending}") for ending in FILES}
    assert kinds == {".pt": Kind.ZIP, ".safetensors": Kind.SAFETENSORS, ".onnx": Kind.ONNX}
    old = files / "old.pt"
    old.write_bytes(pickle.dumps({"w": 1}))
    assert kind(old) is Kind.PICKLE


@pytest.mark.parametrize("ending", FILES)
def test_every_way_to_cut_a_file_short_is_seen(files, ending):
    path, content = files / f"net{ending}", FILES[ending]
    assert is_whole(path)
    for length in {len(content) - 1, len(content) // 2, 40}:
        path.write_bytes(content[:length])
        assert not is_whole(path), length


def test_garbage_after_the_first_bytes_is_no_onnx_model(files):
    path = files / "net.onnx"
    for rest in (b"", b"\xff" * 50, b"\x07\x3b\x01\x01"):
        path.write_bytes(b"\x08" + rest)
        assert not is_whole(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\x08\x07\x3a" + b"\xff" * 9 + b"\x7f",  # ONNX: a graph of 2**70 bytes
        (200_005).to_bytes(8, "little") + b'{"a":' + b"[" * 200_000,  # safetensors: a header without end
    ],
)
def test_what_claims_too_much_is_not_whole(files, content):
    path = files / "claims"
    path.write_bytes(content)
    assert not is_whole(path)


def test_a_zip_of_a_version_to_come_is_not_whole(files):
    content = bytearray(FILES[".pt"])
    content[content.index(b"PK\x01\x02") + 6] = 200  # "version needed to extract" of the first entry
    path = files / "later.pt"
    path.write_bytes(content)
    assert not is_whole(path)


def test_onnx_agrees_on_what_is_whole(files):
    onnx.checker.check_model(onnx.load(files / "net.onnx"))


def test_a_program_is_told_from_tensors(files):
    assert is_torchscript(files / "program.pt")
    assert not is_torchscript(files / "net.pt")


# --- adding -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "name", "copy"),
    [
        (Family.LAMA, "net.pt", "mine.pt"),
        (Family.LAMA, "net.safetensors", "mine.safetensors"),
        (Family.MIGAN, "net.pt", "mine.pt"),
        (Family.ONNX, "net.onnx", "mine.onnx"),
        (Family.TORCHSCRIPT, "program.pt", "mine.pt"),
    ],
)
def test_a_file_is_copied_and_read_back(files, store, family, name, copy):
    model = add(store, "mine", family, str(files / name), title="Für Fliesen", licence="MIT")
    path = store / "added" / copy
    assert model == AddedModel("mine", family, str(path), "Für Fliesen", "MIT")
    assert read(store) == [model]
    assert path.read_bytes() == (files / name).read_bytes()


def test_a_copy_moves_with_its_folder(files, store, tmp_path):
    add(store, "mine", Family.ONNX, str(files / "net.onnx"))
    store.rename(tmp_path / "moved")
    assert read(tmp_path / "moved")[0].source == str(tmp_path / "moved" / "added" / "mine.onnx")


def test_a_link_is_used_where_it_lies(files, store, monkeypatch):
    monkeypatch.chdir(files)
    model = add(store, "mine", Family.ONNX, "net.onnx", link=True)
    assert model.source == str(files / "net.onnx")
    assert [path.name for path in (store / "added").iterdir()] == ["mine.json"]


def test_a_server_is_added_by_its_address(store):
    model = add(store, "far", Family.REMOTE, "https://example.com:8080/eraser")
    assert read(store) == [model]
    assert model.source == "https://example.com:8080/eraser"


def test_a_pipeline_is_added_where_it_lies(store, tmp_path):
    pipeline = tmp_path / "pipeline"
    pipeline.mkdir()
    with pytest.raises(NotAModel, match="model_index"):
        add(store, "sd", Family.DIFFUSERS, str(pipeline))
    (pipeline / "model_index.json").write_text("{}")
    assert add(store, "sd", Family.DIFFUSERS, str(pipeline)).source == str(pipeline)


def test_models_are_read_by_id(store):
    for name in ("b", "a", "c.1"):
        add(store, name, Family.REMOTE, "http://127.0.0.1")
    assert [model.id for model in read(store)] == ["a", "b", "c.1"]
    assert read(store / "nothing") == []


# --- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "Mine", "-x", ".x", "a/b", "..", "a b", "x" * 65, "größe", "a\n"])
def test_a_wrong_id_is_refused(store, name):
    with pytest.raises(NotAModel, match="cannot be an id"):
        add(store, name, Family.REMOTE, "http://127.0.0.1")


def test_an_id_that_is_taken_is_refused(store):
    for name in ("auto", "patch"):
        with pytest.raises(NotAModel, match="already"):
            add(store, name, Family.REMOTE, "http://127.0.0.1", taken=["patch"])
    add(store, "mine", Family.REMOTE, "http://127.0.0.1")
    with pytest.raises(NotAModel, match="models remove mine"):
        add(store, "mine", Family.REMOTE, "http://127.0.0.1", taken=["mine"])


@pytest.mark.parametrize(
    "address", ["", "example.com", "ftp://example.com", "http://", "http://a b", "http://[x"]
)
def test_a_wrong_address_is_refused(store, address):
    with pytest.raises(NotAModel, match="no address"):
        add(store, "far", Family.REMOTE, address)


@pytest.mark.parametrize(
    ("content", "family", "words"),
    [
        (b"", Family.ONNX, "is empty"),
        (pickle.dumps({"w": 1}), Family.LAMA, "bare pickle"),
        (pickle.dumps({"w": 1}), Family.ONNX, "bare pickle"),
        (b"<html>", Family.LAMA, "no file that lama reads"),
        (FILES[".onnx"], Family.LAMA, r"\.pt or \.safetensors"),
        (FILES[".pt"], Family.ONNX, r"wants \.onnx"),
        (FILES[".pt"][:-30], Family.LAMA, "only a part"),
        (FILES[".onnx"][:-3], Family.ONNX, "only a part"),
        (FILES[".safetensors"][:-3], Family.MIGAN, "only a part"),
        (FILES[".pt"], Family.TORCHSCRIPT, r"torch\.jit\.save"),
    ],
)
def test_a_wrong_file_is_refused_and_leaves_nothing(store, tmp_path, content, family, words):
    path = tmp_path / "net.bin"
    path.write_bytes(content)
    with pytest.raises(NotAModel, match=words):
        add(store, "mine", family, str(path))
    assert read(store) == []
    assert not list((store / "added").iterdir())


def test_what_is_not_there_or_no_file_is_refused(store, tmp_path):
    with pytest.raises(NotAModel, match="does not exist"):
        add(store, "mine", Family.ONNX, str(tmp_path / "no.onnx"))
    with pytest.raises(NotAModel, match="is no file"):
        add(store, "mine", Family.ONNX, str(tmp_path))
    with pytest.raises(NotAModel, match="is no folder"):
        add(store, "mine", Family.DIFFUSERS, str(tmp_path / "no"))


def test_a_model_in_two_files_is_only_linked(files, store):
    (files / "net.onnx.data").write_bytes(b"tensors")
    with pytest.raises(NotAModel, match="--link"):
        add(store, "mine", Family.ONNX, str(files / "net.onnx"))
    assert add(store, "mine", Family.ONNX, str(files / "net.onnx"), link=True)


@pytest.mark.parametrize("line", ["x" * 201, "two\nlines", "\x1b[31mred"])
def test_a_title_is_one_plain_line(store, line):
    with pytest.raises(NotAModel, match="one line"):
        add(store, "mine", Family.REMOTE, "http://127.0.0.1", title=line)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_copy_that_fails_leaves_nothing(files, store, monkeypatch, number):
    def fail(_source, target):
        target.write_bytes(b"half")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(NotAModel if number == errno.ENOSPC else OSError):
        add(store, "mine", Family.ONNX, str(files / "net.onnx"))
    assert not list((store / "added").iterdir())


# --- foreign files and removal ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'"text"',
        json.dumps({"family": "gan", "source": "x", "title": "", "licence": ""}).encode(),
        json.dumps({"family": "onnx", "source": 5, "title": "", "licence": ""}).encode(),
        b"[" * 100_000,
    ],
)
def test_a_foreign_file_is_logged_and_skipped(store, content):
    good = add(store, "mine", Family.REMOTE, "http://127.0.0.1")
    (store / "added" / "bad.json").write_bytes(content)
    (store / "added" / "NotAnId.json").write_bytes((store / "added" / "mine.json").read_bytes())
    with structlog.testing.capture_logs() as logs:
        assert read(store) == [good]
    assert {log["event"] for log in logs} == {"added_model_skipped"}
    assert len(logs) == 2


def test_removal_takes_the_copy_and_the_entry(files, store):
    add(store, "mine", Family.ONNX, str(files / "net.onnx"))
    add(store, "other", Family.REMOTE, "http://127.0.0.1")
    assert {path.name for path in remove(store, "mine")} == {"mine.json", "mine.onnx"}
    assert [model.id for model in read(store)] == ["other"]
    assert remove(store, "mine") == []


def test_removal_leaves_what_was_linked(files, store):
    add(store, "mine", Family.ONNX, str(files / "net.onnx"), link=True)
    assert [path.name for path in remove(store, "mine")] == ["mine.json"]
    assert (files / "net.onnx").exists()


@pytest.mark.parametrize("name", ["../files/net", "", "auto", "patch"])
def test_removal_of_what_was_not_added_removes_nothing(files, store, name):
    (store / "added").mkdir(parents=True)
    assert remove(store, name) == []
    assert (files / "net.pt").exists()


def test_every_family_with_a_file_says_which_kinds_it_reads():
    assert set(Family) - set(added.FILES) == {Family.REMOTE, Family.DIFFUSERS}
    assert {kind for kinds in added.FILES.values() for kind in kinds} == set(added.ENDINGS)


def test_the_key_of_a_remote_server_is_named_and_never_written_down(tmp_path, monkeypatch):
    monkeypatch.setenv("OTHER_SERVER_KEY", "a secret")

    model = add(tmp_path, "far", Family.REMOTE, "https://far.example#lama", key_from="OTHER_SERVER_KEY")

    assert model.key_from == "OTHER_SERVER_KEY"
    assert read(tmp_path) == [model]
    assert "a secret" not in (tmp_path / "added" / "far.json").read_text()


@pytest.mark.parametrize("name", ["ERASER_KEY", "two words", "1KEY", "a=b"])
def test_a_key_has_a_variable_that_can_be_set(tmp_path, name):
    with pytest.raises(NotAModel, match="name"):
        add(tmp_path, "far", Family.REMOTE, "https://far.example", key_from=name)


def test_only_a_remote_server_has_a_key(tmp_path):
    with pytest.raises(NotAModel, match="remote"):
        add(tmp_path, "own", Family.ONNX, "some.onnx", key_from="KEY")

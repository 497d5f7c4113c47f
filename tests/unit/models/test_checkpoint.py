"""Weights are read for their tensors only: the same as torch reads, and nothing that runs."""

from __future__ import annotations

import io
import os
import pickle
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from magic_eraser.errors import ModelUnavailable
from magic_eraser.models import checkpoint
from magic_eraser.models.checkpoint import match, read_tensors, strip_prefix
from magic_eraser.models.lama import LAMA_CARD
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.torch_device import find_place


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.conv = nn.Conv2d(3, 3, 1)
        self.register_buffer("gain", torch.arange(3.0).view(3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) * self.gain + torch.full((1,), 2.0)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(Block(), Block())
        self.again = self.model[0]  # one module by two names
        self.sizes = [1, 2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("how", ["trace", "script"])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_torchscript_archive_gives_the_names_and_values_of_its_state_dict(
    net: Net, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "net.pt"
    archive = torch.jit.script(net) if how == "script" else torch.jit.trace(net, torch.rand(1, 3, 4, 4))
    archive.save(path)
    assert_same(read_tensors(path, LAMA_CARD), torch.jit.load(path).state_dict())


def test_a_state_dict_of_views_shared_storages_and_every_type_reads_as_torch_reads_it(tmp_path: Path) -> None:
    base = torch.arange(24, dtype=torch.float32)
    tensors = {
        "whole": base,
        "part": base[4:10],
        "turned": base.view(4, 6).t(),
        "every_third": base[::3],
        "none": torch.empty(0, 3),
        "number": torch.tensor(7),
        "half": torch.rand(5).half(),
        "brain": torch.rand(5).bfloat16(),
        "yes": torch.tensor([True, False]),
        "parameter": nn.Parameter(torch.rand(2)),
    }
    path = tmp_path / "net.pt"
    torch.save(tensors, path)
    found = read_tensors(path, LAMA_CARD)
    assert_same(found, torch.load(path))
    assert found["whole"].data_ptr() + 16 == found["part"].data_ptr()
    assert found["turned"].stride() == (1, 6)


def test_what_is_written_to_a_tensor_stays_out_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"a": torch.ones(3)}, path)
    before = path.read_bytes()
    read_tensors(path, LAMA_CARD)["a"].mul_(2)
    assert path.read_bytes() == before
    assert torch.equal(read_tensors(path, LAMA_CARD)["a"], torch.ones(3))


@pytest.mark.parametrize("wrapper", ["state_dict", "params_ema", "model"])
def test_a_state_dict_within_a_training_program_s_dict_is_found(
    net: Net, tmp_path: Path, wrapper: str
) -> None:
    path = tmp_path / "net.pt"
    torch.save({"epoch": 4, wrapper: net.state_dict(), "note": "x", "loss": torch.ones(1)}, path)
    assert_same(read_tensors(path, LAMA_CARD), net.state_dict())


def test_safetensors_are_read(net: Net, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    tensors = {name: value.clone() for name, value in net.state_dict().items()}
    save_file(tensors, path)
    assert_same(read_tensors(path, LAMA_CARD), tensors)


class Hostile:
    """What a pickle can be made to do when it is loaded."""

    def __init__(self, call: Callable[..., object], *args: object) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.args


def archive_of(pickled: bytes, path: Path, **others: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", pickled)
        for name, data in others.items():
            archive.writestr(f"net/{name}", data)
    return path


def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    path = archive_of(pickle.dumps({"a": Hostile(os.mkdir, str(made))}, 2), tmp_path / "net.pt")
    with pytest.raises(ModelUnavailable, match=r"wants to run \w+\.mkdir"):
        read_tensors(path, LAMA_CARD)
    assert not made.exists()


@pytest.mark.parametrize("call", [eval, getattr, __import__, io.open, torch.load, torch.hub.load])
def test_no_function_gets_into_a_pickle(tmp_path: Path, call: Callable[..., object]) -> None:
    path = archive_of(pickle.dumps(Hostile(call, "1"), 2), tmp_path / "net.pt")
    with pytest.raises(ModelUnavailable, match="wants to run"):
        read_tensors(path, LAMA_CARD)


def test_the_constructors_that_are_let_through_cannot_be_changed_by_a_pickle(tmp_path: Path) -> None:
    # class _Node, then BUILD with (None, {"__setstate__": None}): set an attribute on what is on the stack
    pickled = b"\x80\x02c__torch__\nNet\n(NX\x0c\x00\x00\x00__setstate__N}\x94tb."
    path = archive_of(pickled, tmp_path / "net.pt")
    with pytest.raises(ModelUnavailable, match="damaged"):
        read_tensors(path, LAMA_CARD)


@pytest.mark.parametrize(
    ("pickled", "says"),
    [
        (b"\x80\x02}r\x00\x00\x00\x10.", "holds no tensors"),  # an empty dict, kept under the number 2**28
        (b"\x80\x05\x96\x00\x00\x00\x10\x00\x00\x00\x00.", "damaged list"),  # a bytearray of 2**28 bytes
        (b"\x80\x04\x8e\x00\x00\x00\x10\x00\x00\x00\x00.", "damaged list"),  # bytes, as many
    ],
)
def test_what_a_pickle_only_claims_takes_no_memory(tmp_path: Path, pickled: bytes, says: str) -> None:
    path = archive_of(pickled, tmp_path / "net.pt")
    tracemalloc.start()
    try:
        with pytest.raises(ModelUnavailable, match=says):
            read_tensors(path, LAMA_CARD)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_list_of_tensors_that_unpacks_to_more_than_any_network_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "MOST_LISTED", 10_000)
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"\x80\x02" + 10_000 * b"N0" + b"}.")
    with pytest.raises(ModelUnavailable, match="more tensors than any network has"):
        read_tensors(path, LAMA_CARD)


def test_a_tensor_that_claims_more_numbers_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"a": torch.ones(1).expand(10**9)}, path)
    with pytest.raises(ModelUnavailable, match="claims more numbers than it holds"):
        read_tensors(path, LAMA_CARD)


def storage_of(*pid: object, size: tuple[int, ...] = (4,), offset: int = 0) -> bytes:
    """A pickle of one tensor over the storage that `pid` names."""

    class Persistent:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return pid if isinstance(obj, Persistent) else None

    buffer = io.BytesIO()
    rebuild = torch._utils._rebuild_tensor_v2
    tensor = Hostile(rebuild, Persistent(), offset, size, (1,) * len(size), False, {})
    Pickler(buffer, 2).dump({"a": tensor})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("pickled", "says"),
    [
        (storage_of("storage", torch.FloatStorage, "0", "cpu", 4, size=(5,)), "damaged list"),
        (storage_of("storage", torch.FloatStorage, "0", "cpu", 4, offset=1), "damaged list"),
        (storage_of("storage", torch.FloatStorage, "0", "cpu", 4, size=(-1,)), "damaged list"),
        (storage_of("storage", torch.FloatStorage, "1", "cpu", 4), "lacks some of its tensors"),
        (storage_of("storage", "FloatStorage", "0", "cpu", 4), "of an unknown kind"),
        (storage_of("module"), "damaged list"),
        (pickle.dumps([1, 2], 2), "holds no state dict"),
        (pickle.dumps({"a": 1}, 2), "holds no tensors"),
        (b"\x80\x02}", "damaged list"),
        (b"", "damaged list"),
    ],
)
def test_a_damaged_list_of_tensors_is_refused(tmp_path: Path, pickled: bytes, says: str) -> None:
    path = archive_of(pickled, tmp_path / "net.pt", **{"data/0": bytes(16)})
    with pytest.raises(ModelUnavailable, match=says):
        read_tensors(path, LAMA_CARD)


def test_whatever_is_changed_in_a_file_it_is_read_or_refused(net: Net, tmp_path: Path) -> None:
    good, path = tmp_path / "good.pt", tmp_path / "net.pt"
    torch.save(net.state_dict(), good)
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            packed = zipfile.ZIP_DEFLATED if name.endswith("data.pkl") else zipfile.ZIP_STORED
            new.writestr(name, old.read(name), packed)
    chance = random.Random(0)
    outcomes = set()
    for whole in (good.read_bytes(), path.read_bytes()) * 150:
        content = bytearray(whole)
        for _ in range(chance.choice((1, 3))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(content)
        try:
            outcomes.add(len(read_tensors(path, LAMA_CARD)) > 0)
        except ModelUnavailable:
            outcomes.add(False)
    assert outcomes == {True, False}


def test_tensors_that_lie_askew_in_the_file_are_read(tmp_path: Path) -> None:
    pickled = storage_of("storage", torch.DoubleStorage, "0", "cpu", 2, size=(2,))
    for pad in range(8):
        values = torch.tensor([1.0, float(pad)], dtype=torch.float64)
        data = {f"{'x' * pad}_": b"", "data/0": values.numpy().tobytes()}
        found = read_tensors(archive_of(pickled, tmp_path / f"{pad}.pt", **data), LAMA_CARD)
        assert torch.equal(found["a"], values)


def test_a_torchscript_archive_that_nests_without_end_is_refused(tmp_path: Path) -> None:
    # a module whose attribute "a" is itself
    pickled = b"\x80\x02c__torch__\nNet\n)\x81q\x00}X\x01\x00\x00\x00ah\x00sb."
    with pytest.raises(ModelUnavailable, match="without end"):
        read_tensors(archive_of(pickled, tmp_path / "net.pt"), LAMA_CARD)


def rezipped(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


def test_what_is_no_file_of_weights_is_named_and_the_way_out_told(net: Net, tmp_path: Path) -> None:
    good = tmp_path / "good.pt"
    torch.save(net.state_dict(), good)
    path = tmp_path / "net.pt"

    def refused(content: bytes, says: str) -> None:
        path.write_bytes(content)
        with pytest.raises(ModelUnavailable) as caught:
            read_tensors(path, LAMA_CARD)
        assert says in caught.value.detail
        assert str(path) in caught.value.detail
        assert "magic-eraser models download lama" in caught.value.detail
        assert "magic-eraser models download lama" in caught.value.detail_zh

    refused(b"", "is empty")
    refused(b"<!DOCTYPE html><html>", "is a web page")
    refused(b"\n  <html>", "is a web page")
    refused(b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer")
    refused(pickle.dumps({"a": 1}), "old format of torch (bare pickle)")
    refused(bytes(257) + b"ustar" + bytes(250), "old format of torch (tar)")
    refused(b"GIF89a" + bytes(50), "no known format")
    refused(good.read_bytes()[:-200], "cut short")
    refused(good.read_bytes()[:2000], "cut short")
    refused(bytes(7) + b"\x01{" + bytes(50), "cut short")
    rezipped(good, path)
    refused(path.read_bytes(), "compressed anew")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(path.read_bytes(), "is a zip archive, but none of torch")


def test_nobody_is_told_to_remove_a_file_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    path.write_bytes(b"GIF89a" + bytes(50))
    with pytest.raises(ModelUnavailable) as caught:
        read_tensors(path, replace(LAMA_CARD, id="mine", added=True))
    assert caught.value.detail.endswith("in its place, first: magic-eraser models remove mine.")
    assert "magic-eraser models remove mine" in caught.value.detail_zh


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="No such file"):
        read_tensors(tmp_path / "absent.pt", LAMA_CARD)


def test_one_network_is_taken_out_of_a_file_of_several() -> None:
    one = torch.ones(1)
    tensors = {
        "g.model.1.weight": one,
        "g.model.2.weight": one,
        "d.model.3.weight": one,
        "ema.g.model.1.weight": one,
    }
    assert list(strip_prefix(tensors, "model.1.weight")) == ["model.1.weight", "model.2.weight"]
    assert strip_prefix(tensors, "other") == tensors


def test_only_what_a_network_wants_is_given_to_it() -> None:
    tensors = {"a": torch.ones(2, 3), "counter": torch.tensor(1)}
    assert list(match(tensors, {"a": (2, 3)}, Path("net.pt"), LAMA_CARD)) == ["a"]


def test_a_key_that_is_missing_or_of_another_shape_is_named() -> None:
    tensors = {"a": torch.ones(2, 3), "b": torch.ones(1)}
    with pytest.raises(ModelUnavailable, match="does not fit lama: it lacks c and 1 more"):
        match(tensors, {"a": (2, 3), "c": (1,), "d": (1,)}, Path("net.pt"), LAMA_CARD)
    with pytest.raises(ModelUnavailable, match=r"a is \(2, 3\) where \(3, 3\) is wanted\."):
        match(tensors, {"a": (3, 3), "b": (1,)}, Path("net.pt"), LAMA_CARD)


def test_the_processor_and_the_precision_asked_for_are_taken() -> None:
    threads = torch.get_num_threads()
    try:
        place = find_place(Setup(threads=1, device="cpu", precision=Precision.FLOAT32))
        assert (place.device.type, place.dtype, torch.get_num_threads()) == ("cpu", torch.float32, 1)
        assert find_place(Setup(device="cpu", precision=Precision.BFLOAT16)).dtype is torch.bfloat16
        assert find_place(Setup(device="auto")).dtype in {torch.float32, torch.bfloat16}
    finally:
        torch.set_num_threads(threads)


def test_a_gpu_that_is_not_there_is_said_so() -> None:
    number = torch.cuda.device_count()
    with pytest.raises(ModelUnavailable, match=f'The device "cuda:{number}" cannot be used'):
        find_place(Setup(threads=torch.get_num_threads(), device=f"cuda:{number}"))

"""The whole product with every model of the catalogue: right networks, seeded weights, real processes."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx2
import numpy as np
import psutil
import pytest
import torch

from checkpoints import lama, onnx_models, torchscript_models
from magic_eraser.models import added
from magic_eraser.models.added import Family
from magic_eraser.models.catalog import CATALOG
from server_process import Server

NETWORKS = [name for name, entry in CATALOG.items() if entry.card.weights]
LIMITED = [name for name, entry in CATALOG.items() if entry.card.must_accept]
ACCEPTED = ",".join({CATALOG[name].card.licence for name in LIMITED})
CHINESE = {"Accept-Language": "zh-CN"}


def erase(server: Server, image: bytes, mask: bytes, model: str, headers=None, **fields) -> httpx2.Response:
    return httpx2.post(
        f"{server.url}/v1/erase",
        files={"image": image, "mask": mask},
        data={"model": model, **fields},
        headers=headers,
        timeout=180,
    )


def states(server: Server) -> dict[str, str]:
    models = httpx2.get(f"{server.url}/v1/status").json()["models"]
    return {model["id"]: model["state"] for model in models}


def children(server: Server) -> list[psutil.Process]:
    """Processes of models that live."""
    return [each for each in psutil.Process(server.process.pid).children() if each.status() != "zombie"]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def samples(content: bytes) -> np.ndarray:
    """Of any depth, with opacity."""
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def assert_filled(answer: httpx2.Response, original: bytes, hole: np.ndarray, model: str) -> None:
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Eraser-Model"] == model
    before, after = samples(original), samples(answer.content)
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    assert (after[~hole] == before[~hole]).all()
    assert (after[hole] != before[hole]).any()


@pytest.fixture(scope="module")
def weights_of(every_weight, tmp_path_factory) -> Callable[..., Path]:
    """A folder with the files of these models only."""

    def folder_of(*models: str) -> Path:
        folder = tmp_path_factory.mktemp("weights")
        for file in (file for model in models for file in CATALOG[model].card.weights):
            (folder / file.name).symlink_to(every_weight / file.name)
        return folder

    return folder_of


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Iterator[Callable[..., Server]]:
    """`run(weights, ERASER_...=...)`: a ready server for several tests, which ends as it should."""
    servers = []

    def begin(weights: Path, **environment: str) -> Server:
        data = tmp_path_factory.mktemp("data")
        servers.append(Server(data, ERASER_WEIGHTS__DIR=str(weights), **environment))
        servers[-1].wait_ready()
        return servers[-1]

    yield begin
    for server in servers:
        assert server.stop() == 0
        assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def complete(run, every_weight) -> Server:
    """It has everything."""
    # MAT's 512 x 512 pixels are 14 s on one core
    return run(every_weight, ERASER_MODELS__ACCEPTED_LICENCES=ACCEPTED, ERASER_QUEUE__DEADLINE_SECONDS="120")


# --- all is there -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", list(CATALOG))
def test_every_model_fills_the_hole_and_touches_nothing_else(complete, model, coffee_png, dot_png, dot):
    answer = erase(complete, coffee_png, dot_png, model)

    assert_filled(answer, coffee_png, dot, model)
    assert "X-Eraser-Notice" not in answer.headers
    assert len(children(complete)) == sum(state == "ready" for name, state in states(complete).items()
                                          if name in NETWORKS)  # fmt: skip


@pytest.mark.parametrize("model", ["lama", "migan", "migan-onnx", "ldm"])
def test_sixteen_bits_and_opacity_stay_what_they_are(complete, model, coffee, dot, dot_png):
    rng = np.random.default_rng(5)
    deep = np.dstack([coffee * np.uint16(256), np.full(dot.shape, 50_000, np.uint16)])
    deep += rng.integers(0, 256, deep.shape, np.uint16)
    picture = cv2.imencode(".png", deep)[1].tobytes()

    assert_filled(erase(complete, picture, dot_png, model), picture, dot, model)


def test_a_seed_gives_the_same_bytes_and_another_one_a_variant(complete, coffee_png, dot_png):
    first, again, other = (
        erase(complete, coffee_png, dot_png, "ldm", seed=seed, steps=3).content for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_iopaints_clients_choose_among_them(complete, coffee_png, dot_png, dot):
    body = {
        name: base64.b64encode(data).decode() for name, data in (("image", coffee_png), ("mask", dot_png))
    }
    offered = httpx2.get(f"{complete.url}/api/v1/server-config").json()["modelInfos"]
    assert {*NETWORKS} <= {model["name"] for model in offered}
    for model in ("migan-onnx", "lama"):
        assert httpx2.post(f"{complete.url}/api/v1/model", json={"name": model}).json()["name"] == model
        answer = httpx2.post(f"{complete.url}/api/v1/inpaint", json=body, timeout=60)
        assert answer.content == erase(complete, coffee_png, dot_png, model, seed=42).content


def test_many_clients_and_three_models_never_fail_and_no_model_is_there_twice(
    run, every_weight, coffee_png, dot_png, dot
):
    server = run(every_weight)
    most = []
    stop = threading.Event()

    def count() -> None:
        while not stop.wait(0.05):
            most.append(len(children(server)))

    def client(number: int) -> None:
        for k in range(4):
            model = ("lama", "migan", "lama-onnx")[(number + k) % 3]
            assert_filled(erase(server, coffee_png, dot_png, model), coffee_png, dot, model)

    with ThreadPoolExecutor(9) as callers:
        counting = callers.submit(count)
        try:
            for done in [callers.submit(client, number) for number in range(8)]:
                done.result()
        finally:
            stop.set()
        counting.result()
    assert max(most) == 3


# --- something is missing or broken -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def empty(run, weights_of) -> Server:
    """It has weights only for what it may not use."""
    return run(weights_of(*LIMITED))


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize(
    ("headers", "phrase"), [(None, "cannot be used here yet"), (CHINESE, "暂时无法使用")]
)
def test_what_a_model_lacks_is_said_with_the_way_out(empty, model, headers, phrase, coffee_png, dot_png):
    answer = erase(empty, coffee_png, dot_png, model, headers)

    licence = CATALOG[model].card.licence
    way_out = (
        f"ERASER_MODELS__ACCEPTED_LICENCES={licence}"
        if model in LIMITED
        else f"magic-eraser models download {model}"
    )
    assert answer.status_code == 503
    problem = answer.json()
    assert problem["code"] == "model_unavailable"
    assert way_out in problem["detail"]
    assert phrase in problem["detail"]
    assert int(answer.headers["Retry-After"]) > 0


def without_numbers(path: Path) -> Path:
    """A whole LaMa with one weight that is not a number."""
    net = lama.make(width=8, blocks=1)
    with torch.no_grad():
        list(net.parameters())[-1].view(-1)[0] = float("nan")
    return lama.save_state_dict(net, path)


@pytest.fixture(scope="module")
def broken(run, every_weight, tmp_path_factory) -> Server:
    """Its files are halves, other networks, or no numbers."""
    folder = tmp_path_factory.mktemp("broken")
    for name in ("big-lama.pt", "lama_fp32.onnx"):
        whole = (every_weight / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    shutil.copyfile(every_weight / "migan_traced.pt", folder / "anime-manga-big-lama.pt")
    shutil.copyfile(every_weight / "big-lama.pt", folder / "migan_traced.pt")
    added.add(folder, "not-a-number", Family.LAMA, str(without_numbers(folder / "nan.pt")))
    return run(folder)


@pytest.mark.parametrize(
    ("model", "file", "reason", "chinese"),
    [
        ("lama", "big-lama.pt", "is cut short or damaged", "不完整或已损坏"),
        ("lama-onnx", "lama_fp32.onnx", "cannot be loaded by ONNX Runtime", "ONNX Runtime 无法加载"),
        (
            "anime-lama",
            "anime-manga-big-lama.pt",
            "lacks model.1.ffc.convl2l.weight",
            "缺少 model.1.ffc.convl2l.weight",
        ),
        ("migan", "migan_traced.pt", "lacks encoder.b512.fromrgb.weight", "缺少 encoder.b512.fromrgb.weight"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_is_wrong(
    broken, model, file, reason, chinese, coffee_png, dot_png
):
    for headers, phrase in ((None, reason), (CHINESE, chinese)):
        answer = erase(broken, coffee_png, dot_png, model, headers)

        assert answer.status_code == 503
        problem = answer.json()
        assert problem["code"] == "model_unavailable"
        assert file in problem["detail"]
        assert phrase in problem["detail"]
        assert int(answer.headers["Retry-After"]) > 0


def test_auto_does_without_those(broken, coffee_png, dot_png, dot):
    assert_filled(erase(broken, coffee_png, dot_png, "auto"), coffee_png, dot, "patch")


def test_another_model_fills_where_the_answer_is_no_picture_and_it_is_said(broken, coffee_png, dot_png, dot):
    answer = erase(broken, coffee_png, dot_png, "not-a-number")

    assert_filled(answer, coffee_png, dot, "patch")
    assert answer.headers["X-Eraser-Notice"] == "fell_back"


# --- coming and going -------------------------------------------------------------------------------------


def test_a_model_may_be_ready_before_it_is_asked_for_and_goes_when_it_is_idle(
    run, weights_of, coffee_png, dot_png, dot
):
    server = run(weights_of("lama"), ERASER_MODELS__PRELOAD="lama", ERASER_MODELS__IDLE_UNLOAD_SECONDS="1.5")
    wait_until(lambda: states(server)["lama"] == "ready")
    assert len(children(server)) == 1
    wait_until(lambda: states(server)["lama"] == "absent")
    assert children(server) == []

    assert_filled(erase(server, coffee_png, dot_png, "lama"), coffee_png, dot, "lama")


def test_two_models_take_turns_where_memory_is_enough_for_one(run, weights_of, coffee_png, dot_png, dot):
    server = run(weights_of("lama", "lama-onnx"), ERASER_MODELS__MEMORY_BUDGET_MB="900")

    def fill(model: str) -> None:
        assert_filled(erase(server, coffee_png, dot_png, model), coffee_png, dot, model)
        assert len(children(server)) <= 1

    with ThreadPoolExecutor(4) as callers:
        for done in [callers.submit(fill, model) for model in ("lama", "lama-onnx") * 3]:
            done.result()


def test_a_stopped_server_leaves_no_model_behind(start, weights_of, coffee_png, dot_png):
    server = start(ERASER_WEIGHTS__DIR=str(weights_of("lama", "lama-onnx")))
    for model in ("lama", "lama-onnx"):
        erase(server, coffee_png, dot_png, model)
    left = children(server)
    assert len(left) == 2

    assert server.stop() == 0
    assert [each for each in left if each.is_running()] == []


# --- a person's own ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(complete, every_weight, tmp_path_factory) -> Path:
    """A weights folder to which models were added as a person does it."""
    folder, files = tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("files")
    onnx_models.write(files / "net.onnx", onnx_models.mean_fill(onnx_models.LAMA))
    torchscript_models.save(torchscript_models.MeanFill(), files / "program.pt")
    for source, family in (
        (files / "net.onnx", "onnx"),
        (files / "program.pt", "torchscript"),
        (every_weight / "big-lama.pt", "lama"),
        (f"{complete.url}#migan-onnx", "remote"),
    ):
        magic_eraser(folder, "models", "add", source, "--id", f"my-{family}", "--family", family)
    return folder


def magic_eraser(folder: Path, *words: object) -> str:
    """What the command prints, with weights in that folder."""
    done = subprocess.run(
        [sys.executable, "-m", "magic_eraser", *map(str, words)],
        env={**os.environ, "ERASER_WEIGHTS__DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def own_server(run, own) -> Server:
    return run(own)


@pytest.mark.parametrize("family", ["onnx", "torchscript", "lama", "remote"])
def test_an_added_model_is_offered_and_fills(own_server, family, coffee_png, dot_png, dot):
    offered = httpx2.get(f"{own_server.url}/v1/models").json()["models"]
    (model,) = [each for each in offered if each["id"] == f"my-{family}"]
    assert model["added"]
    assert model["allowed"]

    assert_filled(erase(own_server, coffee_png, dot_png, model["id"]), coffee_png, dot, model["id"])


@pytest.mark.parametrize("family", ["onnx", "remote"])
def test_the_command_line_fills_as_the_server_does(own, own_server, family, coffee_png, dot_png, tmp_path):
    photo, mask, out = (tmp_path / f"{name}.png" for name in ("photo", "mask", "out"))
    photo.write_bytes(coffee_png)
    mask.write_bytes(dot_png)
    magic_eraser(own, "erase", photo, mask, "-o", out, "--model", f"my-{family}")

    answer = erase(own_server, coffee_png, dot_png, f"my-{family}")
    assert (samples(out.read_bytes()) == samples(answer.content)).all()

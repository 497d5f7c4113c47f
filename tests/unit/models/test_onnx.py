"""The `onnx` family, on small files that want and give what published ones do."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from checkpoints import onnx_models as published
from checkpoints.onnx_models import Way
from magic_eraser.errors import Cancelled, DeadlineExceeded, ModelUnavailable, OutOfMemory, UnusableOutput
from magic_eraser.models import onnx
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch

OWN = onnx.PATTERN.of_person("own", "My own", "MIT", "own.onnx")
BYTES = {
    "values": (0, 255),
    "picture_type": TensorProto.UINT8,
    "mask_type": TensorProto.UINT8,
    "mask_highest": 255,
}

WAYS = {
    "LaMa as published, 0..255 out of 0..1": published.LAMA,
    "MI-GAN's pipeline, bytes, 255 known": published.MIGAN_PIPELINE,
    "MI-GAN's bare net, four channels": published.MIGAN_BARE,
    "LaMa of any size": Way(),
    "LaMa of any size, four channels": Way(packed="lama", names=("input", "", "output")),
    "an integer mask": Way(mask_type=TensorProto.INT64),
    "a boolean mask": Way(mask_type=TensorProto.BOOL),
    "a mask of bytes": Way(mask_type=TensorProto.UINT8, mask_highest=255),
    "half floats": Way(
        picture_type=TensorProto.FLOAT16, mask_type=TensorProto.FLOAT16, answer_type=TensorProto.FLOAT16
    ),
    "a mask that marks what is known": Way(one_is_hole=False),
    "-1..1 in": Way(values=(-1, 1)),
    "-1..1 in, 0..255 out, marks what is known": Way(values=(-1, 1), answer=(0, 255), one_is_hole=False),
    "-1..1 out": Way(answer=(-1, 1)),
    "bytes, 255 is the hole, float out": Way(**BYTES),
    "channels last": Way(last=True),
    "channels last, bytes, fixed": Way(**BYTES, last=True, side=512, answer=(0, 255), one_is_hole=False),
    "other names": Way(names=("input_picture", "the_MASK", "y")),
    "the hole alone": Way(gives_all=False, answer=(0, 255)),
}


def load(path: Path, **setup: object) -> onnx.OnnxInpainter:
    return onnx.load(Setup(device="cpu", weights=(path,), **setup), card=OWN)


def fill(model: onnx.OnnxInpainter, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    return model.inpaint(image, hole, InpaintOptions(), Watch())


@pytest.fixture(scope="module")
def scene(coffee) -> tuple[np.ndarray, np.ndarray]:
    """A crop with a hole, of sides that are multiples of nothing much."""
    image = np.ascontiguousarray(coffee[:331, 100:490])
    hole = np.zeros(image.shape[:2], bool)
    hole[120:211, 150:287] = True
    image[hole] = (0, 255, 0)
    return image, hole


def mean_of_known(image: np.ndarray, hole: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    around = [(0, size[0] - image.shape[0]), (0, size[1] - image.shape[1])]
    known = ~np.pad(hole, around, mode="symmetric")
    return np.pad(image, [*around, (0, 0)], mode="symmetric")[known].mean(axis=0)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_the_hole_is_filled_whatever_way_the_model_has(way, scene, tmp_path):
    image, hole = scene
    model = load(published.write(tmp_path / "model.onnx", published.mean_fill(way)))

    out = fill(model, image, hole)

    size = (512, 512) if way.side else (352, 416)  # the next multiples of 32
    if way.picture_type == TensorProto.UINT8 and not way.side:
        size = hole.shape
    # half floats count to 2048 and no further: their sums are coarser
    allowed = 6 if way.picture_type == TensorProto.FLOAT16 else 1
    assert out.dtype == np.uint8
    assert out.shape == image.shape
    assert np.abs(out[hole] - mean_of_known(image, hole, size)).max() <= allowed


def test_a_crop_larger_than_a_fixed_size_is_shrunk_and_enlarged_again(scene, tmp_path):
    image, hole = scene
    model = load(published.write(tmp_path / "small.onnx", published.mean_fill(Way(side=256))))

    out = fill(model, image, hole)

    assert out.shape == image.shape
    inner = out[130:201, 160:277]  # the edge of the hole is blended when the answer is enlarged
    assert np.abs(inner - mean_of_known(image, hole, (390, 390))).max() <= 2
    assert np.abs(out.astype(int) - image)[~hole].mean() < 8


def test_what_lies_in_the_hole_is_not_used(scene, tmp_path):
    image, hole = scene
    model = load(published.write(tmp_path / "model.onnx", published.mean_fill(published.LAMA)))
    other = image.copy()
    other[hole] = 200

    assert (fill(model, other, hole)[hole] == fill(model, image, hole)[hole]).all()


def test_the_published_cards_load_what_is_published(scene, tmp_path):
    image, hole = scene
    for card, way in ((onnx.LAMA_CARD, published.LAMA), (onnx.MIGAN_CARD, published.MIGAN_PIPELINE)):
        path = published.write(tmp_path / card.weights[0].name, published.mean_fill(way))

        model = onnx.load(Setup(device="cpu", weights=(path,), low_memory=True), card=card)

        assert model.card is card
        assert fill(model, image, hole).shape == image.shape


def test_other_inputs_are_refused_by_what_is_declared(tmp_path):
    path = published.write(tmp_path / "foreign.onnx", published.foreign())

    with pytest.raises(ModelUnavailable, match=r"input float \(1, 3, 64, any\), scale int64 \(1\)"):
        load(path)


def test_four_channels_of_bytes_are_refused(tmp_path):
    way = Way(packed="lama", picture_type=TensorProto.UINT8)
    path = published.write(tmp_path / "odd.onnx", published.mean_fill(way))

    with pytest.raises(ModelUnavailable, match="cannot be fed: it declares image uint8"):
        load(path)


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "page.onnx"
    path.write_bytes(b"<html>not found</html>")

    with pytest.raises(ModelUnavailable, match=r"page\.onnx of model own cannot be loaded"):
        load(path)


def test_half_a_file_is_refused(tmp_path):
    path = published.write(tmp_path / "half.onnx", published.slow(3))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ModelUnavailable, match="cannot be loaded by ONNX Runtime"):
        load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"nowhere\.onnx"):
        load(tmp_path / "nowhere.onnx")


def test_tensors_in_a_file_beside_the_model_are_read(scene, tmp_path):
    image, hole = scene
    np.array([0.5], np.float32).tofile(tmp_path / "shade.bin")
    model = load(published.write(tmp_path / "model.onnx", published.with_tensor_elsewhere("shade.bin")))

    assert np.abs(fill(model, image, hole)[hole].astype(int) - 128).max() <= 1  # the hole comes as black


@pytest.mark.parametrize("how", ["up", "absolute", "link"])
def test_tensors_elsewhere_are_not_read(how, tmp_path):
    secret = tmp_path / "secret.bin"
    np.array([0.5], np.float32).tofile(secret)
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link.bin").symlink_to(secret)
    location = {"up": "../secret.bin", "absolute": str(secret), "link": "link.bin"}[how]
    path = published.write(folder / "model.onnx", published.with_tensor_elsewhere(location))

    with pytest.raises(ModelUnavailable, match="keeps tensors in another file, which is not in its folder"):
        load(path)


def test_an_answer_that_is_no_number_is_unusable(scene, tmp_path):
    model = load(published.write(tmp_path / "model.onnx", published.mean_fill(Way())))
    image, _hole = scene

    with pytest.raises(UnusableOutput):  # the mean of nothing is 0 / 0
        fill(model, image, np.ones(image.shape[:2], bool))


def test_an_answer_of_another_size_is_unusable(tmp_path):
    model = published.mean_fill(replace(published.LAMA, names=("image", "mask", "whole")))
    node = model.graph.node.add(op_type="MaxPool", input=["whole"], output=["output"])
    node.attribute.add(name="kernel_shape", type=7, ints=[2, 2])
    node.attribute.add(name="strides", type=7, ints=[2, 2])
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].name = "output"
    model.graph.output[0].type.tensor_type.ClearField("shape")
    path = published.write(tmp_path / "half_size.onnx", model)

    with pytest.raises(UnusableOutput, match=r"\(1, 3, 256, 256\).*512 x 512"):
        load(path)


def test_a_device_that_is_not_there_is_refused(tmp_path):
    path = published.write(tmp_path / "model.onnx", published.mean_fill(Way()))

    with pytest.raises(ModelUnavailable, match=r'"cuda".*onnxruntime-gpu'):
        onnx.load(Setup(device="cuda", weights=(path,)), card=OWN)


@pytest.fixture(scope="module")
def slow(tmp_path_factory) -> onnx.OnnxInpainter:
    return load(published.write(tmp_path_factory.mktemp("onnx") / "slow.onnx", published.slow(12)))


def test_a_cancelled_request_ends_in_the_middle_of_a_run(slow, scene):
    start = time.thread_time()
    fill(slow, *scene)
    whole = time.thread_time() - start
    watch = Watch()
    threading.Timer(0.05, watch.cancel).start()
    start = time.thread_time()

    with pytest.raises(Cancelled):
        slow.inpaint(*scene, InpaintOptions(), watch)

    assert time.thread_time() - start < whole / 2


def test_a_deadline_ends_a_run_and_the_next_one_is_whole(slow, scene):
    with pytest.raises(DeadlineExceeded):
        slow.inpaint(*scene, InpaintOptions(), Watch(seconds=0.05))

    assert fill(slow, *scene).shape == scene[0].shape


def test_a_request_that_is_cancelled_already_does_not_begin(slow, scene):
    watch = Watch()
    watch.cancel()

    with pytest.raises(Cancelled):
        slow.inpaint(*scene, InpaintOptions(), watch)


def test_a_lack_of_memory_is_not_held_against_the_file(monkeypatch, tmp_path):
    def exhausted(*_arguments, **_more):
        raise faults.RuntimeException(
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory"
        )

    monkeypatch.setattr(onnxruntime, "InferenceSession", exhausted)
    with pytest.raises(OutOfMemory):
        onnx.load(Setup(device="cpu", weights=(tmp_path / "any.onnx",)), card=onnx.LAMA_CARD)

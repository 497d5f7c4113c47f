"""LaMa: the same picture as the published network makes, from the published names, in less time."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from checkpoints import lama
from magic_eraser.errors import Cancelled, ModelUnavailable
from magic_eraser.models.inpainter import Effort, InpaintOptions
from magic_eraser.models.lama import ANIME_CARD, LAMA_CARD, load
from magic_eraser.models.lama import inpainter as inpainter_module
from magic_eraser.models.lama import network as network_module
from magic_eraser.models.lama.inpainter import LamaInpainter
from magic_eraser.models.lama.merge import merged
from magic_eraser.models.lama.network import CELL, Network, Window
from magic_eraser.models.lama.weights import read_weights, wanted_shapes
from magic_eraser.models.mat import import_torchvision
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.torch_device import Place
from magic_eraser.models.watch import Watch

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def small_net() -> lama.Lama:
    return lama.make(width=8, blocks=3)


@pytest.fixture(scope="module")
def small(small_net: lama.Lama, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network an eighth as wide with a sixth of the blocks, as TorchScript."""
    return lama.save_torchscript(small_net, tmp_path_factory.mktemp("small") / "small.pt")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published size: 51 million numbers."""
    return lama.save_state_dict(lama.make(), tmp_path_factory.mktemp("full") / "full.pt", prefix="generator.")


def setup_for(path: Path, precision: Precision = Precision.FLOAT32, **more: Any) -> Setup:
    return Setup(threads=1, device="cpu", precision=precision, weights=(path,), **more)


def scene(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A smooth picture of many colours, and a hole off its centre."""
    seeds = np.random.default_rng(1).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    hole = np.zeros((height, width), bool)
    hole[height // 4 : height // 2, width // 3 : width // 3 + 20] = True
    return cv2.resize(seeds, (width, height), interpolation=cv2.INTER_CUBIC), hole


def answer_of(net: torch.nn.Module, image: NDArray[np.uint8], hole: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What a network in the published form makes of a picture whose sides are multiples of 8: (H, W, 3) in 0..1."""
    with torch.inference_mode():
        picture = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        return net(picture, torch.from_numpy(hole)[None, None].float())[0].permute(1, 2, 0).numpy()


def spandrels(tensors: dict[str, torch.Tensor]) -> torch.nn.Module:
    """The network as spandrel builds it."""
    import_torchvision()
    with warnings.catch_warnings():
        # CodeFormer, which is imported beside LaMa, is scripted as it is defined
        warnings.filterwarnings("ignore", r"`torch\.jit\.script` is deprecated", DeprecationWarning)
        from spandrel.architectures.LaMa import LaMaArch
    return LaMaArch().load(dict(tensors)).model.eval()


def test_at_the_published_size_float32_agrees_with_spandrel_and_bfloat16_nearly(
    full: Path,
) -> None:
    image, hole = scene(96, 136)
    wanted = answer_of(spandrels(torch.load(full)), image, hole)[hole]
    assert wanted.std() > 0.1  # the answer varies, so that to agree with it means something
    pictures = torch.from_numpy(image)[None].float() / 255
    masks = torch.from_numpy(hole)[None, ..., None].float()
    weights = read_weights(full, LAMA_CARD)
    for dtype, most, mean in ((torch.float32, 1e-4, 1e-5), (torch.bfloat16, 0.1, 1 / 255)):
        network = Network(weights, Place(CPU, dtype))
        with torch.inference_mode():
            features = network.features(pictures, masks, lambda _whole: None)
            found = network.colours(features, Window(0, 12, 0, 17), lambda _whole: None)[0].numpy()[hole]
        assert np.abs(found - wanted).max() <= most
        assert np.abs(found - wanted).mean() <= mean


def test_the_checkpoints_of_the_tests_have_the_published_names_and_no_other() -> None:
    names = {name for name in lama.Lama().state_dict() if not name.endswith("num_batches_tracked")}
    assert len(lama.Lama().state_dict()) == 989
    assert {f"model.{name}" for name in wanted_shapes(64, 128, 18)} == names


@pytest.mark.parametrize("size", [(64, 64), (72, 136), (40, 24)])
def test_any_size_comes_out_as_the_published_graph_makes_it(
    small_net: lama.Lama, small: Path, size: tuple[int, int]
) -> None:
    image, hole = scene(*size)
    filled = load(setup_for(small)).inpaint(image, hole, InpaintOptions(), Watch())
    wanted = answer_of(small_net, image, hole) * 255
    assert np.abs(filled[hole] - wanted[hole]).max() < 0.51


def test_convolutions_as_a_gpu_does_them_give_the_same(small: Path) -> None:
    image, hole = scene(72, 64)
    pictures = torch.from_numpy(image)[None].float() / 255
    masks = torch.from_numpy(hole)[None, ..., None].float()
    weights = read_weights(small, LAMA_CARD)
    with torch.inference_mode():
        both = [
            Network(weights, Place(CPU, torch.float32), winograd=winograd).features(
                pictures, masks, lambda _whole: None
            )
            for winograd in (True, False)
        ]
    assert torch.allclose(*both, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_decoding_only_the_hole_gives_the_same_pixels_as_decoding_all(
    small: Path, dtype: torch.dtype
) -> None:
    rng = np.random.default_rng(3)
    network = Network(read_weights(small, LAMA_CARD), Place(CPU, dtype))
    features = torch.from_numpy(rng.standard_normal((1, 12, 15, 64), np.float32)).to(dtype)
    with torch.inference_mode():
        whole = network.colours(features, Window(0, 12, 0, 15), lambda _whole: None)[0]
        for rows, columns in [
            ((30, 61), (17, 18)),
            ((0, 5), (0, 120)),
            ((90, 96), (113, 120)),
            ((47, 48), (8, 64)),
        ]:
            window = Window.around(rows, columns, (12, 15))
            part = network.colours(features, window, lambda _whole: None)[0]
            top, left = window.top * CELL, window.left * CELL
            inner = part[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]
            assert torch.allclose(inner, whole[slice(*rows), slice(*columns)], rtol=0, atol=1e-6)
            assert part.shape[0] <= rows[1] - rows[0] + 5 * CELL


def test_what_the_picture_holds_in_the_hole_makes_no_difference(small: Path) -> None:
    image, hole = scene(64, 64)
    model = load(setup_for(small))
    other = image.copy()
    other[hole] = 255 - other[hole]
    for effort in Effort:
        options = InpaintOptions(effort=effort)
        first, second = (model.inpaint(each, hole, options, Watch()) for each in (image, other))
        assert np.array_equal(first[hole], second[hole])


@pytest.mark.parametrize("effort", Effort)
@pytest.mark.parametrize("size", [(1, 1), (1, 512), (3, 7), (15, 16), (300, 5)])
def test_crops_smaller_than_what_the_network_mirrors_are_filled(
    small: Path, size: tuple[int, int], effort: Effort
) -> None:
    model = load(Setup(device="cpu", weights=(small,)))
    image = np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8)
    one = np.zeros(size, bool)
    one[size[0] // 2, size[1] // 2] = True
    for hole in (one, np.ones(size, bool)):
        filled = model.inpaint(image, hole, InpaintOptions(effort=effort), Watch())
        assert (filled.shape, filled.dtype) == (image.shape, np.uint8)
        again = model.inpaint(image, hole, InpaintOptions(effort=effort), Watch())
        assert np.array_equal(filled[hole], again[hole])


def test_fills_at_the_same_time_do_not_get_into_each_other_s_way(small: Path) -> None:
    model = load(Setup(device="cpu", weights=(small,)))
    images = np.random.default_rng(4).integers(0, 256, (4, 96, 120, 3), dtype=np.uint8)
    hole = np.zeros((96, 120), bool)
    hole[30:60, 40:80] = True

    def fill(image: NDArray[Any]) -> NDArray[Any]:
        return model.inpaint(image, hole, InpaintOptions(), Watch())

    alone = [fill(image) for image in images]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(fill, [*images] * 4))
    for number, filled in enumerate(together):
        assert np.array_equal(filled, alone[number % 4])


def test_the_picture_given_is_not_written_to(small: Path) -> None:
    image, hole = scene(70, 90)
    before = image.copy()
    for effort in Effort:
        load(setup_for(small)).inpaint(image, hole, InpaintOptions(effort=effort), Watch())
    assert np.array_equal(image, before)


def test_crops_of_a_batch_come_out_as_they_do_alone(small: Path) -> None:
    crops = [scene(64, 80), scene(71, 50), scene(16, 16)]
    model = load(setup_for(small))
    together = model.inpaint_batch(*zip(*crops, strict=True), InpaintOptions(), Watch())
    for (image, hole), found in zip(crops, together, strict=True):
        assert np.array_equal(found[hole], model.inpaint(image, hole, InpaintOptions(), Watch())[hole])


def test_a_batch_in_one_pass_as_on_a_gpu_fills_every_crop_of_it(small: Path, small_net: lama.Lama) -> None:
    crops = [scene(64, 80), scene(64, 80), scene(40, 48)]
    crops[1] = (255 - crops[1][0], crops[1][1])
    model = load(setup_for(small))
    model.network.on_gpu = True  # the same arithmetic, on the processor
    together = model.inpaint_batch(*zip(*crops, strict=True), InpaintOptions(), Watch())
    assert [each.shape for each in together] == [(64, 80, 3), (64, 80, 3), (40, 48, 3)]
    for (image, hole), found in zip(crops[:2], together[:2], strict=True):
        assert np.abs(found[hole] - answer_of(small_net, image, hole)[hole] * 255).max() < 0.51


def test_work_in_bands_gives_the_same_as_all_at_once(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, hole = scene(104, 72)
    model = load(setup_for(small))
    wanted = model.inpaint(image, hole, InpaintOptions(), Watch())
    monkeypatch.setattr(network_module, "BAND", 9 * 64 * 8)
    monkeypatch.setattr(inpainter_module, "BAND", 20 * 7)
    monkeypatch.setattr(inpainter_module, "LEAST_BAND", 1)
    found = model.inpaint(image, hole, InpaintOptions(), Watch())
    assert (
        np.abs(found[hole].astype(int) - wanted[hole]).max() <= 1
    )  # a sum in another order may round otherwise


def test_work_is_told_of_and_stops_when_cancelled(small: Path) -> None:
    told: list[float] = []
    image, hole = scene(64, 64)
    model = load(setup_for(small))
    for effort in Effort:
        told.clear()
        model.inpaint_batch(
            [image] * 2, [hole] * 2, InpaintOptions(effort=effort), Watch(on_progress=told.append)
        )
        assert len(told) > 20
        assert told == sorted(told)
        assert told[-1] == pytest.approx(1.0)

    def cancel(fraction: float) -> None:
        if fraction > 0.3:
            watch.cancel()

    watch = Watch(on_progress=cancel)
    with pytest.raises(Cancelled):
        model.inpaint(image, hole, InpaintOptions(), watch)


def sizes_seen(model: LamaInpainter, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Sizes of the pictures that the network is given from now on."""
    seen: list[tuple[int, ...]] = []
    features = model.network.features

    def spy(images: torch.Tensor, masks: torch.Tensor, step: Any) -> torch.Tensor:
        seen.append(tuple(images.shape[1:3]))
        return features(images, masks, step)

    monkeypatch.setattr(model.network, "features", spy)
    return seen


def test_effort_and_memory_choose_the_size_at_which_the_network_works(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, hole = scene(400, 560)

    def worked_at(effort: Effort, **more: Any) -> list[tuple[int, ...]]:
        model = load(setup_for(small, **more))
        seen = sizes_seen(model, monkeypatch)
        filled = model.inpaint(image, hole, InpaintOptions(effort=effort), Watch())
        assert filled.shape == image.shape
        return seen

    assert worked_at(Effort.BALANCED) == [(400, 560)]
    assert worked_at(Effort.FAST) == [(288, 400)]
    assert worked_at(Effort.BEST) == [(200, 280), (400, 560)]
    assert worked_at(Effort.BEST, low_memory=True) == [(200, 280)]
    image, hole = scene(200, 300)
    assert worked_at(Effort.FAST) == [(176, 256)]
    assert worked_at(Effort.BEST) == [(200, 304)]


def test_of_two_fills_one_gives_the_colour_and_the_other_the_grain() -> None:
    rng = np.random.default_rng(0)
    hole = np.zeros((120, 120), bool)
    hole[30:90, 30:90] = True
    image = np.full((120, 120, 3), 100, np.uint8)
    grain = rng.integers(-4, 5, (120, 120, 1))
    coarse, fine = image + 6, (image + grain).astype(np.uint8)
    found = merged(image, hole, coarse, fine)
    assert np.array_equal(found[~hole], image[~hole])
    middle = found[50:70, 50:70].astype(int)
    assert middle.mean() == pytest.approx(106, abs=1.5)
    assert np.corrcoef(middle[..., 0].ravel(), grain[50:70, 50:70, 0].ravel())[0, 1] > 0.98


def test_where_two_fills_are_of_other_things_nothing_of_the_finer_one_shows() -> None:
    hole = np.ones((100, 100), bool)
    coarse = np.full((100, 100, 3), 200, np.uint8)
    fine = np.full((100, 100, 3), 20, np.uint8)
    fine[::2] = 60
    assert np.abs(merged(fine, hole, coarse, fine).astype(int) - 200).max() <= 1


def test_a_checkpoint_of_another_network_is_refused_by_the_key_that_it_lacks(tmp_path: Path) -> None:
    net = lama.make(width=8, blocks=1)
    path = tmp_path / "net.pt"
    tensors = net.state_dict()
    del tensors["model.model.5.conv2.bn_g.weight"]
    torch.save(tensors, path)
    with pytest.raises(ModelUnavailable, match=r"lacks model\.5\.conv2\.bn_g\.weight\."):
        load(setup_for(path))
    tensors = net.state_dict()
    tensors["model.model.2.ffc.convl2l.weight"] = torch.ones(2)
    torch.save(tensors, path)
    with pytest.raises(
        ModelUnavailable, match=r"model\.2\.ffc\.convl2l\.weight is \(2,\) where \(16, 8, 3, 3\)"
    ):
        load(setup_for(path))
    torch.save({"weight": torch.ones(1)}, path)
    with pytest.raises(ModelUnavailable, match=r"lacks model\.1\.ffc\.convl2l\.weight and \d+ more"):
        load(setup_for(path), card=ANIME_CARD)


def test_a_network_whose_numbers_are_broken_is_said_so_not_painted(tmp_path: Path) -> None:
    net = lama.make(width=8, blocks=1)
    net.model.model[-2].bias.data.fill_(float("nan"))
    model = load(setup_for(lama.save_state_dict(net, tmp_path / "net.pt")))
    with pytest.raises(ModelUnavailable, match="not numbers"):
        model.inpaint(*scene(64, 64), InpaintOptions(), Watch())


def test_the_loaders_can_be_sent_to_another_process() -> None:
    for loader in (load, partial(load, card=ANIME_CARD)):
        assert pickle.loads(pickle.dumps(loader)).__class__ is loader.__class__
    assert replace(LAMA_CARD, id="mine").weights == LAMA_CARD.weights

"""`migan`, against the same network written out plainly."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoints import migan as published
from magic_eraser.errors import Cancelled, ModelUnavailable, UnusableOutput
from magic_eraser.models import migan
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.watch import Watch


def load(path: Path, precision: Precision = Precision.FLOAT32) -> migan.MiganInpainter:
    return migan.load(Setup(device="cpu", precision=precision, weights=(path,)))


def fill(model: migan.MiganInpainter, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    return model.inpaint(image, hole, InpaintOptions(), Watch())


@pytest.fixture(scope="module")
def net() -> published.Generator:
    return published.generator()


@pytest.fixture(scope="module")
def archive(net, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("migan") / "migan_traced.pt"
    published.traced(net).save(path)
    return path


@pytest.fixture(scope="module")
def model(archive) -> migan.MiganInpainter:
    return load(archive)


@pytest.fixture(scope="module")
def scene(coffee) -> tuple[np.ndarray, np.ndarray]:
    """A crop smaller than the net's square, and a hole in it."""
    image = np.ascontiguousarray(coffee[:380, :460])
    hole = np.zeros(image.shape[:2], bool)
    hole[120:260, 200:330] = True
    return image, hole


@pytest.fixture(scope="module")
def expected(net, scene) -> np.ndarray:
    """What the plain network paints, 0..255 as float (380, 460, 3)."""
    image, hole = scene
    below, beside = 512 - image.shape[0], 512 - image.shape[1]
    image = np.pad(image, ((0, below), (0, beside), (0, 0)), mode="symmetric")
    mask = np.pad(hole, ((0, below), (0, beside)), mode="symmetric").astype(np.float32)
    colours = image.astype(np.float32) / 255 * 2 - 1
    x = np.concatenate([0.5 - mask[..., None], colours * (1 - mask[..., None])], axis=2)
    with torch.inference_mode():
        y = net(torch.from_numpy(x.transpose(2, 0, 1))[None])[0].permute(1, 2, 0).numpy()
    return np.clip(y * 127.5 + 127.5, 0, 255)[: scene[0].shape[0], : scene[0].shape[1]]


def test_float32_paints_what_the_plain_network_paints(model, scene, expected):
    _image, hole = scene

    out = fill(model, *scene)

    assert out.dtype == np.uint8
    assert out.shape == scene[0].shape
    assert expected[hole].std() > 20
    assert np.abs(out - expected)[hole].max() <= 0.5 + 0.0128  # half a level of rounding, and 1e-4 of -1..1


def test_bfloat16_is_within_a_level_on_average(archive, scene, expected):
    out = fill(load(archive, Precision.BFLOAT16), *scene)

    assert np.abs(out - expected)[scene[1]].mean() <= 1


def test_a_state_dict_paints_the_same(model, net, scene, tmp_path):
    path = published.save_state(tmp_path / "own.pt", net)

    assert (fill(load(path), *scene) == fill(model, *scene)).all()


def test_activations_are_clamped_as_in_training(tmp_path):
    net = published.generator(seed=3)
    net.encoder["b512"].fromrgb.weight *= 1000
    x = published.example()
    with torch.inference_mode():
        expected = net(x)
        first = published.active(net.encoder["b512"].fromrgb(x)).abs()
    assert (first == 256).float().mean() > 0.1

    own = load(published.save_state(tmp_path / "loud.pt", net))._net(x, lambda _share: None)

    assert (own - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_a_file_that_changes_later_does_not_matter(net, scene, tmp_path):
    path = published.save_state(tmp_path / "own.pt", net)
    model = load(path)
    before = fill(model, *scene)

    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))

    assert (fill(model, *scene) == before).all()


def test_crops_of_a_batch_are_filled_as_if_alone(model, scene):
    image, hole = scene
    small, small_hole = image[100:300, 150:350], hole[100:300, 150:350]

    both = model.inpaint_batch([image, small], [hole, small_hole], InpaintOptions(), Watch())

    assert (both[0] == fill(model, image, hole)).all()
    assert (both[1] == fill(model, small, small_hole)).all()


def test_what_lies_in_the_hole_is_not_used(model, scene):
    image, hole = scene
    other = image.copy()
    other[hole] = 255 - other[hole]

    assert (fill(model, other, hole) == fill(model, image, hole)).all()


def test_it_tells_its_progress_and_looks_at_the_watch_every_tenth_of_a_second(model, scene):
    told, looks = [], [time.thread_time()]

    def note(share: float) -> None:
        told.append(share)
        looks.append(time.thread_time())

    model.inpaint(*scene, InpaintOptions(), Watch(on_progress=note))
    looks.append(time.thread_time())

    assert np.diff(looks).max() < 0.1
    assert told == sorted(told)
    assert told[0] == 0
    assert 0.95 < told[-1] <= 1


def test_a_cancelled_request_ends_amid_the_net(model, scene):
    def cancel_at_half(share: float) -> None:
        if share > 0.5:
            watch.cancel()

    watch = Watch(on_progress=cancel_at_half)

    with pytest.raises(Cancelled):
        model.inpaint(*scene, InpaintOptions(), watch)


def test_another_network_is_refused_by_name(tmp_path):
    path = tmp_path / "other.pt"
    torch.save(torch.nn.Conv2d(3, 3, 3).state_dict(), path)

    with pytest.raises(ModelUnavailable, match=r"other\.pt.*migan.*lacks encoder\.b512\.fromrgb\.weight"):
        load(path)


def test_a_smaller_network_is_refused_with_the_shape(net, tmp_path):
    tensors = net.state_dict()
    tensors["synthesis.b4.torgb.weight"] = torch.zeros(3, 256, 1, 1)
    path = tmp_path / "small.pt"
    torch.save(tensors, path)

    with pytest.raises(ModelUnavailable, match=r"synthesis\.b4\.torgb\.weight is \(3, 256, 1, 1\)"):
        load(path)


def test_another_filter_than_the_net_was_made_with_is_refused(net, tmp_path):
    tensors = net.state_dict()
    tensors["synthesis.b8.upsample.filter.weight"] = torch.full((3, 1, 4, 4), 1 / 4)
    path = tmp_path / "filter.pt"
    torch.save(tensors, path)

    with pytest.raises(ModelUnavailable, match=r"synthesis\.b8\.upsample\.filter\.weight is not the filter"):
        load(path)


def test_weights_that_are_no_numbers_give_no_picture(net, scene, tmp_path):
    tensors = net.state_dict()
    tensors["synthesis.b4.torgb.bias"] = torch.full((3,), torch.nan)
    path = tmp_path / "nan.pt"
    torch.save(tensors, path)

    with pytest.raises(UnusableOutput):
        fill(load(path), *scene)


def test_a_card_for_a_persons_own_file_names_it():
    own = migan.CARD.of_person("street", "For streets", "MIT", "street.pt")

    assert own.added
    assert own.id == "street"
    assert not migan.CARD.added

"""`mat`, against spandrel's own call of the same net. A forward takes 9-14 s of one core, so there are few."""

from __future__ import annotations

import pickle
import sys
import warnings

import numpy as np
import pytest
import torch

from checkpoints import mat as published
from magic_eraser.errors import Cancelled, ModelUnavailable, UnusableOutput
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.mat import CARD, MatInpainter, load
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.torch_device import Place
from magic_eraser.models.torchvision_import import import_torchvision
from magic_eraser.models.watch import Watch

CPU = Place(torch.device("cpu"), torch.float32)
pytestmark = pytest.mark.timeout(400)  # on a core that three share, with the weights made and read


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return published.save(tmp_path_factory.mktemp("mat") / CARD.weights[0].name)


@pytest.fixture(scope="module")
def exact(weights):
    return load(Setup(device="cpu", precision=Precision.FLOAT32, weights=(weights,)))


@pytest.fixture(scope="module")
def scene(coffee):
    image = coffee[20:332, 40:540].copy()
    hole = np.zeros(image.shape[:2], bool)
    hole[60:220, 150:330] = True
    return image, hole


@pytest.fixture(scope="module")
def spandrels(weights, scene):
    """What spandrel answers for seed 7, levels 0..255 not rounded; each global generator begins there."""
    import_torchvision()
    with warnings.catch_warnings():
        # CodeFormer, which is imported beside MAT, is scripted as it is defined
        warnings.filterwarnings("ignore", r"`torch\.jit\.script` is deprecated", DeprecationWarning)
        from spandrel_extra_arches.architectures.MAT import MATArch

    image, hole = scene
    model = MATArch().load(torch.load(weights)).eval()
    padding = ((0, 512 - image.shape[0]), (0, 512 - image.shape[1]))
    scaled = torch.from_numpy(np.pad(image, (*padding, (0, 0)), mode="symmetric") / np.float32(255))
    mask = torch.from_numpy(np.pad(hole, padding, mode="symmetric").astype(np.float32))
    torch.set_num_threads(1)
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(7)
        model.model.z = torch.randn(1, 512)
        answer = model(scaled.permute(2, 0, 1)[None], mask[None, None])[0].permute(1, 2, 0).numpy()
    return np.clip(answer[: image.shape[0], : image.shape[1]] * 255, 0, 255)


def test_in_bfloat16_the_answer_is_near_spandrels(weights, scene, spandrels):
    image, hole = scene
    model = load(Setup(device="cpu", precision=Precision.BFLOAT16, weights=(weights,)))

    out = model.inpaint(image, hole, InpaintOptions(seed=7), Watch())

    assert 20 < spandrels[hole].std() < 80
    assert np.abs(out[hole] - spandrels[hole]).mean() < 1.5


def test_in_float32_the_answer_is_spandrels_for_the_same_style_and_dropouts(exact, scene, spandrels):
    image, hole = scene
    bright = image.copy()
    bright[hole] = 255  # what the picture holds there is not for the net
    told = []

    out = exact.inpaint(bright, hole, InpaintOptions(seed=7), Watch(on_progress=told.append))

    assert np.abs(out[hole] - spandrels[hole]).max() < 0.51
    assert (out[~hole] == image[~hole]).all()
    assert told == sorted(told)
    assert 0.98 < told[-2] < told[-1] == 1.0
    assert max(np.diff(told)) < 0.3  # the one convolution of 180 channels at 512 x 512


def test_a_cancelled_fill_ends_within_the_net(exact, scene):
    class Ending(Watch):
        looks = 0

        def check(self):
            self.looks += 1
            if self.looks == 150:
                self.cancel()
            super().check()

    watch = Ending()

    with pytest.raises(Cancelled):
        exact.inpaint(*scene, InpaintOptions(), watch)

    assert watch.looks == 150


class Stub(torch.nn.Module):
    """Called as spandrel's generator is; what it answers shows what it was given."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__()
        self.broken = broken

    def forward(self, image, known, style, label, noise_mode):
        assert image.shape[2:] == known.shape[2:] == (512, 512)
        assert label.shape == (1, 0)
        assert noise_mode == "none"
        dropped = torch.nn.functional.dropout(torch.ones_like(image) * 0.5, training=True)
        answer = image * known + (1 - known) * (dropped - 0.5 + 0.1 * style.mean())
        return answer / 0 if self.broken else answer


def test_a_seed_gives_the_same_bytes_whatever_the_global_generators_do_and_another_a_variant(scene):
    image, hole = scene
    model = MatInpainter(Stub(), CPU)
    before = torch.get_rng_state()

    one = model.inpaint(image, hole, InpaintOptions(seed=1), Watch())
    state = torch.get_rng_state()
    torch.rand(5)
    again = model.inpaint(image, hole, InpaintOptions(seed=1), Watch())
    other = model.inpaint(image, hole, InpaintOptions(seed=2), Watch())

    assert (state == before).all()
    assert (one == again).all()
    assert 0.4 < (one[hole] != other[hole]).mean() <= 1
    assert (one[~hole] == image[~hole]).all()
    assert len(np.unique(one[hole] // 64)) > 1  # dropped and kept


def test_what_is_not_a_number_is_no_picture(scene):
    model = MatInpainter(Stub(broken=True), CPU)

    with pytest.raises(UnusableOutput):
        model.inpaint(*scene, InpaintOptions(), Watch())


def test_a_file_of_another_net_is_refused_with_the_name_of_what_it_lacks(tmp_path):
    path = tmp_path / "lama.pth"
    torch.save({"model.model.1.ffc.convl2l.weight": torch.zeros(64, 4, 7, 7)}, path)

    with pytest.raises(
        ModelUnavailable, match=r"lama\.pth.* lacks synthesis.* magic-eraser models download mat"
    ):
        load(Setup(device="cpu", weights=(path,)))


def test_a_tensor_of_another_shape_is_named(tmp_path):
    tensors = {name: torch.zeros(1).expand(shape) for name, shape in published.shapes().items()}
    tensors["mapping.fc7.bias"] = torch.zeros(256)
    path = tmp_path / "small.pth"
    torch.save(tensors, path)

    with pytest.raises(ModelUnavailable, match=r"mapping\.fc7\.bias is \(256,\) where \(512,\) is wanted"):
        load(Setup(device="cpu", weights=(path,)))


def test_where_spandrel_cannot_be_imported_the_sentence_says_what_to_install(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches.architectures.MAT", None)

    with pytest.raises(ModelUnavailable, match=r"pip install 'magic-eraser\[mat\]'.*torchvision"):
        load(Setup(device="cpu", weights=(weights,)))


def test_its_licence_must_be_accepted_and_its_loader_can_be_sent_to_a_child():
    assert CARD.must_accept
    assert CARD.isolated
    assert pickle.loads(pickle.dumps(load)) is load

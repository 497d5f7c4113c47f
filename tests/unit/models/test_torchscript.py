"""The `torchscript` family: a person's own program, called as IOPaint calls one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoints import torchscript_models as programs
from magic_eraser.errors import Cancelled, ModelUnavailable, OutOfMemory, UnusableOutput
from magic_eraser.models import torchscript
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch

OWN = torchscript.PATTERN.of_person("own", "My own", "MIT", "own.pt")


def load(path: Path, device: str = "cpu") -> torchscript.TorchscriptInpainter:
    return torchscript.load(Setup(device=device, weights=(path,)), card=OWN)


@pytest.fixture(scope="module")
def scene(coffee) -> tuple[np.ndarray, np.ndarray]:
    image = np.ascontiguousarray(coffee[:230, 100:391])
    hole = np.zeros(image.shape[:2], bool)
    hole[100:170, 90:200] = True
    return image, hole


@pytest.mark.parametrize(
    ("program", "size"),
    [
        (programs.MeanFill, (232, 296)),
        (programs.IntegersOnly, (232, 296)),
        (programs.FloatsOnly, (232, 296)),
        (programs.OnlyAt512, (512, 512)),
    ],
)
def test_the_hole_is_filled_by_the_program(program, size, scene, tmp_path):
    image, hole = scene
    model = load(programs.save(program(), tmp_path / "own.pt"))

    out = model.inpaint(image, hole, InpaintOptions(), Watch())

    around = [(0, size[0] - image.shape[0]), (0, size[1] - image.shape[1])]
    known = ~np.pad(hole, around, mode="symmetric")
    mean = np.pad(image, [*around, (0, 0)], mode="symmetric")[known].mean(axis=0)
    assert out.shape == image.shape
    assert np.abs(out[hole] - mean).max() <= 1
    assert (out[~hole] == image[~hole]).all()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (programs.OneInput, "expected at most 2 argument"),
        (programs.AnswersMask, r"it answers \(64, 64, 1\)"),
        (programs.AnswersTwo, "it answers a tuple"),
    ],
)
def test_another_signature_is_refused_when_it_is_loaded(program, reason, tmp_path):
    path = programs.save(program(), tmp_path / "other.pt")

    with pytest.raises(ModelUnavailable, match=rf"other\.pt does not take \(image, mask\).*{reason}"):
        load(path)


def test_half_a_file_is_refused(tmp_path):
    path = programs.save(programs.OnlyAt512(), tmp_path / "half.pt")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ModelUnavailable, match=r"half\.pt cannot be loaded as TorchScript"):
        load(path)


def test_a_state_dict_is_no_program(tmp_path):
    path = tmp_path / "state.pt"
    torch.save({"weight": torch.ones(3)}, path)

    with pytest.raises(ModelUnavailable, match="cannot be loaded as TorchScript"):
        load(path)


def test_a_lack_of_memory_is_not_held_against_the_file(tmp_path, monkeypatch):
    path = programs.save(programs.OnlyAt512(), tmp_path / "whole.pt")

    def exhausted(*_arguments, **_more):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")

    monkeypatch.setattr(torch.jit, "load", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"nowhere\.pt"):
        load(tmp_path / "nowhere.pt")


def test_a_program_that_fails_at_another_size_says_so(scene, tmp_path):
    class Small(torch.nn.Module):
        def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            assert image.shape[2] == 64, "only 64 pixels"
            return image * (1 - mask)

    model = load(programs.save(Small(), tmp_path / "small.pt"))

    with pytest.raises(ModelUnavailable, match=r"small\.pt failed: .*only 64 pixels"):
        model.inpaint(*scene, InpaintOptions(), Watch())


def test_a_program_that_wants_more_memory_than_there_is_says_so(scene, tmp_path):
    class Greedy(torch.nn.Module):
        def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            if image.shape[2] > 64:
                return torch.zeros([1 << 50])
            return image

    model = load(programs.save(Greedy(), tmp_path / "greedy.pt"))

    with pytest.raises(OutOfMemory, match="model own"):
        model.inpaint(*scene, InpaintOptions(), Watch())


def test_an_answer_that_is_no_number_is_unusable(scene, tmp_path):
    model = load(programs.save(programs.NoNumbers(), tmp_path / "nan.pt"))

    with pytest.raises(UnusableOutput):
        model.inpaint(*scene, InpaintOptions(), Watch())


def test_a_cancelled_request_does_not_begin(scene, tmp_path):
    model = load(programs.save(programs.MeanFill(), tmp_path / "own.pt"))
    watch = Watch()
    watch.cancel()

    with pytest.raises(Cancelled):
        model.inpaint(*scene, InpaintOptions(), watch)

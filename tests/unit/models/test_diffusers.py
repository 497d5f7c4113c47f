"""Pipelines of the diffusers library, with a tiny one of random weights."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import threading
from functools import partial

import numpy as np
import pytest
import torch

from checkpoints.diffusers_pipeline import write_pipeline
from magic_eraser.errors import Cancelled, ContentBlocked, DeadlineExceeded, ModelUnavailable, UnusableOutput
from magic_eraser.models import diffusers_pipeline
from magic_eraser.models.inpainter import InpaintOptions
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.watch import Watch

QUICK = InpaintOptions(steps=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pipeline(tmp_path_factory.mktemp("pipelines") / "tiny")


@pytest.fixture
def copied(folder, tmp_path):
    """The same folder, to be spoilt."""
    return shutil.copytree(folder, tmp_path / "copy")


def loaded(folder, **setup):
    card = diffusers_pipeline.card("tiny", "Tiny", "MIT", folder)
    return diffusers_pipeline.load(Setup(device="cpu", **setup), card=card)


@pytest.fixture(scope="module")
def model(folder):
    return loaded(folder)


@pytest.fixture(scope="module")
def crop():
    image = np.random.default_rng(1).integers(0, 256, (90, 130, 3), np.uint8)
    hole = np.zeros((90, 130), bool)
    hole[20:61, 30:83] = True
    return image, hole


def fill(model, crop, options=QUICK, watch=None):
    return model.inpaint(*crop, options, watch or Watch())


class Counting(Watch):
    """`told` are the fractions, `checks` how often it was looked at; cancelled after `after` of either."""

    def __init__(self, after: float = 2.0, checks: int = 10**9):
        super().__init__()
        self.told: list[float] = []
        self.checks = 0
        self.after, self.most = after, checks

    def check(self):
        self.checks += 1
        if self.checks >= self.most:
            self.cancel()
        super().check()

    def progress(self, fraction):
        super().progress(fraction)
        self.told.append(fraction)
        if fraction >= self.after:
            self.cancel()


def test_the_hole_is_filled(model, crop):
    before = crop[0].copy()
    out = fill(model, crop)
    assert out.shape == crop[0].shape
    assert out.dtype == np.uint8
    assert out[crop[1]].std() > 1
    assert (crop[0] == before).all()


def test_what_stood_in_the_hole_makes_no_difference(model, crop):
    image, hole = crop
    other = image.copy()
    other[hole] = 255
    assert (fill(model, (other, hole)) == fill(model, crop)).all()


def test_what_stands_around_the_hole_makes_a_difference(model, crop):
    image, hole = crop
    other = np.where(hole[..., None], image, 255 - image)
    assert (fill(model, (other, hole)) != fill(model, crop)).any()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(model, crop):
    torch.manual_seed(5)
    first = fill(model, crop, InpaintOptions(seed=4, steps=3))
    torch.manual_seed(6)
    state = torch.random.get_rng_state()
    assert (fill(model, crop, InpaintOptions(seed=4, steps=3)) == first).all()
    assert (fill(model, crop, InpaintOptions(seed=2**32 - 1, steps=3)) != first).any()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_prompt_and_what_is_not_wanted_make_a_difference(model, crop):
    plain = fill(model, crop)
    grass = fill(model, crop, InpaintOptions(steps=3, prompt="grass"))
    assert (grass != plain).any()
    assert (fill(model, crop, InpaintOptions(steps=3, prompt="stone")) != grass).any()
    assert (fill(model, crop, InpaintOptions(steps=3, negative_prompt="people")) != plain).any()


def test_progress_tells_of_each_step(model, crop):
    watch = Counting()
    fill(model, crop, InpaintOptions(steps=4), watch)
    assert watch.told == [0.25, 0.5, 0.75, 1.0]
    watch = Counting()
    fill(model, crop, InpaintOptions(), watch)
    assert len(watch.told) == model.card.steps == 30


@pytest.mark.parametrize("watch", [Counting(after=0.5), Counting(checks=100)])
def test_after_a_cancelled_fill_the_next_is_as_ever(model, crop, watch):
    usual = fill(model, crop)
    with pytest.raises(Cancelled):
        fill(model, crop, InpaintOptions(steps=10), watch)
    assert (fill(model, crop) == usual).all()


def test_the_watch_is_looked_at_before_every_layer(model, crop):
    watch = Counting()
    fill(model, crop, InpaintOptions(steps=2), watch)
    assert watch.checks > 200


def test_whoever_waits_for_their_turn_can_leave(model, crop):
    with model._its_turn(Watch()), pytest.raises(DeadlineExceeded):
        fill(model, crop, QUICK, Watch(0.2))
    fills = []
    threads = [threading.Thread(target=lambda: fills.append(fill(model, crop))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({out.tobytes() for out in fills}) == 1


@pytest.mark.parametrize("setup", [{"precision": Precision.BFLOAT16}, {"low_memory": True}])
def test_with_less_memory_the_fill_is_nearly_the_same(model, folder, crop, setup):
    out = fill(loaded(folder, **setup), crop)
    assert np.abs(out.astype(int) - fill(model, crop)).mean() < 4


def test_what_is_no_number_is_unusable(folder, crop):
    model = loaded(folder)
    with torch.no_grad():
        model._pipeline.vae.decoder.conv_out.weight.fill_(float("nan"))
    with pytest.raises(UnusableOutput, match="not numbers"):
        fill(model, crop)


def test_what_the_pipelines_own_checker_refuses_is_blocked(folder, crop, monkeypatch):
    model = loaded(folder)
    refuse = lambda image, *_: (image * 0, [True])  # noqa: E731 (what a checker answers)
    monkeypatch.setattr(model._pipeline, "run_safety_checker", refuse)
    with pytest.raises(ContentBlocked, match="safety checker"):
        fill(model, crop)


# The Euler scheduler of diffusers hands tensors to numpy in a way that numpy wants to forbid.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_sdxl_is_run_as_well(tmp_path, crop, capfd):
    model = loaded(write_pipeline(tmp_path / "xl", xl=True))
    capfd.readouterr()
    plain, watch = fill(model, crop), Counting()
    grass = fill(model, crop, InpaintOptions(steps=3, prompt="grass"), watch)
    assert plain[crop[1]].std() > 1
    assert (plain != grass).any()
    assert len(watch.told) == 3
    assert capfd.readouterr() == ("", "")


def test_thin_parts_of_the_hole_are_seen_by_the_nets():
    hole = np.zeros((64, 128), bool)
    hole[3, 5:90] = True
    grown = diffusers_pipeline._by_latents(hole, 8)
    assert grown[:8, :96].all()
    assert not grown[8:].any()
    assert not grown[:, 96:].any()


def unmade(folder):
    (folder / "model_index.json").unlink()


def garbled(folder):
    (folder / "model_index.json").write_text("[]")


def halved(folder):
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def pickled(folder):
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(
        folder / "unet" / "diffusion_pytorch_model.bin"
    )


def emptied(folder):
    for file in folder.glob("*/*.safetensors"):
        file.unlink()


def without_a_net(folder):
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()


def without_a_tensor_of(part):
    def spoil(folder):
        from safetensors.torch import load_file, save_file

        (file,) = (folder / part).glob("*.safetensors")
        tensors = load_file(file)
        tensors.pop(sorted(tensors)[3])
        save_file(tensors, file, {"format": "pt"})

    return spoil


def of_another_shape(folder):
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "in_channels": 4}))


def index_with(**entries):
    def spoil(folder):
        index = folder / "model_index.json"
        index.write_text(json.dumps({**json.loads(index.read_text()), **entries}))
        (folder / "mine.py").write_text("raise SystemExit('this was run')")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (unmade, "it has no model_index.json"),
        (garbled, "its model_index.json cannot be read"),
        (halved, r"unet/diffusion_pytorch_model\.safetensors is not whole"),
        (pickled, r"unet/diffusion_pytorch_model\.bin is a pickle, .* only safetensors"),
        (emptied, "there are no weights in it"),
        (without_a_net, "cannot be used: .*diffusion_pytorch_model"),
        (without_a_tensor_of("unet"), "weights are missing: "),
        (without_a_tensor_of("vae"), "weights are missing: "),
        (without_a_tensor_of("text_encoder"), "weights are missing: "),
        (of_another_shape, "cannot be used: .*shape"),
        (index_with(_class_name=["mine", "Mine"]), "it wants code of its own"),
        (index_with(unet=["mine", "Mine"]), "it wants code of its own"),
        (index_with(_class_name="DanceDiffusionPipeline"), "cannot be used: .*DanceDiffusionPipeline"),
    ],
)
def test_a_folder_that_cannot_be_used_is_said_why(copied, spoil, sentence):
    spoil(copied)
    with pytest.raises(ModelUnavailable, match=sentence) as caught:
        loaded(copied)
    assert str(copied) in caught.value.detail
    assert str(copied) in caught.value.detail_zh


def test_half_precision_weights_are_taken_where_there_are_no_others(copied, crop, model):
    for file in copied.glob("*/*.safetensors"):
        file.rename(file.with_suffix(".fp16.safetensors"))
    assert (fill(loaded(copied), crop) == fill(model, crop)).all()


def test_the_card_says_at_which_size_it_works_and_what_it_weighs(folder, tmp_path):
    card = diffusers_pipeline.card("tiny", "Tiny", "MIT", folder)
    assert (card.working_size, card.min_context, card.steps, card.prompt) == (256, 96, 30, True)
    assert (card.isolated, card.detail, card.added, card.memory_mb) == (True, True, True, 1024)
    assert card.needs == ("torch", "diffusers", "transformers")
    assert diffusers_pipeline.card("none", "None", "MIT", tmp_path).working_size == 512


def test_loading_can_be_pickled_and_the_module_imports_nothing_heavy(folder):
    card = diffusers_pipeline.card("tiny", "Tiny", "MIT", folder)
    loader = pickle.loads(pickle.dumps(partial(diffusers_pipeline.load, card=card)))
    assert loader.keywords["card"].source == str(folder)
    program = (
        "import sys, magic_eraser.models.diffusers_pipeline, magic_eraser.models.remote;"
        "sys.exit(bool({'torch', 'diffusers', 'transformers', 'httpx2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

"""`ldm`: its sampler, against diffusers and the exact solution, and the model, with small parts of known behaviour."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from checkpoints import ldm as published
from magic_eraser.errors import Cancelled, DeadlineExceeded, ModelUnavailable, UnusableOutput
from magic_eraser.models.inpainter import InpaintOptions, Sampler
from magic_eraser.models.ldm import CARD, LdmInpainter, load
from magic_eraser.models.ldm.sampler import sample
from magic_eraser.models.ldm.schedule import embedding, moments, signal_share
from magic_eraser.models.setup import Precision, Setup
from magic_eraser.models.torch_device import Place
from magic_eraser.models.watch import Watch

BOTH = pytest.mark.parametrize("sampler", list(Sampler))


# --- the schedule -----------------------------------------------------------------------------------------------


def test_the_signal_falls_as_ddpm_defines_it():
    assert np.allclose(signal_share(), published.alpha_bars().numpy(), rtol=1e-9)
    assert signal_share()[[0, 999]] == pytest.approx([0.9985, 1.17e-4], rel=0.2)


@pytest.mark.parametrize("steps", [5, 8, 10, 20, 25, 40, 50, 100, 125, 200, 250, 500])
def test_the_moments_are_the_published_programs_where_it_spaces_them_exactly(steps):
    assert moments(steps) == tuple(reversed([first + 1 for first in range(0, 1000, 1000 // steps)]))


@given(st.integers(1, 1000))
def test_there_are_as_many_moments_as_steps_falling_and_evenly_spaced(steps):
    times = moments(steps)

    gaps = -np.diff(times)
    assert len(times) == steps
    assert min(times) >= (0 if steps == 1000 else 1)
    assert 750 < times[0] <= 999
    assert steps == 1 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)


@pytest.mark.parametrize("steps", [0, 1001, -1])
def test_other_numbers_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match=r"1\.\.1000"):
        moments(steps)


def test_a_moment_is_told_as_diffusers_tells_it():
    from diffusers.models.embeddings import get_timestep_embedding

    told = get_timestep_embedding(
        torch.tensor([501]), 256, flip_sin_to_cos=True, downscale_freq_shift=0, max_period=10_000
    )

    assert np.allclose(embedding(501), told[0].numpy(), atol=1e-4)  # theirs in float32: 501 * 6e-8


# --- the sampler ------------------------------------------------------------------------------------------------


def any_noise(x, moment):
    """Not linear in `x`, and different at each moment."""
    return 0.9 * x + 0.3 * np.sin(3 * x + moment / 300)


def by_diffusers(kind, steps):
    settings = {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.0015,
        "beta_end": 0.0205,
        "steps_offset": 1,
        "timestep_spacing": "leading",
    }
    if kind is Sampler.DDIM:
        from diffusers import DDIMScheduler

        scheduler = DDIMScheduler(**settings, clip_sample=False, set_alpha_to_one=False)
    else:
        from diffusers import PNDMScheduler

        scheduler = PNDMScheduler(**settings, skip_prk_steps=True, set_alpha_to_one=False)
    scheduler.set_timesteps(steps)
    return scheduler


@BOTH
@pytest.mark.parametrize("steps", [5, 20, 50])
def test_each_sampler_goes_where_diffusers_goes(sampler, steps):
    start = np.random.default_rng(1).standard_normal((3, 8, 8))
    scheduler = by_diffusers(sampler, steps)
    x = torch.from_numpy(start)
    for moment in scheduler.timesteps:
        noise = torch.from_numpy(any_noise(x.numpy(), int(moment)))
        x = scheduler.step(noise, moment, x).prev_sample

    stages = list(sample(sampler, any_noise, start, steps))

    assert len(stages) == steps
    assert np.allclose(stages[-1].x, x.numpy(), atol=2e-5)  # their shares are of float32


BARS = published.alpha_bars().tolist()


def exact_noise(x, moment, mean=0.3):
    bar = BARS[moment]
    return (1 - bar) ** 0.5 * (x - bar**0.5 * mean) / (bar * published.SPREAD**2 + 1 - bar)


@pytest.mark.parametrize(
    ("sampler", "bounds"),
    [
        (Sampler.DDIM, {20: 0.2, 100: 0.06, 500: 0.015, 1000: 0.008}),
        (Sampler.PLMS, {20: 0.08, 100: 0.003, 1000: 0.0005}),
    ],
)
def test_with_more_steps_it_comes_nearer_to_the_exact_solution(sampler, bounds):
    start = np.random.default_rng(2).standard_normal(500)

    for steps, bound in bounds.items():
        *_, last = sample(sampler, exact_noise, start, steps)
        right = published.ending(torch.from_numpy(start), torch.tensor(0.3), moments(steps)[0])
        assert np.abs(last.x - right.numpy()).max() < bound


@BOTH
@settings(deadline=None, max_examples=60)
@given(st.integers(1, 1000))
def test_any_number_of_steps_is_taken_exactly_and_ends_within_the_pictures_range(sampler, steps):
    asked = []

    def noise_in(x, moment):
        asked.append(moment)
        return exact_noise(x, moment)

    stages = list(sample(sampler, noise_in, np.array([-2.0, 0.0, 2.0]), steps))

    assert len(stages) == steps
    assert len(asked) == steps + (sampler is Sampler.PLMS and steps > 1)
    assert all(0 <= moment <= 999 for moment in asked)
    assert np.abs(stages[-1].x - 0.3).max() < 1.2


def test_what_is_clean_already_is_told_at_every_step():
    stages = list(sample(Sampler.DDIM, exact_noise, np.zeros(4), 20))

    assert np.allclose([stage.clean for stage in stages], 0.3, atol=0.05)


# --- the model --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return published.save(tmp_path_factory.mktemp("ldm"))


@pytest.fixture(scope="module")
def model(parts):
    return load(Setup(threads=1, device="cpu", weights=parts))


def picture_and_hole(height=90, width=120):
    """A flat picture that no multiple of 32 fits, and a hole amid."""
    image = np.full((height, width, 3), (90, 140, 180), np.uint8)
    hole = np.zeros((height, width), bool)
    hole[32:64, 40:80] = True
    image[hole] = 255
    return image, hole


def foretold(image, hole, options):
    """The exact fill of the parts, for the same noise, where a step too many or another seed would show."""
    # what holes leave of the latents at their rims belongs to the mean as the parts take it
    masked = np.pad(np.where(hole[..., None], 0, image), ((0, 6), (0, 8), (0, 0)), mode="symmetric")
    latent = published.Encode()(torch.from_numpy(masked / np.float32(127.5) - 1).permute(2, 0, 1)[None])
    known = np.pad(np.where(hole, 1.0, -1.0), ((0, 6), (0, 8)), mode="symmetric")[::4, ::4]
    mean = published.known_mean(torch.cat([latent, torch.from_numpy(known).float()[None, None]], 1))
    start = torch.randn(latent.shape, generator=torch.Generator().manual_seed(options.seed))
    end = published.ending(start, mean, moments(options.steps)[0]).float()
    picture = published.Decode()(end)[0].permute(1, 2, 0).numpy()
    return np.clip((picture * 0.5 + 0.5) * 255, 0, 255)[: hole.shape[0], : hole.shape[1]]


@BOTH
def test_the_fill_is_the_one_that_its_seed_foretells(model, sampler):
    image, hole = picture_and_hole()
    options = InpaintOptions(seed=11, steps=200, sampler=sampler)

    out = model.inpaint(image, hole, options, Watch())

    expected = foretold(image, hole, options)
    assert out.dtype == np.uint8
    assert out.shape == image.shape
    assert expected[hole].std() > 15
    assert np.abs(out[hole] - expected[hole]).mean() < 2


def test_a_seed_gives_the_same_bytes_and_another_a_variant(model):
    image, hole = picture_and_hole()
    before = torch.get_rng_state()

    one = model.inpaint(image, hole, InpaintOptions(seed=1), Watch())
    torch.manual_seed(torch.initial_seed())
    again = model.inpaint(image, hole, InpaintOptions(seed=1), Watch())
    other = model.inpaint(image, hole, InpaintOptions(seed=2), Watch())
    torch.set_rng_state(before)

    assert (one == again).all()
    assert (one[hole] != other[hole]).mean() > 0.5


def test_what_the_picture_holds_in_the_hole_does_not_count(tmp_path):
    model = load(Setup(device="cpu", weights=published.save(tmp_path, published.Convolve())))
    image, hole = picture_and_hole()
    dark, moved = image.copy(), image.copy()
    dark[hole] = 0
    moved[~hole] = 60

    one = model.inpaint(image, hole, InpaintOptions(steps=3), Watch())

    assert (one == model.inpaint(dark, hole, InpaintOptions(steps=3), Watch())).all()
    assert (one[hole] != model.inpaint(moved, hole, InpaintOptions(steps=3), Watch())[hole]).any()


def test_a_scratch_between_the_pixels_of_the_latent_is_unknown_to_the_net():
    seen = []

    def diffusion(x, _told, conditions):
        seen.append(conditions[0, 3])
        return x

    model = LdmInpainter(
        lambda picture: picture[..., ::4, ::4],
        lambda latent: latent.repeat_interleave(4, 2).repeat_interleave(4, 3),
        diffusion,
        Place(torch.device("cpu"), torch.float32),
    )
    hole = np.zeros((32, 32), bool)
    hole[:, 9:11] = True

    model.inpaint(np.zeros((32, 32, 3), np.uint8), hole, InpaintOptions(steps=1), Watch())

    expected = np.full((8, 8), -1.0)
    expected[:, 2] = 1
    assert (seen[0].numpy() == expected).all()


@pytest.mark.parametrize("steps", [1, 3, 7, 30])
def test_progress_is_told_once_a_step(model, steps):
    told = []

    model.inpaint(*picture_and_hole(), InpaintOptions(steps=steps), Watch(on_progress=told.append))

    assert told == pytest.approx([(k + 1) / (steps + 1) for k in range(steps + 1)])


def test_by_default_it_takes_the_cards_steps(model):
    told = []

    model.inpaint(*picture_and_hole(), InpaintOptions(), Watch(on_progress=told.append))

    assert len(told) - 1 == CARD.steps == 20


class Passing(Watch):
    """A watch whose time is nearly over after so many looks."""

    def __init__(self, looks, *, over=False):
        super().__init__()
        self.left, self.over = looks, over

    def check(self):
        self.left -= 1
        if self.over and self.left < 0:
            raise DeadlineExceeded
        super().check()

    def hurry(self):
        return self.left < 0


def test_when_it_is_late_the_picture_as_far_as_it_is_clean_is_the_answer(model):
    image, hole = picture_and_hole()
    watch = Passing(20)

    out = model.inpaint(image, hole, InpaintOptions(steps=1000, rough_when_late=True), watch)

    assert watch.rough
    assert watch.left > -10
    assert np.abs(out[hole].mean(0) - (90, 140, 180)).max() < 15


def test_it_is_late_for_nobody_who_did_not_ask(model):
    watch = Passing(5)

    model.inpaint(*picture_and_hole(), InpaintOptions(steps=20), watch)

    assert not watch.rough


def test_a_cancelled_fill_ends_before_the_next_step(model):
    watch = Watch(on_progress=lambda share: watch.cancel() if share > 0.3 else None)

    with pytest.raises(Cancelled):
        model.inpaint(*picture_and_hole(), InpaintOptions(steps=20), watch)


def test_past_its_time_it_fails(model):
    with pytest.raises(DeadlineExceeded):
        model.inpaint(*picture_and_hole(), InpaintOptions(steps=20), Passing(9, over=True))


def test_bfloat16_is_for_who_asks_on_a_processor_and_is_near(tmp_path):
    parts = published.save(tmp_path, published.Convolve())
    image, hole = picture_and_hole()

    def fill(precision):
        model = load(Setup(device="cpu", precision=precision, weights=parts))
        return model.inpaint(image, hole, InpaintOptions(), Watch()).astype(int)

    exact = fill(Precision.FLOAT32)

    assert (fill(Precision.AUTO) == exact).all()
    difference = np.abs(fill(Precision.BFLOAT16) - exact)
    assert 0 < difference.mean() < 1


class Nothing(torch.nn.Module):
    def forward(self, x, told, given):
        return x / (x - x) + told.sum() + given.sum()


def test_what_is_not_a_number_is_no_picture(tmp_path):
    model = load(Setup(device="cpu", weights=published.save(tmp_path, Nothing())))

    with pytest.raises(UnusableOutput):
        model.inpaint(*picture_and_hole(), InpaintOptions(steps=2), Watch())


# --- wrong files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 and no more"])
def test_a_file_that_is_no_torchscript_is_named(parts, tmp_path, content):
    path = tmp_path / "diffusion.pt"
    path.write_bytes(content)

    with pytest.raises(
        ModelUnavailable, match=r"diffusion\.pt is no TorchScript.*magic-eraser models download ldm"
    ):
        load(Setup(device="cpu", weights=(*parts[:2], path)))


def test_a_state_dict_is_no_torchscript(parts, tmp_path):
    path = tmp_path / "diffusion.pt"
    torch.save({"weight": torch.zeros(3)}, path)

    with pytest.raises(ModelUnavailable, match="no TorchScript"):
        load(Setup(device="cpu", weights=(*parts[:2], path)))


def test_a_part_that_answers_another_shape_is_named(parts):
    encode, decode, diffusion = parts

    with pytest.raises(
        ModelUnavailable, match=r"decode\.pt .*answers \(1, 3, 128, 128\) where \(1, 3, 8, 8\)"
    ):
        load(Setup(device="cpu", weights=(decode, encode, diffusion)))


def test_a_part_that_fails_is_named_with_its_reason(parts):
    encode, decode, _diffusion = parts

    with pytest.raises(ModelUnavailable, match=r"encode\.pt is not that part of ldm: it fails \(.+\)"):
        load(Setup(device="cpu", weights=(encode, decode, encode)))


def test_a_lack_of_memory_is_not_held_against_the_file(parts, monkeypatch):
    def exhausted(*_arguments, **_more):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")

    monkeypatch.setattr(torch.jit, "load", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        load(Setup(device="cpu", weights=parts))


def test_loading_warns_of_nothing_and_the_loader_can_be_sent_to_a_child(parts):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(Setup(device="cpu", weights=parts)).close()

    assert CARD.isolated
    assert pickle.loads(pickle.dumps(load)) is load

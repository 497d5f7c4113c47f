"""The library's face: every kind in, the same kind out, and the promise about what is outside the hole."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import magic_eraser
from magic_eraser import Eraser, erase
from magic_eraser.errors import (
    DeadlineExceeded,
    EmptyMask,
    InvalidImage,
    InvalidMask,
    MaskSizeMismatch,
    UnknownModel,
    ValidationFailed,
)
from magic_eraser.models.inpainter import Effort


@pytest.fixture(scope="module")
def telea():
    with Eraser(model="telea") as eraser:
        yield eraser


@pytest.mark.parametrize(
    "shape",
    [(400, 600, 3), (400, 600, 4), (400, 600), (400, 600, 1)],
    ids=["rgb", "rgba", "grey", "one channel"],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array_gives_an_array_of_its_shape_and_dtype(telea, coffee, dot, shape, dtype):
    image = np.resize(coffee if len(shape) == 3 and shape[2] > 1 else coffee[..., 0], shape)
    image = (image.astype(dtype) * 257) if dtype == np.uint16 else image.astype(dtype)

    out = telea(image, dot)

    assert (out.shape, out.dtype) == (image.shape, image.dtype)
    assert (out[~dot] == image[~dot]).all()
    assert out is not image


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_a_pillow_image_gives_one_of_its_mode(telea, coffee, dot, mode):
    image = Image.fromarray(coffee).convert(mode)
    image.info["icc_profile"] = b"profile"

    out = telea(image, dot)

    assert isinstance(out, Image.Image)
    assert (out.mode, out.size) == (mode, image.size)
    assert out.info["icc_profile"] == b"profile"
    assert (np.asarray(out)[~dot] == np.asarray(image)[~dot]).all()


def test_bytes_and_paths_give_bytes_in_the_same_format(telea, coffee_jpeg, dot_png, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(coffee_jpeg)

    for source in (coffee_jpeg, path, str(path)):
        out = telea(source, dot_png)
        assert isinstance(out, bytes)
        assert Image.open(io.BytesIO(out)).format == "JPEG"


@pytest.mark.parametrize("kind", ["bool", "uint8", "rgb", "pil", "bytes", "path"])
def test_the_mask_may_be_of_any_kind(telea, coffee, dot, dot_png, tmp_path, kind):
    white = dot.astype(np.uint8) * 255
    path = tmp_path / "mask.png"
    path.write_bytes(dot_png)
    masks = {
        "bool": dot,
        "uint8": white,
        "rgb": np.dstack([white] * 3),
        "pil": Image.fromarray(white),
        "bytes": dot_png,
        "path": path,
    }

    out = telea(coffee, masks[kind])

    assert (out != coffee)[dot].any()
    assert (out == coffee)[~dot].all()


def test_one_call_is_enough(coffee, dot):
    assert (erase(coffee, dot, "telea") == erase(coffee, dot, model="telea")).all()


def test_it_works_where_an_event_loop_runs_already(telea, coffee, dot):
    async def notebook() -> np.ndarray:
        return telea(coffee, dot)

    assert asyncio.run(notebook()).shape == coffee.shape


def test_an_error_reaches_the_caller_from_inside_an_event_loop(telea, coffee, dot):
    async def notebook() -> None:
        telea(coffee, np.zeros_like(dot))

    with pytest.raises(EmptyMask):
        asyncio.run(notebook())


@pytest.mark.parametrize(
    ("image", "mask", "error"),
    [
        (np.zeros((40, 60, 3)), np.ones((40, 60), bool), InvalidImage),
        (np.zeros((40, 60, 2), np.uint8), np.ones((40, 60), bool), InvalidImage),
        (b"nothing", np.ones((40, 60), bool), InvalidImage),
        ("/no/such/file.png", np.ones((40, 60), bool), InvalidImage),
        (5, np.ones((40, 60), bool), InvalidImage),
        (np.zeros((40, 60, 3), np.uint8), np.ones((40, 60, 3), bool), InvalidMask),
        (np.zeros((40, 60, 3), np.uint8), np.ones((40, 61), bool), MaskSizeMismatch),
        (np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), bool), EmptyMask),
        (np.zeros((40, 60, 3), np.uint8), np.ones((40, 60), bool), InvalidMask),
    ],
)
def test_what_cannot_be_erased_is_a_typed_error(telea, image, mask, error):
    with pytest.raises(error):
        telea(image, mask)


def test_a_wrong_model_or_device_is_a_typed_error(telea, coffee, dot):
    with pytest.raises(UnknownModel):
        telea(coffee, dot, model="lamma")
    with pytest.raises(UnknownModel):
        Eraser("lamma")
    with pytest.raises(ValidationFailed):
        Eraser(device="gpu")


def test_an_unknown_attribute_is_one():
    with pytest.raises(AttributeError):
        _ = magic_eraser.nothing


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_picture_and_the_mask_what_is_outside_does_not_change(telea, data):
    height, width = data.draw(st.integers(1, 300)), data.draw(st.integers(1, 300))
    channels = data.draw(st.sampled_from([None, 3, 4]))
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16]))
    model = data.draw(st.sampled_from(["telea", "ns"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    shape = (height, width) if channels is None else (height, width, channels)
    image = rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    hole = rng.random((height, width)) < data.draw(st.floats(0, 1))
    grow, soft = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
    if not hole.any():
        with pytest.raises(EmptyMask):
            telea(image, hole, model=model)
        return
    try:
        out = telea(image, hole, model=model, dilate=grow, feather=soft)
    except InvalidMask:
        return  # the hole, grown, is the whole picture

    ys, xs = np.nonzero(hole)
    reach = grow + soft
    far = np.ones_like(hole)
    for y, x in zip(ys, xs, strict=True):
        far[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = False
    assert (out.shape, out.dtype) == (image.shape, image.dtype)
    assert (out[far] == image[far]).all()


def test_another_seed_gives_a_variant_and_the_same_one_the_same_bytes(coffee, dot):
    with Eraser("patch", threads=1) as eraser:
        first, again, other = (eraser(coffee, dot, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_stroke_too_narrow_grows_to_the_rim(telea):
    y, x = np.mgrid[:160, :200]
    away = np.hypot(x - 100, y - 80)
    image = np.where(away < 40, 40, 180).astype(np.uint8)
    assert telea(image, away < 38).min() == 40
    assert telea(image, away < 38, dilate="auto").min() > 150


@pytest.mark.parametrize("effort", ["fast", "balanced", "best", Effort.BEST])
def test_every_effort_is_taken_by_every_model(telea, coffee, dot, effort):
    assert (telea(coffee, dot, effort=effort)[~dot] == coffee[~dot]).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"dilate": 201},
        {"dilate": "all"},
        {"feather": -1},
        {"seed": 2**32},
        {"effort": "most"},
        {"timeout": 0},
    ],
    ids=str,
)
def test_a_value_out_of_its_range_is_a_typed_error(telea, coffee, dot, wrong):
    with pytest.raises(ValidationFailed, match=next(iter(wrong))):
        telea(coffee, dot, **wrong)
    with pytest.raises(ValidationFailed, match=next(iter(wrong))):
        erase(coffee, dot, **wrong)


def test_a_call_ends_at_its_timeout(coffee, dot):
    with Eraser("patch") as eraser:
        eraser(coffee, dot, timeout=60)
        with pytest.raises(DeadlineExceeded):
            eraser(coffee, dot, timeout=0.001)


def test_fewer_than_one_thread_is_refused():
    with pytest.raises(ValidationFailed, match="threads"):
        Eraser(threads=0)

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage import data

from magic_eraser.imaging.photo import Layout, Metadata, Palette
from magic_eraser.imaging.samples import over_white, to_alpha, to_rgb, upright


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "I;16"])
def test_orientations_are_those_of_pillow(mode, orientation):
    source = np.ascontiguousarray(data.chelsea()[:50, :70])
    image = (
        Image.fromarray(source[..., 0].astype(np.uint16) * 256) if mode == "I;16" else Image.fromarray(source)
    )
    image = image if mode == "I;16" else image.convert(mode)
    samples = np.asarray(image)
    samples = samples.view(np.uint8) != 0 if mode == "1" else samples
    tags = Image.Exif()
    tags[0x0112] = orientation
    image.info["exif"] = tags.tobytes()
    turned = ImageOps.exif_transpose(image)
    expected = np.asarray(turned).view(np.uint8) != 0 if mode == "1" else np.asarray(turned)
    assert np.array_equal(upright(samples, orientation), expected)


@pytest.mark.parametrize("orientation", [-1, 0, 9])
def test_an_unknown_orientation_is_upright(orientation):
    assert upright(data.chelsea(), orientation).shape == data.chelsea().shape


@pytest.mark.parametrize(
    ("layout", "samples", "rgb"),
    [
        (Layout.GREY, np.array([[9]], np.uint8), [9, 9, 9]),
        (Layout.GREY_ALPHA, np.array([[[9, 3]]], np.uint16), [9, 9, 9]),
        (Layout.BILEVEL, np.array([[True]]), [255, 255, 255]),
        (Layout.RGBA, np.array([[[1, 2, 3, 4]]], np.uint8), [1, 2, 3]),
        (Layout.CMYK, np.array([[[255, 0, 0, 0]]], np.uint8), [0, 255, 255]),
        (Layout.CMYK, np.array([[[0, 0, 0, 255]]], np.uint8), [0, 0, 0]),
    ],
)
def test_each_layout_shows_its_colours(layout, samples, rgb):
    shown = to_rgb(samples, layout, Metadata())
    assert shown[0, 0].tolist() == rgb
    assert shown.dtype == (np.uint16 if samples.dtype == np.uint16 else np.uint8)


def test_opacity_is_found_where_there_is_one():
    assert to_alpha(np.array([[[9, 3]]], np.uint8), Layout.GREY_ALPHA, Metadata()).tolist() == [[3]]
    assert to_alpha(np.array([[9]], np.uint8), Layout.GREY, Metadata()) is None
    palette = Palette(np.zeros((3, 3), np.uint8), np.array([255, 8], np.uint8))
    indices = np.array([[0, 1, 2]], np.uint8)
    assert to_alpha(indices, Layout.PALETTE, Metadata(palette=palette)).tolist() == [[255, 8, 255]]


def test_half_of_black_over_white_is_the_middle_grey():
    rgb = np.zeros((1, 3, 3), np.uint8)
    assert over_white(rgb, np.array([[0, 128, 255]], np.uint8))[0, :, 0].tolist() == [255, 127, 0]

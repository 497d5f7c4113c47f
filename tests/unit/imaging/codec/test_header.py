from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from magic_eraser.errors import ImageTooLarge, InvalidImage
from magic_eraser.imaging.codec import decode, probe
from magic_eraser.imaging.codec.header import webp_chunks


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_probe_and_the_picture_agree_on_the_upright_size(format, orientation, astronaut, save):
    tags = Image.Exif()
    tags[0x0112] = orientation
    content = save(Image.fromarray(astronaut), format, exif=tags)
    photo = decode(content)
    assert probe(content)[1:3] == (photo.width, photo.height)
    assert (photo.width, photo.height) == ((120, 90) if orientation < 5 else (90, 120))


def test_the_probe_decodes_nothing(save):
    """Half a file is enough, since the header stands in front."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    content = save(Image.fromarray(noise), "JPEG", quality=95)
    assert probe(content[: len(content) // 2]) == ("jpeg", 400, 300, 1)


def test_the_probe_has_the_same_cap(astronaut, save):
    content = save(Image.fromarray(astronaut), "WEBP")
    with pytest.raises(ImageTooLarge, match="120 x 90"):
        probe(content, max_pixels=10_000)


@pytest.mark.parametrize(
    "options", [{}, {"lossless": True}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}]
)
@pytest.mark.parametrize("size", [(1, 1), (17, 255), (300, 2)])
def test_a_webp_tells_its_size_in_each_of_its_three_headers(size, options, save):
    content = save(Image.new("RGB", size, "teal"), "WEBP", **options)
    assert probe(content)[1:3] == size
    with pytest.raises(ImageTooLarge, match=f"{size[0]} x {size[1]} "):
        probe(content, max_pixels=size[0] * size[1] - 1)


def test_the_chunks_of_an_animation_are_found_inside_its_frames(astronaut, save):
    image = Image.fromarray(astronaut)
    content = save(image, "WEBP", save_all=True, append_images=[image.rotate(90)], lossless=True)
    kinds = [kind for kind, _, _ in webp_chunks(content)]
    assert kinds[:2] == [b"VP8X", b"ANIM"]
    assert kinds.count(b"ANMF") == kinds.count(b"VP8L") == 2
    assert decode(content).metadata.lossless


def test_a_webp_shorter_than_it_says_is_cut_off(astronaut, save):
    content = save(Image.fromarray(astronaut), "WEBP")
    with pytest.raises(InvalidImage, match="WebP file is cut off"):
        probe(content[:-1])

"""`/v1/images`: upload once, erase many times."""

from __future__ import annotations

import io
import os
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def uploaded(client, coffee_jpeg):
    response = client.post("/v1/images", files={"image": ("holiday.jpg", coffee_jpeg)})
    assert response.status_code == 201
    return response.json()


def test_an_upload_says_size_format_and_when_it_goes(uploaded, coffee_jpeg):
    assert (uploaded["width"], uploaded["height"], uploaded["format"]) == (600, 400, "jpeg")
    assert uploaded["bytes"] == len(coffee_jpeg)
    left = datetime.fromisoformat(uploaded["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)


def test_the_size_is_that_of_the_upright_picture(client, coffee):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = io.BytesIO()
    Image.fromarray(coffee).save(content, "JPEG", exif=exif)

    facts = client.post("/v1/images", files={"image": content.getvalue()}).json()

    assert (facts["width"], facts["height"]) == (400, 600)


def test_it_can_be_looked_up_and_read_back(client, uploaded, coffee_jpeg):
    assert client.get(f"/v1/images/{uploaded['id']}").json() == uploaded
    asked = client.get(f"/v1/images/{uploaded['id']}", headers={"Accept": "image/avif,image/*,*/*;q=0.8"})
    for content in (client.get(f"/v1/images/{uploaded['id']}/content"), asked):
        assert content.content == coffee_jpeg
        assert content.headers["content-type"] == "image/jpeg"


def test_it_can_be_erased_without_sending_it_again(client, uploaded, dot_png):
    response = client.post(
        "/v1/erase", files={"mask": dot_png}, data={"image_id": uploaded["id"], "model": "telea"}
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/jpeg"


def test_once_deleted_it_is_gone(client, uploaded):
    assert client.delete(f"/v1/images/{uploaded['id']}").status_code == 204
    for method, path in (("GET", ""), ("GET", "/content"), ("GET", "/preview"), ("DELETE", "")):
        response = client.request(method, f"/v1/images/{uploaded['id']}{path}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_after_its_time_it_is_gone_and_so_is_its_file(client, uploaded, settings, dot_png):
    (file,) = settings.data_dir.glob("images/*/*")
    past = time.time() - 61
    os.utime(file, (past, past))

    response = client.post("/v1/erase", files={"mask": dot_png}, data={"image_id": uploaded["id"]})
    client.app.state.rooms.images.sweep()

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert list(settings.data_dir.glob("images/*/*")) == []


@pytest.mark.parametrize("strange", ["x", "../../etc/passwd", "*", "a" * 22, "%2e%2e%2fsecret", "A" * 5000])
def test_a_strange_id_is_not_found(client, uploaded, strange, dot_png):
    response = client.post("/v1/erase", files={"mask": dot_png}, data={"image_id": strange})
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert client.get(f"/v1/images/{strange}").status_code == 404


def test_a_broken_picture_is_refused_at_the_upload(client, coffee_jpeg, settings):
    response = client.post("/v1/images", files={"image": coffee_jpeg[: len(coffee_jpeg) // 2]})

    assert (response.status_code, response.json()["code"]) == (400, "invalid_image")
    assert list(settings.data_dir.glob("images/*/*")) == []


def test_a_preview_shows_what_browsers_cannot(client):
    deep = np.zeros((100, 5000, 4), np.uint16)
    deep[:, :2500] = (60_000, 30_000, 0, 65535)
    from magic_eraser.imaging.codec import encode
    from magic_eraser.imaging.photo import Photo

    tiff = encode(Photo.from_array(deep), format="tiff").data
    facts = client.post("/v1/images", files={"image": tiff}).json()

    response = client.get(f"/v1/images/{facts['id']}/preview")

    shown = np.asarray(Image.open(io.BytesIO(response.content)))
    assert response.headers["content-type"] == "image/jpeg"
    assert shown.shape == (82, 4096, 3)
    assert np.abs(shown[40, 1000].astype(int) - (60_000 >> 8, 30_000 >> 8, 0)).max() <= 3
    assert shown[40, 4000].min() >= 252  # transparent shows as white


def test_another_tenant_sees_nothing(client, uploaded):
    from magic_eraser.errors import NotFound

    images = client.app.state.rooms.images
    assert images.get("local", uploaded["id"]).id == uploaded["id"]
    with pytest.raises(NotFound):
        images.get("somebody else", uploaded["id"])

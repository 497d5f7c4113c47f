"""Bodies at every door: files and base64, and what is wrong with them said in each door's own shape."""

from __future__ import annotations

import base64
import gc
from pathlib import Path

import pytest

from magic_eraser.api.body.base64_text import LONGEST

LONG_BROKEN = "*" * (LONGEST + 1)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def open_files() -> int:
    """Temporary files that are open, without the collector's help: their memory and disk must come back at once."""
    links = (link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return sum("(deleted)" in str(link) for link in links)


@pytest.fixture
def large_png(encode) -> bytes:
    """Above what a spool holds in memory, and no more than a million pixels."""
    import numpy as np

    return encode(np.random.default_rng(1).integers(0, 256, (700, 700, 3), np.uint8))


@pytest.fixture
def large_hole(encode) -> bytes:
    import numpy as np

    mask = np.zeros((700, 700), np.uint8)
    mask[100:120, 100:120] = 255
    return encode(mask)


def test_a_picture_on_the_disk_gives_what_one_in_memory_gives(client, large_png, large_hole, decode):
    body = {"model": "telea", "image": encoded(large_png), "mask": encoded(large_hole)}
    by_json = client.post("/v1/erase", json=body)
    files = {"image": large_png, "mask": large_hole}
    by_form = client.post("/v1/erase", files=files, data={"model": "telea"})
    kept = client.post("/v1/images", files={"image": large_png}).json()
    by_id = client.post(
        "/v1/erase", files={"mask": large_hole}, data={"model": "telea", "image_id": kept["id"]}
    )

    assert by_json.status_code == by_form.status_code == by_id.status_code == 200
    assert by_json.content == by_form.content == by_id.content
    assert client.get(f"/v1/images/{kept['id']}/content").content == large_png


def test_pictures_as_texts_of_a_form(client, large_png, large_hole):
    data = {"model": "telea", "image": encoded(large_png), "mask": encoded(large_hole)}
    files = {"dilate": (None, "2")}
    assert client.post("/v1/erase", data=data, files=files).status_code == 200


@pytest.mark.parametrize("broken", ["*", LONG_BROKEN, "A" * 5000 + "*", "A" * 200_001])
def test_broken_base64_is_the_fault_of_its_field(client, dot_png, coffee_png, broken):
    image = client.post("/v1/erase", json={"image": broken, "mask": encoded(dot_png)})
    mask = client.post("/v1/erase", json={"image": encoded(coffee_png), "mask": broken})
    assert (image.status_code, image.json()["code"]) == (400, "invalid_image")
    assert (mask.status_code, mask.json()["code"]) == (400, "invalid_mask")


def test_the_other_doors_say_it_in_their_own_shape(client, dot_png):
    guide = client.post("/api/predict", json={"data": [LONG_BROKEN, encoded(dot_png)]})
    iopaint = client.post("/api/v1/inpaint", json={"image": LONG_BROKEN, "mask": encoded(dot_png)})
    assert (guide.status_code, guide.json()["code"]) == (400, "invalid_image")
    assert (iopaint.status_code, iopaint.json()["error"]) == (400, "InvalidImage")


def test_the_other_doors_take_pictures_on_the_disk(client, large_png, large_hole):
    image, mask = encoded(large_png), encoded(large_hole)
    assert client.post("/api/predict", json={"data": [image, mask]}).status_code == 200
    assert client.post("/api/v1/inpaint", json={"image": image, "mask": mask}).status_code == 200


def test_a_picture_where_a_word_belongs_is_refused(client, coffee_png, dot_png):
    body = {"image": encoded(coffee_png), "mask": encoded(dot_png)}
    for name in ("model", "prompt", "dilate"):
        answer = client.post("/v1/erase", json={**body, name: encoded(coffee_png)})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{name}")


def test_a_field_that_comes_twice_is_refused(client, coffee_png, dot_png):
    files = [("image", coffee_png), ("mask", dot_png), ("mask", dot_png)]
    answer = client.post("/v1/erase", files=files)
    assert answer.status_code == 422
    assert "comes twice" in answer.json()["detail"]


def test_a_form_that_is_cut_off_is_refused(client, coffee_png):
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    answer = client.post(
        "/v1/erase", content=head + coffee_png, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 422
    assert "last boundary" in answer.json()["detail"]


def test_no_file_stays_open_behind_any_answer(client, large_png, large_hole, coffee_png, slow):
    large, hole, small = encoded(large_png), encoded(large_hole), encoded(coffee_png)
    slow.seconds = 5
    bodies = [
        ({"image": large, "mask": hole, "model": "telea"}, {}, 200),
        ({"image": large, "mask": small}, {}, 400),  # of another size
        ({"image": large, "mask": "*"}, {}, 400),
        ({"image": large, "mask": hole, "model": "x"}, {}, 404),
        ({"image": large, "mask": hole, "feather": -1}, {}, 422),
        ({"image": large[:-200], "mask": hole}, {}, 400),
        ({"image": large, "mask": hole, "model": "slow"}, {"X-Eraser-Deadline": "0.3"}, 504),
    ]
    before = open_files()
    gc.collect()
    gc.disable()
    try:
        for body, headers, status in bodies:
            assert client.post("/v1/erase", json=body, headers=headers).status_code == status, body.keys()
            assert open_files() == before, status
        for path in ("/api/predict", "/api/v1/inpaint"):
            client.post(path, json={"data": [large, small], "image": large, "mask": small})
            assert open_files() == before, path
    finally:
        gc.enable()

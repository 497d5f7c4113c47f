"""A whole app in this process, and a client that sees what a client sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from magic_eraser.api.app import create_app
from magic_eraser.settings import ImageStoreSettings, LimitSettings, QueueSettings, Settings
from slow_model import SlowInpainter, catalog_with


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Small limits, so that each of them is met quickly."""
    return Settings(
        data_dir=tmp_path,
        limits=LimitSettings(max_pixels=1_000_000, max_body_bytes=3_000_000),
        queue=QueueSettings(slots=1, depth=1, deadline_seconds=20),
        images=ImageStoreSettings(ttl_seconds=60),
    )


@pytest.fixture
def slow() -> SlowInpainter:
    return SlowInpainter(seconds=0.3)


@pytest.fixture
def client(settings, slow) -> Iterator[TestClient]:
    app = create_app(settings, catalog=catalog_with(slow))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def erase(client):
    """`erase(image, mask, **fields)`: a multipart POST to /v1/erase."""

    def post(image: bytes | None, mask: bytes | None, headers: dict[str, str] | None = None, **fields):
        given = (("image", image), ("mask", mask))
        files = {name: (name, content) for name, content in given if content is not None}
        return client.post("/v1/erase", files=files, data=fields, headers=headers or {})

    return post

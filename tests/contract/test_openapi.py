"""The OpenAPI document is complete and fresh; tests/integration/test_openapi.py shows that it is true."""

from __future__ import annotations

import json
from pathlib import Path

from magic_eraser.api.app import create_app
from magic_eraser.settings import Settings


def test_every_route_has_a_summary_and_every_failure_the_one_shape(tmp_path):
    document = create_app(Settings(data_dir=tmp_path)).openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            if path.startswith("/v1/"):
                for status, response in operation["responses"].items():
                    if status >= "400":
                        assert list(response["content"]) == ["application/problem+json"], (path, status)


def test_the_committed_document_is_fresh():
    committed = Path(__file__).parents[2] / "docs" / "openapi.json"
    app = create_app(Settings(data_dir=Path("/nonexistent")))
    assert json.loads(committed.read_text(encoding="utf-8")) == app.openapi()

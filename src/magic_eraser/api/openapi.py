"""The OpenAPI document: FastAPI's, with our one shape for failures in place of its own."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from magic_eraser.api.problems import MEDIA_TYPE, Problem

_FRAMEWORKS_OWN = ("HTTPValidationError", "ValidationError")
_COMPATIBLE = ("/api/", "/cleanup/")


def install(app: FastAPI) -> None:
    """Make `app.openapi()` and `/openapi.json` say what the server really answers."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]  # FastAPI's documented way to change the document


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        license_info=app.license_info,
        routes=app.routes,
        servers=[{"url": app.root_path}] if app.root_path else None,
    )
    schemas = document["components"]["schemas"]
    for name in _FRAMEWORKS_OWN:
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _correct(operation["responses"], ours=not path.startswith(_COMPATIBLE))
    return document


def _correct(responses: dict[str, Any], *, ours: bool) -> None:
    """Replace the 422 that FastAPI adds of itself to every route with a parameter."""
    added = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if not added.get("$ref", "").endswith("/HTTPValidationError"):
        return
    if ours:
        schema = {"$ref": "#/components/schemas/Problem"}
        responses["422"] = {"description": "Not as expected", "content": {MEDIA_TYPE: {"schema": schema}}}
    else:
        del responses["422"]

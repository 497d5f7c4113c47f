"""`/docs`: Swagger UI from our own host, so that it works offline and tells nobody who reads it."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

ASSETS = "/docs/assets"
POLICY = (
    "default-src 'none'; script-src 'self' '{script}'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Nothing from another host, and no inline script but the one that starts it: a key is typed into this page."""


def install(app: FastAPI) -> None:
    """Serve the reference at `/docs`; the assets are those of the package `fastapi-offline`."""
    folder = str(files("fastapi_offline") / "static")
    app.mount(ASSETS, StaticFiles(directory=folder), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "").rstrip("/")
        page = get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=f"{app.title}: API",
            swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{root}/static/icon.svg",
        )
        page.headers["Content-Security-Policy"] = POLICY.format(script=_digest_of_script(bytes(page.body)))
        return page


def _digest_of_script(page: bytes) -> str:
    """Of the one inline script, as a policy names it (CSP 3, 2.3.1)."""
    found = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(b"".join(found[:1])).digest()).decode()

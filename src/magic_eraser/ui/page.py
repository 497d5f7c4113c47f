"""The page at `/`: its built files, served with a strict policy."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing from another host, no inline script or style, no text that becomes markup."""
UNFRAMED = "; frame-ancestors 'self'"
"""Where clicks move money, no other site shows us in a frame. Else it may: a Space does."""


def install(app: FastAPI, *, framed: bool = True) -> None:
    """Serve `index.html` at `/` and everything else at `/static`.

    Args:
        framed: whether pages of other sites may show ours within them.
    """
    policy = POLICY if framed else POLICY + UNFRAMED

    async def index(_request: Request) -> FileResponse:
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
        return FileResponse(STATIC / "index.html", headers=headers)

    app.add_route("/", index, include_in_schema=False)  # answers HEAD as well as GET
    app.mount("/static", _Hashed(directory=STATIC), name="static")


class _Hashed(StaticFiles):
    """Files under `assets/` have their content's hash in their name: a browser need never ask for one again."""

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        if Path(full_path).parent.name == "assets":
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

"""What kind of answer a caller asks for by `Accept` (RFC 9110, 12.5.1); where it names neither, a route has its own."""

from __future__ import annotations

from starlette.requests import Request


def prefers_json(request: Request) -> bool:
    """JSON is named and no image type is."""
    return _names(request, "application/json") and not _names(request, "image/")


def prefers_image(request: Request) -> bool:
    """An image type is named and JSON is not."""
    return _names(request, "image/") and not _names(request, "application/json")


def _names(request: Request, kind: str) -> bool:
    return kind in request.headers.get("accept", "").lower()

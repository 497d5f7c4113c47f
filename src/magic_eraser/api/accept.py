"""What kind of answer a caller asks for: by `Accept` (RFC 9110, 12.5.1), where a route has its own if it names neither;
and by `Prefer`."""

from __future__ import annotations

from starlette.requests import Request


def prefers_json(request: Request) -> bool:
    """JSON is named and no image type is."""
    return _names(request, "application/json") and not _names(request, "image/")


def prefers_image(request: Request) -> bool:
    """An image type is named and JSON is not."""
    return _names(request, "image/") and not _names(request, "application/json")


def prefers_async(request: Request) -> bool:
    """Whether the client would rather have a job: `Prefer: respond-async` (RFC 7240, 4.1)."""
    wishes = ",".join(request.headers.getlist("prefer")).split(",")
    return any(wish.partition(";")[0].strip().lower() == "respond-async" for wish in wishes)


def _names(request: Request, kind: str) -> bool:
    return kind in request.headers.get("accept", "").lower()

"""Tables as JSON or as CSV, as the caller wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "text/csv"
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}, "description": "JSON, or CSV"}
}


def csv_answer(name: str, text: str, headers: Mapping[str, str]) -> Response:
    """A table as a file to be kept.

    Args:
        name: of the file, without its ending; ASCII letters, digits, `-` and `_`.
        text: see `usage.csv_text`.
        headers: further ones.
    """
    if not text.isascii():
        text = f"\ufeff{text}"  # the mark of UTF-8, without which Excel takes Chinese for Latin
    disposition = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text, media_type=MEDIA_TYPE, headers={**headers, **disposition})


async def _wants_csv(
    request: Request,
    format: Annotated[
        Literal["json", "csv"] | None, Query(description="As `Accept` says where omitted")
    ] = None,
) -> bool:
    if format is not None:
        return format == "csv"
    accept = request.headers.get("accept", "").lower()
    return MEDIA_TYPE in accept and "application/json" not in accept


AsCsv = Annotated[bool, Depends(_wants_csv)]
"""Whether the caller wants CSV: `format=csv`, or `Accept: text/csv`."""

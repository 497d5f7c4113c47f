"""Tables as CSV (RFC 4180), for spreadsheets as well as for programs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "text/csv"
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def csv_answer(
    name: str, columns: Sequence[str], rows: Iterable[Mapping[str, object]], headers: Mapping[str, str]
) -> Response:
    """A table as a file to be kept.

    Args:
        name: of the file, without its ending; ASCII letters, digits, `-` and `_`.
        columns: keys of the rows, in their order; they are the first line.
        headers: further ones.
    """
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(columns)
    for row in rows:
        lines.writerow([_cell(row.get(column)) for column in columns])
    disposition = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    content = text.getvalue()
    if not content.isascii():
        content = f"\ufeff{content}"  # the mark of UTF-8, without which Excel takes Chinese for Latin
    return Response(content, media_type=MEDIA_TYPE, headers={**headers, **disposition})


def _cell(value: object) -> str:
    """A text that a spreadsheet would take for a formula gets an apostrophe (OWASP, CSV injection)."""
    text = "" if value is None else str(value)
    if isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


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

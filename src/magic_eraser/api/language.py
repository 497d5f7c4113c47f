"""Which of our two languages a caller reads."""

from __future__ import annotations

from typing import Literal

from starlette.requests import HTTPConnection

Language = Literal["en", "zh"]


def preferred(accept_language: str) -> Language:
    """Chinese where the header (RFC 9110, 12.5.4) ranks it above English, else English."""
    best: tuple[float, Language] = (0.0, "en")
    for item in accept_language.split(","):
        tag, _, parameters = item.strip().partition(";")
        primary = tag.strip().lower().split("-")[0]
        if primary not in ("en", "zh"):
            continue
        weight = _weight(parameters)
        if weight > best[0]:
            best = (weight, "zh" if primary == "zh" else "en")
    return best[1]


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def of(connection: HTTPConnection) -> Language:
    """The language of a request."""
    return preferred(connection.headers.get("accept-language", ""))

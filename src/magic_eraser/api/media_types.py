"""Which of our formats a caller likes best: `Accept` with its weights (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence


def best(accept: str, offers: Sequence[str]) -> str | None:
    """The one with the highest weight, the first of those that weigh the same; None where all are refused.

    Args:
        accept: the header, as it came; everything is welcome where it is empty.
        offers: media types in lower case, ours first.
    """
    ranges = [parsed for part in accept.lower().split(",") if (parsed := _range(part)) is not None]
    if not ranges:
        return offers[0] if not accept.strip() else None
    weights = {offer: _weight(offer, ranges) for offer in offers}
    liked = max(offers, key=lambda offer: weights[offer])
    return liked if weights[liked] > 0 else None


def _weight(offer: str, ranges: list[tuple[str, float]]) -> float:
    """By the range that says most; 0 where none fits."""
    for wanted in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        fitting = [weight for name, weight in ranges if name == wanted]
        if fitting:
            return max(fitting)
    return 0.0


def _range(text: str) -> tuple[str, float] | None:
    """(`image/*`, 0.5) of `image/*; q=0.5`; None for what is no range. Parameters of formats mean nothing here."""
    name, *parameters = (part.strip() for part in text.split(";"))
    if name == "*":  # as Java's own client has it
        name = "*/*"
    if "/" not in name:
        return None
    weight = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            weight = _number(value.strip())
    return name, weight


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0

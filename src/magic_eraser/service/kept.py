"""A result as the cache holds it, and back."""

from __future__ import annotations

from magic_eraser.imaging.codec import Encoded
from magic_eraser.imaging.photo import Notice
from magic_eraser.service.cache import Kept
from magic_eraser.service.request import EraseResult


def to_kept(result: EraseResult) -> Kept | None:
    """None for a result that is not encoded."""
    encoded = result.encoded
    if encoded is None:
        return None
    facts = {
        "format": encoded.format,
        "media_type": encoded.media_type,
        "model": result.model,
        "width": result.width,
        "height": result.height,
        "notices": [notice._asdict() for notice in result.notices],
    }
    return Kept(encoded.data, facts)


def from_kept(kept: Kept, seconds: dict[str, float]) -> EraseResult:
    """The result again, a hit.

    Args:
        seconds: what looking it up took, by stage.
    """
    facts = kept.facts
    notices = tuple(Notice(**notice) for notice in facts["notices"])
    return EraseResult(
        photo=None,
        encoded=Encoded(kept.data, facts["format"], facts["media_type"], notices),
        model=facts["model"],
        cache="hit",
        width=facts["width"],
        height=facts["height"],
        seconds=seconds,
        notices=notices,
    )

"""The content filter's place in the path."""

from __future__ import annotations

from typing import Protocol

from magic_eraser.imaging.photo import Photo
from magic_eraser.models.watch import Watch


class ContentFilter(Protocol):
    """Looks at a picture before it is worked on.

    Attributes:
        id: of the filter and of how strict it is: a result that another one let pass is not taken from the cache.
    """

    id: str

    async def check(self, photo: Photo, watch: Watch) -> None:
        """Raise `ContentBlocked` where the picture must not be worked on."""
        ...


class NullFilter:
    """Looks at nothing."""

    id = "null"

    async def check(self, photo: Photo, watch: Watch) -> None:
        return None

"""Magic Eraser: give it a photograph and a mask, get the photograph back without the object.

from magic_eraser import erase
result = erase(image, mask)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magic_eraser.version import __version__

if TYPE_CHECKING:
    from magic_eraser.library import Eraser, erase

__all__ = ["Eraser", "__version__", "erase"]


def __getattr__(name: str) -> Any:
    """Import numpy, OpenCV and Pillow only when the library is used: the command line starts without them."""
    if name in ("Eraser", "erase"):
        from magic_eraser import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Results kept by what they were made from: nowhere, in memory, in files or in Redis."""

from __future__ import annotations

from magic_eraser.service.cache.port import Cache, Kept, NullCache

__all__ = ["Cache", "Kept", "NullCache"]

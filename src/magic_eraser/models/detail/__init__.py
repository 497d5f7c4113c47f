"""Detail of the picture itself for fills that a network made at a smaller size.

Reading order: `restore` (the whole), `levels` (the picture at several sizes), `match` (what looks alike), `field`
(offsets from one size to the next), `trust` (how much of what was found is taken).
"""

from magic_eraser.models.detail.restore import restore

__all__ = ["restore"]

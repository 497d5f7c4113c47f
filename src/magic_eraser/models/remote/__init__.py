"""A model that is another server: one of ours, or IOPaint.

`card` says what it is, `load` makes contact. Nothing heavy is imported before that.
"""

from magic_eraser.models.remote.inpainter import RemoteInpainter, card, load

__all__ = ["RemoteInpainter", "card", "load"]

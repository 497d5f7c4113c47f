"""The embedded engine: a content-aware fill in numpy and OpenCV that needs no weights and no network.

Read in this order: `engine` (which part goes which way), `fill` (coarse to fine), then one idea per file: `features`,
`pyramid`, `windows`, `start`, `match`, `prior`, `rarity`, `vote`, `seams`, `solve`; for large pictures `shrink`,
`tidy`, `straighten`, `jumps`, `transfer`, `quads`, `edge`; `thin` and `smooth` are the ways round patches.
"""

from magic_eraser.models.patch.engine import PatchInpainter

__all__ = ["PatchInpainter"]

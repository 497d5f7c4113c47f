"""The embedded engine: a content-aware fill in numpy and OpenCV that needs no weights and no network.

Read in this order: `engine` (which part goes which way), `fill` (coarse to fine), then one idea per file. Structure:
`contours`, `joins`, `bands`, `guide`. Patches: `features`, `pyramid`, `windows`, `start`, `components`, `project`,
`match`, `prior`, `rarity`, `vote`, `seams`, `solve`, and `parallel` for the cores. For large pictures `shrink`, `tidy`,
`straighten`, `jumps`, `quads`, `transfer`, `edge`. The ways round patches are `thin` and `smooth` (`surface`, `noise`).
"""

from magic_eraser.models.patch.engine import PatchInpainter

__all__ = ["PatchInpainter"]

"""How dear an offset is before any pixel is compared, in units of squared feature difference."""

from __future__ import annotations

DOWN = 4000.0
ACROSS = 400.0
"""Cost of (dy / side)^2 and (dx / side)^2: copies along the horizon are cheap, so light and perspective come right.
Four times as much repeats what stands next door in horizontal smears; none lets sky grow out of trousers."""

NEAR = 30.0
NEAR_SHARE = 1.0 / 8.0
"""Cost of no offset at all, falling to nothing at an eighth of the side: without it a soft edge of the hole repeats
itself inwards, in streaks (forest of photo 18, sand of 14); 200 over a sixth leaves seams (1.30 against 1.24)."""

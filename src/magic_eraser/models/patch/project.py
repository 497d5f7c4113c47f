"""Numbers of the patches of one level, computed in bulk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.patch.components import bases, project
from magic_eraser.models.patch.guide import Guide, Pull
from magic_eraser.models.patch.parallel import Crew, pieces
from magic_eraser.models.patch.pyramid import Level
from magic_eraser.models.patch.windows import (
    AREA,
    PAD,
    REACH,
    Floats,
    Positions,
    columns,
    patches_at,
    rows,
    windows,
)

HEAD = 8  # numbers of the first look; it refuses most candidates, and rows of 32 bytes fetch fastest
FINENESS = np.float32(20.0)
"""Steps of a source's stored number in one unit of squared difference's root: int16 takes half the memory, and errs by
0.003 where distances are some hundred."""
LARGEST = np.int16(32767)  # number of what is no source: its distance is beyond any other
Shorts = NDArray[np.int16]
CHUNK = 8192
BAND = 4 * CHUNK  # rows above and below are computed twice


class Projector:
    """Numbers of the sources of a level, once, and of its targets as the hole's colours change.

    Args:
        numbers: of a patch, more than HEAD; of_row: of each of its seven rows.
        samples: source patches to learn from.
        guide: what the targets' means are drawn to.
    """

    def __init__(
        self,
        level: Level,
        numbers: int,
        of_row: int,
        samples: int,
        rng: np.random.Generator,
        crew: Crew,
        guide: Guide | None = None,
    ) -> None:
        self._level = level
        self._crew = crew
        at = level.source_at()
        chosen = rng.choice(at, min(samples, len(at)), replace=False)
        patches = patches_at(windows(level.features), chosen, level.stride)
        self._first, second = bases(patches, numbers, of_row)
        self._second = second * FINENESS
        each = np.tile(np.eye(level.features.shape[2], dtype=np.float32), AREA)
        self._pull = None if guide is None else Pull(guide, level, project(each, self._first, self._second))
        self._corner = REACH * level.stride + REACH
        self._strips = rows(level.features)
        # Rows of target patches: those that begin in the box of the targets, moved by a patch's reach.
        y = level.targets // level.stride
        x = level.targets - y * level.stride
        self._top, self._left = int(y[0]) - REACH, int(x.min()) - REACH
        height, self._width = int(y[-1]) + REACH + 1 - self._top, int(x.max()) - REACH + 1 - self._left
        self._corners = (y - REACH - self._top) * self._width + (x - REACH - self._left)
        self._rows = np.empty((height * self._width, of_row), np.float32)
        crew.each(
            lambda part: self._refresh(np.arange(part.start, part.stop)), pieces(len(self._rows), CHUNK)
        )
        painted = np.pad(level.hole, PAD, mode="edge")  # as `Level.extend_border` does
        for step in (1, 2, 3):  # 1 + 2 + 3 = 6 pixels to the left
            painted[:, :-step] |= painted[:, step:]
        box = (slice(self._top, self._top + height), slice(self._left, self._left + self._width))
        self._stale = np.flatnonzero(painted[box])

    def _refresh(self, at: Positions) -> None:
        """Compute the rows (n,) of the targets' box anew."""
        y = at // self._width
        place = at + (y + self._top) * self._level.stride + self._left - y * self._width
        self._rows[at] = self._strips[place] @ self._first

    def _fill_rows(self, out: Floats, low: int, part: slice) -> None:
        """Numbers of the rows that begin at low + part, into out[part]."""
        strips = self._strips[low + part.start : low + part.stop]
        np.matmul(strips.reshape(-1, len(self._first)), self._first, out=out[part])

    def sources(self) -> tuple[Shorts, Shorts]:
        """By flat position: the first numbers (N, 8), LARGEST where there is no source, and the others (N, k)."""
        level = self._level
        good = level.sources
        numbers = self._second.shape[1]
        head = np.full((len(good), HEAD), LARGEST, np.int16)
        tail = np.zeros((len(good), numbers - HEAD), np.int16)
        places = np.flatnonzero(good)
        first, last = int(places[0]), int(places[-1]) + 1
        below = 2 * REACH * level.stride

        def project(part: slice) -> None:
            low = first + part.start
            if not good[low : first + part.stop].any():
                return
            strips = np.empty((part.stop - part.start + below, self._first.shape[1]), np.float32)
            for piece in pieces(len(strips), CHUNK):
                self._fill_rows(strips, low - self._corner, piece)
            stacks = columns(strips, level.stride)
            for piece in pieces(len(stacks), CHUNK):
                found = stacks[piece].reshape(-1, len(self._second)) @ self._second
                np.rint(found, out=found)
                np.clip(found, -LARGEST, LARGEST, out=found)
                here = slice(low + piece.start, low + piece.stop)
                np.copyto(head[here], found[:, :HEAD], where=good[here, None], casting="unsafe")
                tail[here] = found[:, HEAD:]

        self._crew.each(project, pieces(last - first, BAND))
        return head, tail

    def targets(self) -> tuple[Floats, Floats]:
        """Numbers float32 (T, 8) and (T, k) of all targets, in the sources' steps, of the colours as they are now."""
        count = len(self._corners)
        head = np.empty((count, HEAD), np.float32)
        tail = np.empty((count, self._second.shape[1] - HEAD), np.float32)
        stacks = columns(self._rows, self._width)
        pull = None if self._pull is None else self._pull.rows()

        def project(part: slice) -> None:
            found = stacks[self._corners[part]].reshape(part.stop - part.start, -1) @ self._second
            if pull is not None:
                found += pull[part]
            head[part] = found[:, :HEAD]
            tail[part] = found[:, HEAD:]

        self._crew.each(lambda part: self._refresh(self._stale[part]), pieces(len(self._stale), CHUNK))
        self._crew.each(project, pieces(count, CHUNK))
        return head, tail

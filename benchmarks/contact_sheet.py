"""One picture that shows a photograph with its hole outlined and what each method made of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fill_metrics import Image, Mask

COLUMNS = 3
BAR = 24  # rows of a label
GAP = 4
NEAR = 640  # longest side of an enlarged panel


def write_sheets(stem: Path, image: Image, hole: Mask, fills: Mapping[str, Image]) -> None:
    """The original and the fills by label, three to a row: STEM.png at full size, STEM-near.png the hole enlarged."""
    shown = {"original": outlined(image, hole), **fills}
    _write(stem.with_name(f"{stem.name}.png"), shown)
    left, top, width, height = cv2.boundingRect(hole.view(np.uint8))
    margin = max(16, max(width, height) // 4)
    box = (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left - margin), left + width + margin),
    )
    times = NEAR / max(hole[box].shape)
    if times >= 1.25:
        near = {
            name: cv2.resize(fill[box], None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
            for name, fill in shown.items()
        }
        _write(stem.with_name(f"{stem.name}-near.png"), near)


def _write(path: Path, shown: Mapping[str, NDArray[Any]]) -> None:
    panels = [_panel(name, picture) for name, picture in shown.items()]
    blank = np.full_like(panels[0], 255)
    panels += [blank] * (-len(panels) % COLUMNS)
    rows = [np.hstack(panels[first : first + COLUMNS]) for first in range(0, len(panels), COLUMNS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def outlined(image: Image, hole: Mask) -> Image:
    """A copy with the hole's outline in red on white, so that it shows on any ground."""
    contours, _ = cv2.findContours(hole.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    out = image.copy()
    for colour, width in (((255, 255, 255), 3), ((255, 0, 0), 1)):
        cv2.drawContours(out, contours, -1, colour, width)
    return out


def _panel(label: str, picture: NDArray[Any]) -> NDArray[np.uint8]:
    bar = np.full((BAR, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, label, (4, BAR - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return np.pad(np.vstack([bar, picture]), ((0, GAP), (0, GAP), (0, 0)), constant_values=255)

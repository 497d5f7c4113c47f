"""`magic-eraser bench`: how fast this machine erases."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

EXAMPLE = "Example: magic-eraser bench --model patch --json"
RUNS = 3
SIZES = ((512, 512, 96), (4000, 3000, 300))
"""Width, height and side of the hole, pixels."""


def bench(
    model: Annotated[
        list[str] | None, typer.Option(help="A model; may be given several times. All where not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Time every model on made pictures: decoding, erasing and encoding, median of three after a warm-up."""
    from magic_eraser.library import Eraser
    from magic_eraser.models.catalog import CATALOG, find

    names = model or list(CATALOG)
    for name in names:
        find(name, CATALOG)
    rows: list[dict[str, Any]] = []
    with Eraser() as eraser:
        for width, height, hole in SIZES:
            image, mask = _picture(width, height), _mask(width, height, hole)
            facts = {"width": width, "height": height, "hole": hole}
            rows.extend({"model": name, **facts, **_time(eraser, image, mask, name)} for name in names)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    typer.echo(f"{'model':10} {'picture':12} {'hole':>6} {'seconds':>8} {'of it CPU':>10}")
    for row in rows:
        size = f"{row['width']}x{row['height']}"
        typer.echo(
            f"{row['model']:10} {size:12} {row['hole']:>6} {row['seconds']:8.2f} {row['cpu_seconds']:10.2f}"
        )


def _time(eraser: Any, image: bytes, mask: bytes, model: str) -> dict[str, float]:
    wall, cpu = [], []
    for run in range(RUNS + 1):
        start, spent = time.monotonic(), time.process_time()
        eraser(image, mask, model=model)
        if run:
            wall.append(time.monotonic() - start)
            cpu.append(time.process_time() - spent)
    return {"seconds": round(sorted(wall)[RUNS // 2], 3), "cpu_seconds": round(sorted(cpu)[RUNS // 2], 3)}


def _picture(width: int, height: int) -> bytes:
    """A JPEG with soft shapes, edges and grain, the same at every call."""
    import cv2
    import numpy as np

    from magic_eraser.imaging.codec import encode
    from magic_eraser.imaging.photo import Photo

    rng = np.random.default_rng(7)
    soft = cv2.resize(rng.random((12, 16, 3), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    rows = np.arange(height, dtype=np.float32)[:, None, None]
    stripes = 0.1 * np.sin(rows / 9) * (soft[..., :1] > 0.5)
    grain = rng.standard_normal((height, width, 1), np.float32) * 0.02
    pixels = np.clip((soft * 0.8 + stripes + grain) * 255, 0, 255).astype(np.uint8)
    return encode(Photo.from_array(pixels), format="jpeg", quality=92).data


def _mask(width: int, height: int, hole: int) -> bytes:
    import cv2
    import numpy as np

    from magic_eraser.imaging.codec import encode
    from magic_eraser.imaging.photo import Photo

    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (hole // 2, hole // 2), 0, 0, 360, 255, -1)
    return encode(Photo.from_array(mask), format="png").data

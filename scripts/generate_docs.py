"""Write the parts of docs/ that the code knows best; with --check, fail where they are stale.

python scripts/generate_docs.py [--check]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic_core import PydanticUndefined

from magic_eraser.api.app import create_app
from magic_eraser.errors import error_types
from magic_eraser.models.catalog import CATALOG
from magic_eraser.settings import Settings, fields
from magic_eraser.telemetry.metrics import Metrics

DOCS = Path(__file__).parents[1] / "docs"
NOTE = "<!-- Written by scripts/generate_docs.py; change the code, then run `make docs`. -->\n\n"


def settings() -> str:
    """docs/settings.md"""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in fields():
        rows.append(f"| `{name}` | {_default(name, field)} | {field.description} |")
    return (
        "# Settings\n\n"
        + NOTE
        + "Environment variables; an `ERASER_*` variable that is not in this list stops the start and names the\n"
        "nearest right one. Sizes are bytes, times are seconds.\n\n" + "\n".join(rows) + "\n"
    )


def _default(name: str, field: Any) -> str:
    shown = {
        "ERASER_DATA_DIR": "the user's data folder",
        "ERASER_SERVER__HOST": "`127.0.0.1`",
        "ERASER_SERVER__PORT": "`7860`",
        "ERASER_WEIGHTS__DIR": "`models` in the user's cache folder",
        "ERASER_WEIGHTS__HF_ENDPOINT": "none",
        "ERASER_WEIGHTS__HF_TOKEN": "none",
    }
    if name in shown:
        return shown[name]
    value = field.default
    if value is PydanticUndefined:
        raise ValueError(f"{name} has a made default: say in _default how to show it")
    if value in (None, (), ""):
        return "none"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def errors() -> str:
    """docs/errors.md"""
    rows = ["| status | code | what happened | the way out |", "|---|---|---|---|"]
    rows += [f"| {kind.status} | `{kind.code}` | {kind.title} | {kind.hint} |" for kind in error_types()]
    return (
        "# Errors\n\n"
        + NOTE
        + "Every failure is `application/problem+json` (RFC 9457) with these members: `type`, `title`, `status`,\n"
        "`detail`, `hint`, `instance`, `code`, `request_id`, and where they apply `retry_after` (seconds, the same as the\n"
        "`Retry-After` header) and `errors` (`[{pointer, message}]`). `code` is stable; sentences may change and come in\n"
        "English or Chinese by `Accept-Language`.\n\n" + "\n".join(rows) + "\n"
    )


def metrics() -> str:
    """docs/metrics.md"""
    known = Metrics()
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for value in vars(known).values():
        if isinstance(value, CollectorRegistry):
            continue
        name, kind, labels, text = value._name, value._type, value._labelnames, value._documentation
        full = f"{name}_total" if kind == "counter" else name
        rows.append(f"| `{full}` | {kind} | {', '.join(labels) or 'none'} | {text} |")
    return (
        "# Metrics\n\n"
        + NOTE
        + "`GET /metrics`, Prometheus text format; beside these the usual `process_*` and `python_info`. No user, key or\n"
        "free text is ever in a label.\n\n" + "\n".join(rows) + "\n"
    )


def models() -> str:
    """docs/models.md"""
    rows = ["| id | what it is for | speed | quality | licence | from |", "|---|---|---|---|---|---|"]
    for entry in CATALOG.values():
        card = entry.card
        rows.append(
            f"| `{card.id}` | {card.title} | {card.speed} | {card.quality} | {card.licence} | {card.source} |"
        )
    return (
        "# Models\n\n"
        + NOTE
        + "`auto`, the default, divides a mask: its thin pieces (scratches, dust, thin text) go to `telea`, the rest to `patch`.\nThe answer names `patch` then, and `telea` where all of it was thin. How `patch` works: [engine.md](engine.md).\n\n"
        + "\n".join(rows)
        + "\n"
    )


def openapi() -> str:
    """docs/openapi.json"""
    app = create_app(Settings(data_dir=Path("/nonexistent")))
    return json.dumps(app.openapi(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "errors.md": errors,
    "metrics.md": metrics,
    "models.md": models,
    "openapi.json": openapi,
}


def main() -> int:
    stale = []
    for name, make in PARTS.items():
        path, text = DOCS / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/{name}")
    if stale and "--check" in sys.argv:
        print(f"stale: {', '.join(stale)}; run make docs")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

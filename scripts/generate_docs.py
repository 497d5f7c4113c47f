"""Write the parts of docs/ that the code knows best; with --check, fail where they are stale.

python scripts/generate_docs.py [--check]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic_core import PydanticUndefined

from magic_eraser.api.app import create_app
from magic_eraser.errors import error_types
from magic_eraser.models.card import ModelCard
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.download_faults import readable
from magic_eraser.models.routing import AFFORDABLE, FOR_SCARCE, FOR_THIN, PREFERENCE, SCARCE
from magic_eraser.settings import Settings, fields
from magic_eraser.telemetry.metrics import Metrics

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
FIGURES, END = (
    "<!-- Figures, by scripts/generate_docs.py from benchmarks/results. -->",
    "<!-- End of the figures. -->",
)
NOTE = "<!-- Written by scripts/generate_docs.py; change the code, then run `make docs`. -->\n\n"


def settings() -> str:
    """docs/settings.md"""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in fields():
        text = " ".join(field.description.split())  # one line, or the table ends there
        rows.append(f"| `{name}` | {_default(name, field)} | {text} |")
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


SPEED = (
    "Speed is that of a 512 x 512 picture on one core: instant below 0.1 s, fast below 1 s, moderate seconds, slow\n"
    "many seconds. Steps are those of a diffusion model's sampler where a request names none."
)
NEED = (
    "What each needs: an extra of the package, a download, memory once it is loaded. Larger crops are shrunk to the\n"
    "size that it works at. How to get weights, and how to add a model of your own: [weights.md](weights.md). How\n"
    "networks run, and what to set: [neural.md](neural.md)."
)


def models() -> str:
    """docs/models.md"""
    cards = [entry.card for entry in CATALOG.values()]
    choose = ["| id | what it is for | speed | quality | steps | licence |", "|---|---|---|---|---|---|"]
    need = ["| id | extra | download | memory, MiB | works at, px |", "|---|---|---|---|---|"]
    for card in cards:
        licence = f"{card.licence}, to be accepted" if card.must_accept else card.licence
        choose.append(
            f"| `{card.id}` | {card.title} | {card.speed} | {card.quality} | {card.steps or '-'} | {licence} |"
        )
        size = f"{card.working_size}, {card.best_size} at best" if card.best_size else card.working_size
        need.append(
            f"| `{card.id}` | {f'`{card.extra}`' if card.extra else '-'} | {_download(card)} "
            f"| {card.memory_mb or '-'} | {size or '-'} |"
        )
    return "\n\n".join(
        (
            "# Models",
            NOTE.strip(),
            _auto(),
            SPEED,
            "\n".join(choose),
            NEED,
            "\n".join(need),
            "Where they come from:",
            "\n".join(f"- `{card.id}`: {card.source}." for card in cards) + "\n",
        )
    )


def _auto() -> str:
    """What `auto` does, by the constants that say so."""
    usual, scarce = (", ".join(f"`{name}`" for name in order) for order in (PREFERENCE, FOR_SCARCE))
    named = ", ".join(f"`{name}`" for name in CATALOG if name not in PREFERENCE)
    return (
        "`auto`, the default, divides a mask. Its thin pieces (scratches, dust, thin text) go to "
        f"`{FOR_THIN[0]}`. The rest goes to\nthe first of these that can be used here: {usual}.\n"
        f"Where more than {100 * SCARCE:.0f} % of a hole's surroundings is hole, there is little to copy, and the order is {scarce}.\n"
        f"Where there is a deadline, a network that is expected to take more than {100 * AFFORDABLE:.0f} % of the time left is "
        "passed over. The answer\nnames the last model that ran. If the best one cannot be had, the next one fills the "
        f"hole, with the notice\n`fell_back`. By name only: {named}, and models of your own. How `patch` works: "
        "[engine.md](engine.md)."
    )


def _download(card: ModelCard) -> str:
    if not card.weights:
        return "-"
    known = readable(sum(file.size for file in card.weights))
    return known if all(file.size for file in card.weights) else f"over {known}"


def neural() -> str:
    """docs/neural.md"""
    return _with_figures(
        "neural.md", *_lama_rows(), *_migan_rows(), *_request_rows(), *_detail_rows(), *_memory_rows()
    )


def load() -> str:
    """docs/load.md, with the figures of what was measured: the soak takes many minutes."""
    parts = {
        "load": _load_rows,
        "cache_hit": _kept_rows,
        "fairness": _fair_rows,
        "jobs_kill": _kill_rows,
        "soak": _soak_rows,
    }
    found = [rows for name, rows in parts.items() if (RESULTS / f"{name}.json").exists()]
    return _with_figures("load.md", *(row for rows in found for row in rows()))


def _with_figures(name: str, *rows: str) -> str:
    """A document with the table between its two marks; the rest is written by hand."""
    before, _, rest = (DOCS / name).read_text(encoding="utf-8").partition(FIGURES)
    after = rest.partition(END)[2]
    return (
        f"{before}{FIGURES}\n"
        + "\n".join(["| | figure | beside |", "|---|---|---|", *rows])
        + f"\n{END}{after}"
    )


def _result(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _lama_rows() -> Iterator[str]:
    for row in _result("lama_cpu")["rows"]:
        cores = f"{row['threads']} core{'s' * (row['threads'] > 1)}"
        shown = {
            "float32_balanced": "float32",
            "bfloat16_balanced": "bfloat16",
            "bfloat16_fast": "bfloat16, `fast`",
        }
        ratios = ", ".join(f"{row['times'][key]['wall_ratio']:.2f} ({name})" for key, name in shown.items())
        yield f"| `lama`, {row['side']} px, {cores} | {ratios} | the published TorchScript, float32 |"


def _migan_rows() -> Iterator[str]:
    for threads in (1, 2):
        times = _result("migan_cpu")[f"{threads} threads"]
        ratios = ", ".join(
            f"{times[f'ours {kind}']['ratio_cpu']:.2f} ({kind})" for kind in ("float32", "bfloat16")
        )
        yield f"| `migan`, {threads} core{'s' * (threads > 1)} | {ratios} | the published TorchScript, float32 |"


def _request_rows() -> Iterator[str]:
    if not (RESULTS / "neural.json").exists():  # it takes many minutes
        return
    figures = _result("neural")
    for key, name in (("hole_300px", "300 px"), ("hole_2500px", "2,500 px")):
        ratio = f"{figures[key]['ratio_of_seconds']:.2f}"
        yield f"| `lama`, 12 MP JPEG, hole of {name}, all of a request | {ratio} | IOPaint's way, same weights |"


def _detail_rows() -> Iterator[str]:
    for name, figures in _result("detail")["12mp"].items():
        seconds = figures["cpu_seconds"]
        ratio = f"{seconds['restore'] / seconds['enlarge']:.1f} ({seconds['restore']:.1f} s)"
        yield f"| detail for a hole of {name.replace('2500', '2,500').replace('1000', '1,000')} | {ratio} | enlarging alone |"


def _memory_rows() -> Iterator[str]:
    figures = _result("residency")["unloads_of_lama"]
    most = max(figures["mib_above_start_after_each_unload"])
    yield (
        f"| `lama` ready; let go, at most of {figures['rounds']} times | {figures['mib_above_start_while_ready']}; "
        f"{most} MiB | all processes at the start |"
    )


def _load_rows() -> Iterator[str]:
    figures = _result("load")
    for name in ("jpeg", "png"):
        row = figures[name]
        yield (
            f"| {figures['clients']} clients, {name.upper()}: requests a second | {row['requests_per_second']} "
            f"({row['ratio']:.2f}) | {row['bare_loop_per_second']}, a bare loop in each core's process |"
        )
        yield f"| their answers, p50 and p95 | {row['p50_seconds']:.2f} s, {row['p95_seconds']:.2f} s | |"
    crowd = figures["overload"]
    answers = ", ".join(f"{count:,} x {status}" for status, count in crowd["answers"].items())
    yield (
        f"| {crowd['clients']} clients, twice what it can do, {crowd['seconds']:.0f} s | {answers} "
        f"| {crowd['sent_per_second']:.0f} sent a second |"
    )
    yield (
        f"| p95 of those accepted; of refusals | {crowd['accepted']['p95_seconds']:.2f} s; "
        f"{1000 * crowd['refused']['p95_seconds']:.0f} ms | the deadline, {crowd['deadline_seconds']:.0f} s |"
    )
    yield f"| growth of its memory meanwhile | {crowd['rss_slope_mib_per_minute']:.1f} MiB a minute | |"


def _kept_rows() -> Iterator[str]:
    figures = _result("cache_hit")
    for backend in ("file", "memory", "redis"):
        row = figures[f"{backend}, jpeg"]
        yield (
            f"| a kept result of 1 MP, `{backend}`, p50 and p95 | {1000 * row['p50_seconds']:.1f} ms, "
            f"{1000 * row['p95_seconds']:.1f} ms | {1000 * row['miss_seconds']:.0f} ms, made anew |"
        )


def _fair_rows() -> Iterator[str]:
    figures = _result("fairness")
    yield (
        f"| a request beside another's {figures['queued_by_another']} in the queue: delay at most "
        f"| {figures['longest_delay_in_slots']:.1f} slots' time | alone |"
    )


def _kill_rows() -> Iterator[str]:
    figures = _result("jobs_kill")
    for key, name in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        row = figures[key]
        yield (
            f"| a job of {row['items']:,} through {len(row['done_at_each_kill'])} `kill -9`, {name} "
            f"| {row['succeeded']:,} results, {row['told_twice']} twice, {row['lost']} lost; "
            f"{row['seconds_with_kills']:.0f} s | {row['seconds_undisturbed']:.0f} s undisturbed |"
        )


def _soak_rows() -> Iterator[str]:
    figures = _result("soak")
    faults = sum(figures["faults"].values())
    wrong = sum(found["count"] for found in figures["problems"].values())
    yield (
        f"| soak of {figures['minutes']:.0f} minutes, three servers, {faults} faults | {wrong} problems "
        f"| {figures['requests']:,} requests, {figures['items_accepted']:,} items of jobs |"
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
    "neural.md": neural,
    "load.md": load,
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

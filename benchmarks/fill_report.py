"""Tables of fill figures: a summary by set and method, the sizes one by one, and one run against another."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from common import machine

Row = dict[str, Any]
FIGURES = ("sharpness", "seam", "swd", "psnr")


def summary(rows: Sequence[Row]) -> list[Row]:
    """One row for each set, with or without truth, and method."""
    groups: dict[tuple[str, bool, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["set"], row["truth"], row["method"]), []).append(row)
    return [_summed(key, group) for key, group in groups.items()]


def _summed(key: tuple[str, bool, str], group: list[Row]) -> Row:
    found: Row = {"set": key[0], "truth": key[1], "method": key[2], "fills": len(group)}
    failed = sum("error" in row for row in group)
    if failed:
        found["failed"] = failed
    for figure in FIGURES:
        if values := _values(group, figure):
            found[figure] = round(statistics.fmean(values), 3)
    if values := _values(group, "swd"):
        found["swd_median"] = round(statistics.median(values), 2)
    for name in ("cpu", "wall"):
        if values := _values(group, name):
            found[name], found[f"{name}_worst"] = round(statistics.fmean(values), 3), round(max(values), 3)
    for name in ("peak_mib", "gap"):
        if values := _values(group, name):
            found[f"{name}_worst"] = max(values)
    return found


def _values(rows: Iterable[Row], name: str) -> list[float]:
    return [row[name] for row in rows if row.get(name) is not None]


def tables(rows: Sequence[Row]) -> str:
    """Markdown: every set summed, and `sizes` by case."""
    text = _table(
        [
            "set",
            "method",
            "fills",
            "CPU s",
            "worst",
            "MiB",
            "gap s",
            "sharpness",
            "seam",
            "SWD",
            "median",
            "PSNR",
        ],
        [
            [
                f"{row['set']}{'' if row['truth'] else ' (no truth)'}",
                row["method"] + (f" ({row['failed']} failed)" if "failed" in row else ""),
                row["fills"],
                *(row.get(name) for name in ("cpu", "cpu_worst", "peak_mib_worst", "gap_worst")),
                *(row.get(name) for name in ("sharpness", "seam", "swd", "swd_median", "psnr")),
            ]
            for row in summary([row for row in rows if row["set"] != "sizes"])
        ],
    )
    sizes = [row for row in rows if row["set"] == "sizes"]
    names = ("cpu", "wall", "peak_mib", "gap", "sharpness", "seam", "swd", "gap_at")
    by_case = [[row["case"], row["method"], row["seed"], *(row.get(name) for name in names)] for row in sizes]
    if by_case:
        head = [
            "case",
            "method",
            "seed",
            "CPU s",
            "wall s",
            "MiB",
            "gap s",
            "sharpness",
            "seam",
            "SWD",
            "gap at",
        ]
        text += "\n" + _table(head, by_case)
    failures = [
        f"- {row['set']}/{row['case']} {row['method']}: {row['error']}" for row in rows if "error" in row
    ]
    return "\n".join([text, *failures]) if failures else text


def against(rows: Sequence[Row], earlier: Sequence[Row]) -> str:
    """Markdown: by set and method the mean difference to the same fills of an earlier run, with its standard error."""
    before = {_identity(row): row for row in earlier}
    pairs: dict[tuple[str, str], list[tuple[Row, Row]]] = {}
    for row in rows:
        if (other := before.get(_identity(row))) is not None:
            pairs.setdefault((row["set"], row["method"]), []).append((row, other))
    lines = []
    for (kind, method), both in pairs.items():
        times = [(a["cpu"], b["cpu"]) for a, b in both if a.get("cpu") and b.get("cpu")]
        ratio = sum(a for a, _ in times) / sum(b for _, b in times) if times else None
        line = [kind, method, len(both), None if ratio is None else round(ratio, 3)]
        lines.append(line + [_difference(both, figure) for figure in FIGURES])
    return _table(["set", "method", "pairs", "CPU ratio", *FIGURES], lines)


def _identity(row: Row) -> tuple[Any, ...]:
    return row["set"], row["case"], row["method"], row["seed"]


def _difference(both: list[tuple[Row, Row]], figure: str) -> str | None:
    found = [
        a[figure] - b[figure] for a, b in both if a.get(figure) is not None and b.get(figure) is not None
    ]
    if len(found) < 2:
        return None
    error = statistics.stdev(found) / len(found) ** 0.5
    return f"{statistics.fmean(found):+.3f} ± {error:.3f}"


def _table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |\n"

    return line(head) + line(["---"] * len(head)) + "".join(line(cells) for cells in lines)


def write(path: Path, facts: Row, rows: Sequence[Row]) -> None:
    """JSON: the machine, the facts, the summary, and every fill on a line of its own."""
    head = json.dumps({"machine": machine(), **facts, "summary": summary(rows)}, indent=2)
    body = ",\n".join("    " + json.dumps(row) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{head[:-2]},\n  "fills": [\n{body}\n  ]\n}}\n', encoding="utf-8")


def read(path: Path) -> list[Row]:
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))["fills"]
    return rows

"""benchmarks/engine.py as a person runs it, on one case."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_one_case_gives_figures_a_table_and_a_sheet(tmp_path):
    result = tmp_path / "engine.json"
    command = [
        sys.executable, str(ROOT / "benchmarks/engine.py"), "--case", "skimage/astronaut-patch", "--only", "skimage",
        "--methods", "patch,telea,shiftmap", "--seeds", "0,1", "--json", str(result), "--sheets", str(tmp_path),
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BENCH_")}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert "| skimage (no truth) | patch | 2 |" in done.stdout
    assert "shiftmap is left out" in done.stderr
    figures = json.loads(result.read_text(encoding="utf-8"))
    assert figures["left_out"].keys() == {"shiftmap"}
    assert [(row["method"], row["seed"]) for row in figures["fills"]] == [
        ("patch", 0),
        ("patch", 1),
        ("telea", 0),
    ]
    for row in figures["fills"]:
        assert "error" not in row
        assert 0 < row["gap"] <= row["cpu"] + 0.01
        assert 0 < row["peak_mib"] < 500
        assert 0 < row["sharpness"] < 2
    assert (tmp_path / "skimage-astronaut-patch.png").is_file()

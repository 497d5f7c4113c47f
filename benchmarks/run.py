"""Every benchmark, one after the other, each in a process of its own.

python benchmarks/run.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "codec", "serving", "install", "engine", "lama_cpu", "migan_cpu", "detail", "neural", "residency",
    "load", "accounts_load", "cache_hit", "key_check", "quota", "fairness", "jobs_kill",
)  # fmt: skip


def main() -> None:
    folder = Path(__file__).parent
    for name in SCRIPTS:
        result = (
            ["--json", str(folder / "results/engine.json"), "--methods", "all"] if name == "engine" else []
        )
        subprocess.run([sys.executable, str(folder / f"{name}.py"), *result], check=True)


if __name__ == "__main__":
    main()

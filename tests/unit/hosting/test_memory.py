"""What there is, what is taken, and what was freed goes back to the system."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from magic_eraser.hosting.memory import resident_mb, total_mb

PROGRAM = """
from pathlib import Path
from magic_eraser.hosting.memory import give_back

def resident():
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmRSS"))
    return int(line.split()[1]) // 1024

blocks = [bytearray(100_000) for _ in range(2000)]  # 200 MB, each too small for pages of its own
end = bytearray(100_000)  # keeps the heap from shrinking by itself
del blocks
before = resident()
assert give_back()
print(before - resident())
"""


def test_free_pages_of_the_heap_are_returned():
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 100


@pytest.mark.parametrize(
    ("text", "least"), [("536870912\n", 512), ("max\n", None), ("9223372036854771712", None)]
)
def test_a_container_may_have_less_than_its_machine(tmp_path, text, least):
    limit = tmp_path / "memory.max"
    limit.write_text(text)
    whole = psutil.virtual_memory().total >> 20
    assert total_mb((tmp_path / "none", limit)) == (least or whole)


def test_what_a_process_takes_is_what_the_system_says():
    assert resident_mb(os.getpid()) == pytest.approx(psutil.Process().memory_info().rss / (1 << 20), abs=2)
    assert resident_mb(2**30) is None  # there is no such process

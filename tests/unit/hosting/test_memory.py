"""What was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

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

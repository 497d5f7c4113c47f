"""The lock keeps to the table of least versions, and faults are told."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "check_lock.py"
LOCK, TABLE = ((ROOT / "requirements" / name).read_text() for name in ("constraints.txt", "least.toml"))
SMALL = """
[least]
pyjwt = ["2.13.0", "a reason"]
[below]
gradio = ["7", "another"]
[forbidden]
diskcache = "pickles"
"""

spec = importlib.util.spec_from_file_location("check_lock", SCRIPT)
check_lock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_lock)


def test_the_committed_lock_is_good():
    assert check_lock.faults(LOCK, TABLE) == []


@pytest.mark.parametrize(
    ("lock", "says"),
    [
        ("pyjwt==2.12.9", ["pyjwt 2.12.9 is older than 2.13.0: a reason."]),
        ("PyJWT==2.13.0rc1", ["pyjwt 2.13.0rc1 is older than 2.13.0: a reason."]),
        ("pyjwt==2.13.0\ngradio==7.0.1", ["gradio 7.0.1 is not below 7: another."]),
        ("pyjwt==2.13.0\nDiskCache==5.6.3 ; python_version < '4'", ["diskcache must not be there: pickles."]),
        ("gradio==6.31.0", ["pyjwt is pinned nowhere: take it out of the table, or find why it is gone."]),
        ("pyjwt==2.15.1 ; os == 'a'\npyjwt==2.1 ; os == 'b'", ["pyjwt 2.1 is older than 2.13.0: a reason."]),
        ("pyjwt==2.100", []),
    ],
)
def test_each_fault_is_a_sentence(lock, says):
    assert check_lock.faults(lock, SMALL) == says


@pytest.mark.parametrize(
    "line", ["pyjwt>=2.13", "pyjwt", "pyjwt @ https://evil.example/x.whl", "-e .", "a==b=c"]
)
def test_a_line_that_is_no_pin_is_a_fault(line):
    with pytest.raises(ValueError, match="line 2"):
        check_lock.faults(f"idna==3.20\n{line}", SMALL)


@given(st.integers(0, 5), st.integers(0, 30))
def test_versions_are_compared_as_numbers(major, minor):
    assert bool(check_lock.faults(f"pyjwt=={major}.{minor}", SMALL)) == ((major, minor) < (2, 13))


def test_an_old_package_ends_lint_with_1(tmp_path):
    name = next(iter(tomllib.loads(TABLE)["least"]))
    old = tmp_path / "old.txt"
    old.write_text(re.sub(rf"(?m)^{name}==\S+", f"{name}==0.0.1", LOCK))
    done = subprocess.run([sys.executable, SCRIPT, old], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name} 0.0.1 is older than")
    assert "check_lock.py" in (ROOT / "Makefile").read_text()

"""`magic-eraser plans`, as an operator types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

FREE = """\
[plans.free]
title = "Free"
price = "0"
calls_a_day = 10
cost_a_call = "0"
features = ["basic_inpaint"]
models = ["lama", "their-own"]
max_pixels = 4_000_000
"""


def plans(*arguments, **environment) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "magic_eraser", "plans", *map(str, arguments)],
        env={**os.environ, "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done


def test_the_plans_are_shown_to_people_and_to_programs():
    shown = plans("show")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "enterprise     299.00  unlimited    0.02        any  invoice" in shown.stdout
    facts = json.loads(plans("show", "--json").stdout)
    assert [plan["id"] for plan in facts["plans"]] == ["free", "basic", "pro", "enterprise"]
    assert facts["plans"][1]["cost_a_call"] == "0.10"
    assert facts["plans"][3]["calls_a_day"] is None
    assert (facts["default"], facts["timezone"], facts["weights"]["ldm"]) == ("free", "UTC", 3)


def test_a_file_of_ones_own_is_shown(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f'currency = "cny"\n{FREE}')
    shown = plans("show", ERASER_PLANS_FILE=str(path))
    assert "CNY/MONTH" in shown.stdout
    assert "basic" not in shown.stdout.replace("basic_inpaint", "")


def test_a_file_is_checked_and_models_that_are_not_here_are_a_warning(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f"{FREE}\n[model_weights]\nmate = 2\n")
    checked = plans("check", path)
    assert checked.returncode == 0
    assert checked.stdout == f"{path}: 1 plan, free by default; the day begins at midnight UTC.\n"
    assert checked.stderr.splitlines() == [
        f'{path}: warning: plan "free": there is no model "their-own" on this machine.',
        f'{path}: warning: model_weights: there is no model "mate" on this machine.',
    ]
    assert plans("check").returncode == 0


def test_every_fault_of_a_file_is_a_line_that_begins_with_its_place(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FREE.replace('"0"', "0").replace("calls_a_day", "calls_per_day"))
    checked = plans("check", path)
    assert (checked.returncode, checked.stdout) == (1, "")
    assert checked.stderr.splitlines() == [
        f'{path}:1: plan "free": calls_a_day: is missing',
        f'{path}:3: plan "free": price: put the amount in quotes: price = "0"',
        f'{path}:4: plan "free": calls_per_day: there is no such key; did you mean "calls_a_day"?',
        f'{path}:5: plan "free": cost_a_call: put the amount in quotes: cost_a_call = "0"',
    ]
    refused = plans("show", ERASER_PLANS_FILE=str(path))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"magic-eraser: {path}:1: ")


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    checked = plans("check", tmp_path / "none.toml")
    assert checked.returncode == 1
    assert len(checked.stderr.splitlines()) == 1
    assert "No such file" in checked.stderr

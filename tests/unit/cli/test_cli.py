"""The command line, as a person and as a program use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from magic_eraser import __version__
from magic_eraser.cli import erase as cli
from magic_eraser.models.inpainter import Effort


def run(*arguments, cwd=None, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "magic_eraser", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **environment},
        check=False,
        timeout=120,
    )


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def photo(tmp_path, coffee_jpeg, dot_png):
    (tmp_path / "photo.jpg").write_bytes(coffee_jpeg)
    (tmp_path / "mask.png").write_bytes(dot_png)
    return tmp_path


@pytest.fixture
def folders(tmp_path, coffee_png, coffee_jpeg, dot_png):
    for name in ("photos", "masks"):
        (tmp_path / name).mkdir()
    for name, content in (("a.png", coffee_png), ("b.jpg", coffee_jpeg), ("c.png", coffee_png)):
        (tmp_path / "photos" / name).write_bytes(content)
    (tmp_path / "photos" / "notes.txt").write_text("not a photo")
    for name in ("a.png", "b_mask.png", "c-mask.png"):
        (tmp_path / "masks" / name).write_bytes(dot_png)
    return tmp_path


# --- help ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", [(), ("erase",), ("serve",), ("models",), ("models", "list"), ("models", "show"), ("bench",)]
)
def test_every_command_has_help_with_an_example(command):
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout


def test_help_is_quick_because_nothing_heavy_is_imported():
    code = (
        "import sys; sys.argv = ['magic-eraser', '--help']\n"
        "import atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from magic_eraser.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert not loaded & {"numpy", "cv2", "PIL", "fastapi", "uvicorn", "gradio", "pydantic", "structlog"}

    times = []
    for _ in range(3):
        start = time.monotonic()
        run("--help")
        times.append(time.monotonic() - start)
    assert min(times) <= 0.5


def test_the_version():
    assert run("--version").stdout.strip() == f"magic-eraser {__version__}"


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("erase",), ("erase", "no.jpg", "no.png", "-o", "x.png")]
)
def test_wrong_usage_exits_2_without_a_traceback(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


# --- one photograph -----------------------------------------------------------------------------------


def test_a_photograph_is_erased(photo, coffee, dot):
    done = run("erase", "photo.jpg", "mask.png", "-o", "out/clean.png", cwd=photo)

    assert done.returncode == 0, done.stderr
    assert "out/clean.png (patch" in done.stdout
    out, source = (pixels(photo / name) for name in ("out/clean.png", "photo.jpg"))
    assert (out[~dot] == source[~dot]).all()
    assert (out[dot] != source[dot]).any()
    assert sorted(path.name for path in (photo / "out").iterdir()) == ["clean.png"]


@pytest.mark.parametrize(
    ("output", "options", "format"),
    [
        ("x.webp", (), "WEBP"),
        ("x.jpg", (), "JPEG"),
        ("x.png", ("--format", "jpeg"), "JPEG"),
        ("x.bin", ("--format", "same"), "JPEG"),
    ],
)
def test_the_format_is_by_name_or_by_wish(photo, output, options, format):
    done = run("erase", "photo.jpg", "mask.png", "-o", output, "--model", "telea", *options, cwd=photo)
    assert done.returncode == 0, done.stderr
    with Image.open(photo / output) as image:
        assert image.format == format


def test_a_name_that_says_no_format_is_refused(photo):
    done = run("erase", "photo.jpg", "mask.png", "-o", "clean", cwd=photo)
    assert done.returncode == 1
    assert "--format" in done.stderr


@pytest.mark.parametrize("target", ["photo.jpg", "mask.png", "./photo.jpg"])
def test_the_input_is_not_written_over_by_accident(photo, target, coffee_jpeg):
    done = run("erase", "photo.jpg", "mask.png", "-o", target, "--model", "telea", cwd=photo)
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert (photo / "photo.jpg").read_bytes() == coffee_jpeg


def test_with_overwrite_it_is(photo, coffee_jpeg):
    done = run(
        "erase", "photo.jpg", "mask.png", "-o", "photo.jpg", "--overwrite", "--model", "telea", cwd=photo
    )
    assert done.returncode == 0, done.stderr
    assert (photo / "photo.jpg").read_bytes() != coffee_jpeg


def test_a_failure_is_one_readable_line_and_leaves_nothing(photo):
    (photo / "photo.jpg").write_bytes(b"broken")
    done = run("erase", "photo.jpg", "mask.png", "-o", "clean.png", cwd=photo)

    assert done.returncode == 1
    assert done.stderr.startswith("magic-eraser: ")
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (photo / "clean.png").exists()
    assert {path.name for path in photo.iterdir()} == {"photo.jpg", "mask.png"}


def test_what_the_format_cannot_carry_is_said(photo, coffee):
    rgba = np.dstack([coffee, np.full(coffee.shape[:2], 99, np.uint8)])
    Image.fromarray(rgba).save(photo / "see-through.png")
    done = run("erase", "see-through.png", "mask.png", "-o", "x.jpg", "--model", "telea", cwd=photo)
    assert done.returncode == 0
    assert "note: see-through.png:" in done.stderr


def test_a_program_reads_json(photo):
    done = run("erase", "photo.jpg", "mask.png", "-o", "x.png", "--model", "telea", "--json", cwd=photo)
    (report,) = json.loads(done.stdout)
    assert (report["success"], report["model"], report["output"]) == (True, "telea", "x.png")


def test_an_unknown_model_is_refused(photo):
    done = run("erase", "photo.jpg", "mask.png", "-o", "x.png", "--model", "lamma", cwd=photo)
    assert done.returncode == 1
    assert "patch" in done.stderr


def test_the_mask_grows_by_a_number_or_to_the_rim(tmp_path):
    y, x = np.mgrid[:160, :200]
    away = np.hypot(x - 100, y - 80)
    Image.fromarray(np.where(away < 40, 40, 180).astype(np.uint8)).save(tmp_path / "photo.png")
    Image.fromarray((away < 38).astype(np.uint8) * 255).save(tmp_path / "mask.png")

    darkest = {}
    for growth in ("0", "4", "auto"):
        done = run(
            "erase",
            "photo.png",
            "mask.png",
            "-o",
            "x.png",
            "--model",
            "telea",
            "--dilate",
            growth,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        darkest[growth] = pixels(tmp_path / "x.png").min()

    assert darkest["0"] == 40
    assert min(darkest["4"], darkest["auto"]) > 150


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--dilate", "201"),
        ("--dilate", "-1"),
        ("--dilate", "all"),
        ("--dilate", "1.5"),
        ("--effort", "most"),
        ("--timeout", "0"),
        ("--timeout", "nan"),
        ("--threads", "0"),
        ("--seed", "-1"),
    ],
)
def test_a_value_out_of_its_range_is_wrong_usage(photo, option, value):
    done = run("erase", "photo.jpg", "mask.png", "-o", "x.png", option, value, cwd=photo)
    assert done.returncode == 2
    assert option in done.stderr
    assert not (photo / "x.png").exists()


def test_seed_effort_threads_and_timeout_are_taken(photo):
    options = (
        "--effort",
        "best",
        "--threads",
        "1",
        "--timeout",
        "60",
        "--rough-when-late",
        "--model",
        "patch",
    )
    made = []
    for seed in ("1", "1", "2"):
        done = run("erase", "photo.jpg", "mask.png", "-o", "x.png", "--seed", seed, *options, cwd=photo)
        assert done.returncode == 0, done.stderr
        made.append(pixels(photo / "x.png"))
    assert (made[0] == made[1]).all()
    assert (made[0] != made[2]).any()


def test_a_photograph_ends_at_its_timeout(photo):
    done = run("erase", "photo.jpg", "mask.png", "-o", "x.png", "--timeout", "0.001", cwd=photo)
    assert done.returncode == 1
    assert "timeout" in done.stderr
    assert not (photo / "x.png").exists()


def test_the_efforts_are_those_of_the_models():
    assert list(map(str, cli.Effort)) == list(map(str, Effort))


# --- folders ------------------------------------------------------------------------------------------


def test_a_folder_is_worked_through(folders):
    done = run("erase", "photos", "masks", "-o", "clean", "--model", "telea", cwd=folders)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "3 erased, 0 there already, 0 failed"
    assert {path.name for path in (folders / "clean").iterdir()} == {"a.png", "b.jpg", "c.png"}


def test_an_interrupted_run_goes_on_where_it_was(folders):
    run("erase", "photos", "masks", "-o", "clean", "--model", "telea", cwd=folders)
    (folders / "clean" / "b.jpg").unlink()
    kept = (folders / "clean" / "a.png").stat().st_mtime_ns

    done = run("erase", "photos", "masks", "-o", "clean", "--model", "telea", cwd=folders)

    assert done.stdout.strip() == "1 erased, 2 there already, 0 failed"
    assert (folders / "clean" / "a.png").stat().st_mtime_ns == kept


def test_failures_are_listed_and_do_not_stop_the_rest(folders):
    (folders / "photos" / "a.png").write_bytes(b"broken")
    (folders / "masks" / "c-mask.png").unlink()

    done = run("erase", "photos", "masks", "-o", "clean", "--model", "telea", cwd=folders)

    assert done.returncode == 1
    assert done.stdout.strip() == "1 erased, 0 there already, 2 failed"
    assert "photos/a.png: " in done.stderr
    assert "photos/c.png: " in done.stderr
    assert "no mask" in done.stderr


def test_a_folder_as_json(folders):
    (folders / "photos" / "a.png").write_bytes(b"broken")
    done = run(
        "erase",
        "photos",
        "masks",
        "-o",
        "clean",
        "--model",
        "telea",
        "--json",
        "--format",
        "webp",
        cwd=folders,
    )
    reports = json.loads(done.stdout)
    assert [report["success"] for report in reports] == [False, True, True]
    assert reports[1]["output"] == "clean/b.webp"
    assert done.returncode == 1


@pytest.mark.parametrize("output", ["photos", "masks", "./photos"])
def test_results_never_go_into_the_inputs(folders, output):
    done = run("erase", "photos", "masks", "-o", output, cwd=folders)
    assert done.returncode == 2


def test_a_file_and_a_folder_do_not_go_together(folders):
    assert run("erase", "photos/a.png", "masks", "-o", "x.png", cwd=folders).returncode == 2


# --- a server that does it -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--server", "host:7860"), "--server"),
        (("--server", "http://me:secret@host"), "--api-key"),
        (("--server", "http://host", "--device", "cuda"), "--device"),
        (("--server", "http://host", "--threads", "2"), "--threads"),
        (("--server", "http://host", "--timeout", "0"), "--timeout"),
    ],
)
def test_what_makes_no_sense_with_a_server_is_wrong_usage(photo, options, word):
    done = run("erase", "photo.jpg", "mask.png", "-o", "x.png", *options, cwd=photo)
    assert done.returncode == 2
    assert word in done.stderr
    assert "secret" not in done.stderr


def test_a_folder_has_no_timeout_of_its_own_on_a_server(folders):
    done = run(
        "erase",
        "photos",
        "masks",
        "-o",
        "clean",
        "--timeout",
        "9",
        cwd=folders,
        MAGIC_ERASER_SERVER="http://host",
    )
    assert done.returncode == 2
    assert "--timeout" in done.stderr


@pytest.mark.parametrize("arguments", [("photos/a.png", "masks/a.png"), ("photos", "masks")])
def test_a_server_that_is_not_there_is_one_line(folders, arguments):
    done = run("erase", *arguments, "-o", "clean/x.png", "--server", "http://127.0.0.1:1", cwd=folders)
    assert done.returncode == 1
    assert done.stderr.startswith("magic-eraser: The server http://127.0.0.1:1 cannot be reached: ")
    assert done.stderr.count("\n") == 1
    assert [path for path in (folders / "clean").rglob("*") if path.is_file()] == []


# --- models and bench ---------------------------------------------------------------------------------


def test_the_models_are_listed_and_shown():
    listed = run("models", "list")
    assert all(name in listed.stdout for name in ("patch", "telea", "ns", "auto"))
    facts = json.loads(run("models", "list", "--json").stdout)
    assert {fact["id"] for fact in facts} >= {"patch", "telea", "ns", "lama", "migan", "ldm", "mat"}
    assert "Apache-2.0" in run("models", "show", "patch").stdout
    wrong = run("models", "show", "lamma")
    assert wrong.returncode == 1
    assert "Traceback" not in wrong.stderr


def test_bench_measures():
    rows = json.loads(run("bench", "--model", "telea", "--json").stdout)
    assert [(row["model"], row["width"]) for row in rows] == [("telea", 512), ("telea", 4000)]
    assert all(row["seconds"] > 0 for row in rows)


def test_debug_shows_the_traceback(photo):
    done = run("--debug", "models", "show", "lamma")
    assert "Traceback" in done.stderr

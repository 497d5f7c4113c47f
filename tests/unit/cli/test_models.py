"""What `magic-eraser models` prints, by models that need one thing or another."""

from __future__ import annotations

import hashlib
import io
import json
import logging

import pytest
import structlog
import typer.testing
from rich.console import Console

from magic_eraser.cli import models as cli
from magic_eraser.cli.download_progress import of_download
from magic_eraser.cli.main import app
from magic_eraser.cli.model_cards import facts, offers, print_list, print_one
from magic_eraser.models import added
from magic_eraser.models.card import ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.entry import Entry
from magic_eraser.models.weights import WeightStore

CONTENT = b"weights"
BIG = WeightFile(
    "big.pt", "https://publisher.example/big.pt", 205_669_692, sha256=hashlib.sha256(CONTENT).hexdigest()
)
TITLE = "Made up for this test, with a title that is too long for one line of a terminal of eighty columns"
CARDS = (
    ModelCard("plain", "Needs nothing", "MIT", "", Speed.INSTANT, Quality.BASIC),
    ModelCard("best", TITLE, "Apache-2.0", "Somebody 2026", Speed.FAST, Quality.HIGH),
    ModelCard("big", "Big", "MIT", "", Speed.MODERATE, Quality.HIGH, weights=(BIG,), memory_mb=900, working_size=512),
    ModelCard("exotic", "Exotic", "MIT", "", Speed.SLOW, Quality.HIGH, needs=("no_such_package",), extra="exotic"),
    ModelCard("theirs", "Theirs", "CC-BY-NC-4.0", "", Speed.SLOW, Quality.HIGH, must_accept=True),
    ModelCard("mine", "Mine", "", "", Speed.FAST, Quality.GOOD, added=True),
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return WeightStore(tmp_path)


@pytest.fixture
def run(store, monkeypatch):
    """The command line over our own catalogue, in our own folder."""
    catalog = {card.id: Entry(card, lambda _setup: None) for card in CARDS}
    monkeypatch.setattr(cli, "offered", lambda _store: catalog)
    monkeypatch.setenv("ERASER_WEIGHTS__DIR", str(store.folder))
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level

    def invoke(*arguments: str) -> typer.testing.Result:
        return typer.testing.CliRunner().invoke(app, ["models", *arguments])

    yield invoke
    root.handlers[:] = handlers  # a command sends logs to its own standard error
    root.setLevel(level)
    structlog.configure(**config)


def put(store: WeightStore, content: bytes = CONTENT) -> None:
    store.folder.joinpath("big.pt").write_bytes(content)


def printed(store: WeightStore, terminal: bool) -> str:
    console = Console(
        file=io.StringIO(), width=80, force_terminal=terminal, color_system=None, legacy_windows=False
    )
    print_list(console, offers(CARDS, store, ()))
    return console.file.getvalue()


# --- list ---------------------------------------------------------------------------------------------


def test_the_list_begins_with_the_best_that_is_ready_and_says_what_the_others_need(store):
    text = printed(store, terminal=True)
    ready = ("Ready to use", "best", "mine", "plain")
    order = (*ready, "a download", "big", "a package", "exotic", "consent", "theirs")
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    for line in (
        "moderate · high quality · MIT · 205.7 MB to download",
        "magic-eraser models download big",
        "pip install 'magic-eraser[exotic]'",
        "ERASER_MODELS__ACCEPTED_LICENCES=CC-BY-NC-4.0",
        "fast · good quality · yours",
    ):
        assert line in text


def test_the_list_fits_a_terminal_and_is_left_unwrapped_on_a_pipe(store):
    assert max(map(len, printed(store, terminal=True).splitlines())) <= 80
    assert f"  best    {TITLE}" in printed(store, terminal=False).splitlines()


def test_what_was_downloaded_is_ready(store):
    put(store)
    found = {offer.card.id: offer for offer in offers(CARDS, store, ("CC-BY-NC-4.0",))}
    assert found["big"].state == found["theirs"].state == "ready"
    assert found["big"].download_bytes == 0


def test_the_list_for_programs(run):
    rows = {row["id"]: row for row in json.loads(run("list", "--json").stdout)}
    assert next(iter(rows)) == "best"
    assert (rows["big"]["state"], rows["big"]["download_bytes"]) == ("weights", BIG.size)
    assert rows["plain"]["message"] == ""
    assert rows["theirs"]["state"] == "licence"


# --- show ---------------------------------------------------------------------------------------------


def test_one_model_is_shown_with_its_files(store):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    print_one(console, offers(CARDS[2:3], store, ())[0], store)
    text = console.file.getvalue()
    for word in (
        BIG.url,
        BIG.sha256,
        str(store.folder / "big.pt"),
        "205.7 MB",
        "not here",
        "900 MiB",
        "512 px",
    ):
        assert word in text


def test_show_for_programs_says_where_files_lie(run, store):
    assert json.loads(run("show", "big", "--json").stdout)["weights"][0]["path"] is None
    put(store)
    shown = json.loads(run("show", "big", "--json").stdout)
    assert shown["weights"][0]["path"] == str(store.folder / "big.pt")
    assert shown == json.loads(json.dumps(facts(offers(CARDS[2:3], store, ())[0], store)))


# --- verify, remove, download -------------------------------------------------------------------------


def test_verify_exits_1_only_where_something_is_damaged(run, store):
    assert run("verify").stdout == "There are no weights to verify.\n"
    put(store)
    whole = run("verify", "big")
    assert (whole.exit_code, whole.stdout.split()[:3]) == (0, ["ok", "big", "big.pt"])
    put(store, b"PK\x03\x04 half a zip")
    broken = run("verify")
    assert broken.exit_code == 1
    assert "magic-eraser models download big" in broken.stdout
    assert json.loads(run("verify", "--json").stdout)[0]["condition"] == "damaged"


def test_verify_does_not_tell_anybody_to_remove_a_file_of_their_own(run, store):
    path = store.folder / "mine.pt"
    own = ModelCard(
        "own", "Own", "", "", Speed.FAST, Quality.GOOD, weights=(WeightFile(str(path)),), added=True
    )
    cli.offered(store)["own"] = Entry(own, lambda _setup: None)
    path.write_bytes(b"PK\x03\x04 half a zip")
    assert f"{path} is your own: put a whole one in its place" in run("verify", "own").stdout
    path.unlink()
    assert "put it back, or: magic-eraser models remove own" in run("verify", "own").stdout


def test_verify_calls_a_file_of_ones_own_different_and_exits_0(run, store):
    put(store, b"other weights")
    done = run("verify", "big")
    assert done.exit_code == 0
    assert done.stdout.startswith("differs")


def test_remove_says_what_went_and_what_stayed(run, store):
    put(store)
    cache = store.folder / "hub" / "checkpoints" / "big.pt"
    cache.parent.mkdir(parents=True)
    cache.write_bytes(CONTENT)
    done = run("remove", "big")
    assert "Removed big.pt; 7 bytes are free again." in done.stdout
    assert f"Left {cache}" in done.stdout
    assert "has no weights in" in run("remove", "plain").stdout


def test_downloading_what_is_here_or_needs_nothing_says_so(run, store):
    put(store)
    assert run("download", "big", "plain", "big").stdout == "big was here already.\nplain needs no weights.\n"
    assert json.loads(run("download", "big", "--json").stdout) == [
        {"id": "big", "paths": [str(store.folder / "big.pt")]}
    ]


def test_after_a_download_what_else_is_needed_is_said(run):
    assert "no_such_package" in run("download", "exotic").stdout


@pytest.mark.parametrize("verb", ["show", "download", "verify", "remove"])
def test_an_unknown_model_is_no_traceback(run, verb):
    assert run(verb, "lamma").exit_code == 1


# --- add ----------------------------------------------------------------------------------------------


def test_the_families_are_those_of_the_models():
    assert list(map(str, cli.Family)) == list(map(str, added.Family))


def test_a_model_is_added_and_removed(run, store):
    done = run("add", "https://example.com", "--id", "far", "--family", "remote", "--title", "Far away")
    assert (done.exit_code, "--model far" in done.stdout) == (0, True)
    assert [model.title for model in added.read(store.folder)] == ["Far away"]
    assert "far is forgotten" in run("remove", "far").stdout
    assert added.read(store.folder) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no.onnx", "--id", "x", "--family", "onnx"), "does not exist"),
        (("http://a", "--id", "plain", "--family", "remote"), "already"),
        (("http://a", "--id", "X", "--family", "remote"), "cannot be an id"),
        (("http://a", "--id", "x", "--family", "gan"), "gan"),
        (("http://a", "--id", "x"), "--family"),
    ],
)
def test_what_cannot_be_added_is_wrong_usage(run, arguments, words):
    done = run("add", *arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())


@pytest.mark.parametrize("verb", ["list", "show", "download", "verify", "remove", "add"])
def test_every_verb_has_an_example(run, verb):
    assert f"Example: magic-eraser models {verb}" in run(verb, "--help").stdout


# --- the bar ------------------------------------------------------------------------------------------


def test_the_bar_shows_bytes_and_a_pipe_shows_nothing():
    console = Console(file=io.StringIO(), width=80, force_terminal=True, legacy_windows=False)
    with of_download(console) as tell:
        tell(BIG, 0, 0)
        tell(BIG, 100_000_000, BIG.size)
        tell(BIG, BIG.size, BIG.size)
    assert "big.pt" in console.file.getvalue()
    assert "205.7/205.7 MB" in console.file.getvalue()

    with of_download(Console(file=io.StringIO())) as tell:
        assert tell is None

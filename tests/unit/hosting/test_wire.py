"""What crosses between processes: arrays in shared memory, options and errors as JSON."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest

from magic_eraser.errors import OutOfMemory, UnusableOutput
from magic_eraser.hosting import shared, wire
from magic_eraser.models.inpainter import Effort, InpaintOptions, Sampler
from magic_eraser.models.setup import Precision


def test_arrays_are_seen_through_the_descriptor_and_outlive_it():
    rng = np.random.default_rng(1)
    arrays = [rng.integers(0, 256, (5, 7, 3), np.uint8), rng.random((5, 7)) < 0.5]
    arrays += [rng.integers(0, 65536, (3, 2, 3), np.uint16), np.zeros((0, 4), np.uint8)]
    forms = wire.forms_from_wire(json.loads(json.dumps(wire.forms_to_wire(map(shared.Form.of, arrays)))))
    descriptor = shared.create(forms)
    for mine, array in zip(shared.mapped(descriptor, forms), arrays, strict=True):
        mine[...] = array
    theirs = shared.mapped(descriptor, forms)
    os.close(descriptor)
    for seen, array in zip(theirs, arrays, strict=True):
        assert seen.dtype == array.dtype
        assert np.array_equal(seen, array)


def test_without_anonymous_files_a_nameless_one_will_do(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    form = shared.Form((10, 10), "|u1")
    descriptor = shared.create([form])
    shared.mapped(descriptor, [form])[0][...] = 7
    assert (shared.mapped(descriptor, [form])[0] == 7).all()
    os.close(descriptor)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        InpaintOptions(),
        InpaintOptions(seed=2**32 - 1, effort=Effort.BEST, steps=7, sampler=Sampler.DDIM, prompt="草地"),
    ],
)
def test_options_survive_the_way(options):
    back = wire.options_from_wire(json.loads(json.dumps(wire.options_to_wire(options))))
    assert back == options
    assert isinstance(back.effort, Effort)
    assert isinstance(back.sampler, Sampler)


def test_a_line_for_the_log_becomes_plain_values_that_fit_a_packet():
    line = {
        "level": "warning",
        "event": "it_happened",
        "crops": 3,
        "share": 0.5,
        "model": None,
        "exact": True,
    }
    line |= {"precision": Precision.BFLOAT16, "path": Path("a/b"), "long": "草" * 10**6}
    line["exception"] = "x" * 10**6 + "the end"
    message = wire.log_to_wire(line)
    back = json.loads(json.dumps(message))
    assert back["level"] == "warning"
    assert back["event"] == "it_happened"
    fields = back["fields"]
    assert [fields[name] for name in ("crops", "share", "model", "exact")] == [3, 0.5, None, True]
    assert [fields[name] for name in ("precision", "path")] == ["bfloat16", str(Path("a/b"))]
    assert fields["exception"].endswith("the end")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        wire.send(ours, message)
        assert wire.receive(theirs) == (back, [])


@pytest.mark.parametrize("kind", [OutOfMemory, UnusableOutput])
def test_errors_of_the_tree_survive_the_way(kind):
    error = kind("Too much.", "太多。", retry_after=3.0)
    back = wire.error_from_wire(json.loads(json.dumps(wire.error_to_wire(error))))
    assert type(back) is kind
    assert (back.detail, back.detail_zh, back.retry_after) == ("Too much.", "太多。", 3.0)


@pytest.mark.parametrize("kind", ["", "NoSuchError", "Iterator", "annotations"])
def test_a_kind_that_is_not_of_the_tree_is_none(kind):
    assert wire.error_from_wire({"kind": kind, "detail": "x"}) is None


def test_the_longest_texts_fit_in_a_packet():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        error = OutOfMemory("𝕏" * 10_000, "𝕐" * 10_000)
        facts = {"say": "failed", "job": 1, "trace": "𝕋" * wire.LONGEST_TEXT, **wire.error_to_wire(error)}
        wire.send(theirs, facts)
        assert wire.receive(ours) == (facts, [])
        theirs.close()
        assert wire.receive(ours) == (None, [])

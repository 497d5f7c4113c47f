"""A result is found by everything that it was made of, and by nothing else."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.models.card import ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.inpainter import Effort, Sampler
from magic_eraser.models.weights import WeightStore
from magic_eraser.service.cache.key import fingerprint, key_of
from magic_eraser.service.request import EraseOptions, EraseRequest, Keeping, OutputOptions

IMAGE, MASK = sha256(b"image").digest(), sha256(b"mask").digest()
OTHER = {
    "model": "lama",
    "dilate": "auto",
    "feather": 3,
    "seed": 1,
    "radius": 5,
    "effort": Effort.BEST,
    "rough_when_late": True,
    "steps": 20,
    "sampler": Sampler.DDIM,
    "prompt": "a wall",
    "negative_prompt": "people",
}


def key(tenant="tenant", request=None, **changes):
    facts = {"image": IMAGE, "mask": MASK, "models": "models", "filter_id": "off", **changes}
    return key_of(tenant, request or EraseRequest(b"", b""), **facts)


def with_options(**options):
    return EraseRequest(b"", b"", options=EraseOptions(**options))


def test_the_same_again_has_the_same_key():
    assert key() == key()
    assert len(key()) == 64


def test_how_the_picture_was_sent_and_what_the_caller_allows_is_not_in_it():
    sent = EraseRequest(b"some bytes", b"others", keeping=Keeping.REFRESH)
    assert key(request=sent) == key()


@pytest.mark.parametrize("name", [field.name for field in fields(EraseOptions)])
def test_every_option_counts(name):
    """A new one needs a line in `OTHER` above, and none in the key."""
    assert key(request=with_options(**{name: OTHER[name]})) != key()


@pytest.mark.parametrize(
    "output",
    [None, OutputOptions(format="png"), OutputOptions(quality=80)],
    ids=["none", "format", "quality"],
)
def test_the_form_of_the_answer_counts(output):
    assert key(request=EraseRequest(b"", b"", output=output)) != key()


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "other"},
        {"image": MASK},
        {"mask": IMAGE},
        {"image": MASK, "mask": IMAGE},
        {"models": "others"},
        {"filter_id": "strict"},
    ],
    ids="+".join,
)
def test_every_part_counts(change):
    assert key(**change) != key()


parts = st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))


@given(parts, parts)
def test_text_that_moves_from_one_part_to_the_next_is_another_key(first, second):
    def of(tenant, prompt, models, filter_id):
        return key(tenant, with_options(prompt=prompt), models=models, filter_id=filter_id)

    assert (of(*first) == of(*second)) == (first == second)


def test_parts_cannot_run_together():
    assert key("1", models="23") != key("12", models="3")
    assert key('a","b') != key("a", models='b","models')


# --- models -------------------------------------------------------------------------------------------------


def card(id="m", *weights, **facts):
    return ModelCard(id, "", "MIT", "paper", Speed.FAST, Quality.GOOD, weights=weights, **facts)


PUBLISHED = WeightFile("net.pt", "https://host/net.pt", 5, md5="0" * 32)
OWN = WeightFile("own.pt")


def test_models_count_in_any_order():
    first, second = card("a"), card("b", PUBLISHED)
    assert fingerprint([first, second]) == fingerprint([second, first])
    assert fingerprint([first]) != fingerprint([first, second])
    assert fingerprint([first]) != fingerprint([second])


@pytest.mark.parametrize("fact", ["name", "url", "md5", "sha256"])
def test_what_a_weight_file_is_said_to_be_counts(fact):
    assert fingerprint([card("m", replace(PUBLISHED, **{fact: "x"}))]) != fingerprint([card("m", PUBLISHED)])


def test_a_persons_file_that_is_replaced_is_another_model(tmp_path):
    store = WeightStore(tmp_path)
    path = tmp_path / OWN.name
    seen = [fingerprint([card("m", OWN)], store.where)]
    for content, second in ((b"first", 1), (b"other", 2), (b"longer", 2)):
        path.write_bytes(content)
        os.utime(path, (second, second))
        seen.append(fingerprint([card("m", OWN)], store.where))
    assert len(set(seen)) == 4
    assert fingerprint([card("m", OWN)], store.where) == seen[-1]


def test_a_persons_folder_counts_by_what_is_in_it(tmp_path):
    store = WeightStore(tmp_path)
    inside = tmp_path / OWN.name / "unet"
    inside.mkdir(parents=True)
    (inside / "net.bin").write_bytes(b"first")
    before = fingerprint([card("m", OWN)], store.where)
    assert fingerprint([card("m", OWN)], store.where) == before
    (inside / "net.bin").write_bytes(b"longer")
    assert fingerprint([card("m", OWN)], store.where) != before


def test_servers_share_results_of_a_published_file_whenever_each_got_it(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, second in ((here, 1), (there, 2)):
        folder.mkdir()
        (folder / PUBLISHED.name).write_bytes(b"whole")
        os.utime(folder / PUBLISHED.name, (second, second))
    cards = [card("m", PUBLISHED)]
    assert fingerprint(cards, WeightStore(here).where) == fingerprint(cards, WeightStore(there).where)
    (here / PUBLISHED.name).write_bytes(b"a person's own in its place")
    assert fingerprint(cards, WeightStore(here).where) != fingerprint(cards, WeightStore(there).where)

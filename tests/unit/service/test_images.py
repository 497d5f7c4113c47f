"""Pictures kept between requests: whole or not at all, for a while, for one tenant, within a bound."""

from __future__ import annotations

import os
import stat
import time

import pytest

from magic_eraser.errors import NotFound
from magic_eraser.service.images import ImageStore


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "images", ttl_seconds=100, max_bytes=1000)


def put(store, content=b"picture", tenant="a"):
    return store.put(tenant, content, width=3, height=2, format="png")


def age(stored, seconds):
    past = time.time() - seconds
    os.utime(stored.path, (past, past))


def test_what_was_put_is_got(store):
    stored = put(store)
    found = store.get("a", stored.id)
    assert found == stored
    assert (found.width, found.height, found.format, found.size) == (3, 2, "png", 7)
    assert found.read() == b"picture"


def test_ids_cannot_be_guessed_and_tenants_do_not_meet(store):
    first, second = put(store), put(store)
    assert first.id != second.id
    assert len(first.id) == 22
    with pytest.raises(NotFound):
        store.get("b", first.id)


def test_only_the_servers_user_can_look(store):
    folder = put(store).path.parent
    assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0


def test_after_its_time_it_is_not_found_and_swept(store):
    stored = put(store)
    age(stored, 101)
    with pytest.raises(NotFound):
        store.get("a", stored.id)
    store.sweep()
    assert not stored.path.exists()


def test_the_oldest_go_first_when_there_is_too_much(store):
    old, middle = put(store, b"x" * 400), put(store, b"x" * 400)
    age(old, 50)
    age(middle, 20)
    new = put(store, b"x" * 400)
    assert [stored.path.exists() for stored in (old, middle, new)] == [False, True, True]


def test_one_that_is_too_large_alone_stays_until_the_next(store):
    large = put(store, b"x" * 5000)
    assert store.get("a", large.id).size == 5000
    age(large, 5)
    put(store)
    assert not large.path.exists()


def test_a_write_that_fails_leaves_nothing(store, tmp_path):
    with pytest.raises(TypeError):
        store.put("a", "not bytes", width=1, height=1, format="png")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_a_crash_left_half_written_goes_after_a_minute(store):
    folder = put(store).path.parent
    young, old = folder / "young.part", folder / "old.part"
    for part in (young, old):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 61,) * 2)
    store.sweep()
    assert young.exists()
    assert not old.exists()


def test_a_deleted_one_is_gone_for_a_reader_too(store):
    stored = put(store)
    store.delete("a", stored.id)
    with pytest.raises(NotFound):
        stored.read()
    with pytest.raises(NotFound):
        store.delete("a", stored.id)

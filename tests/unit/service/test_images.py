"""Pictures kept between requests: whole or not at all, for a while, for one tenant, within a bound."""

from __future__ import annotations

import hashlib
import os
import stat
import time

import pytest

from magic_eraser.errors import NotFound, StorageFull, StorageUnavailable
from magic_eraser.service.images import ImageStore
from small_disk import small_disk


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


def test_its_digest_is_that_of_its_bytes(store):
    stored = put(store, b"x" * 900)
    assert stored.sha256() == hashlib.sha256(b"x" * 900).digest()
    store.delete("a", stored.id)
    with pytest.raises(NotFound):
        stored.sha256()


def test_a_put_below_the_limit_looks_at_no_other_picture(store):
    old = put(store)
    put(store)
    age(old, 101)
    put(store)
    assert old.path.exists()
    store.sweep()
    assert not old.path.exists()


def test_room_is_what_all_tenants_take_together_also_after_a_restart(store, tmp_path):
    old = put(store, b"x" * 600, tenant="a")
    age(old, 50)
    again = ImageStore(tmp_path / "images", ttl_seconds=100, max_bytes=1000)
    new = put(again, b"x" * 600, tenant="b")
    assert [stored.path.exists() for stored in (old, new)] == [False, True]


def test_what_was_deleted_takes_no_room(store):
    first = put(store, b"x" * 600)
    store.delete("a", first.id)
    pictures = [put(store, b"x" * 400) for _ in range(2)]
    assert all(stored.path.exists() for stored in pictures)


def test_on_a_full_disk_it_says_so_keeps_its_promises_and_recovers(tmp_path):
    with small_disk(tmp_path) as disk:
        store = ImageStore(disk.folder / "images", ttl_seconds=100, max_bytes=10**9)
        promised = put(store, b"x" * 100_000)
        age(promised, 99)
        disk.fill(but=8192)
        with pytest.raises(StorageFull) as caught:
            put(store, b"y" * 100_000)
        assert caught.value.status == 507
        assert caught.value.retry_after
        files = [path for path in (disk.folder / "images").rglob("*") if path.is_file()]
        assert files == [promised.path]
        assert store.get("a", promised.id).read() == b"x" * 100_000
        disk.free()
        assert put(store, b"y" * 100_000).read() == b"y" * 100_000


def test_on_a_full_disk_those_whose_time_is_over_make_room_at_once(tmp_path):
    with small_disk(tmp_path) as disk:
        store = ImageStore(disk.folder / "images", ttl_seconds=100, max_bytes=10**9)
        over = put(store, b"x" * 200_000)
        age(over, 101)
        disk.fill(but=8192)
        if disk.real:
            assert put(store, b"y" * 100_000).read() == b"y" * 100_000
        else:  # that disk gives no room back
            with pytest.raises(StorageFull):
                put(store, b"y" * 100_000)
        assert not over.path.exists()


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    (tmp_path / "no_folder").write_bytes(b"")
    store = ImageStore(tmp_path / "no_folder", ttl_seconds=100, max_bytes=1000)
    with pytest.raises(StorageUnavailable, match="disk"):
        put(store)


def test_folders_of_tenants_that_have_nothing_left_go(store, tmp_path):
    age(put(store, tenant="guest"), 101)
    mine = put(store, tenant="a")
    store.sweep()
    assert list((tmp_path / "images").iterdir()) == [mine.path.parent]

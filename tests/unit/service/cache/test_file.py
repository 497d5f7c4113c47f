"""Results in files: whole or a miss, within their time, within a bound, on a full disk and on none at all."""

from __future__ import annotations

import asyncio
import os
import stat
import time

import pytest
from structlog.testing import capture_logs

from magic_eraser.service.cache import Kept
from magic_eraser.service.cache.file import FileCache
from small_disk import small_disk

KEYS = [f"{number:02x}" * 32 for number in range(40)]


@pytest.fixture
def told():
    return []


@pytest.fixture
def open_cache(tmp_path, told):
    def build(folder=tmp_path / "cache", ttl_seconds=100, max_bytes=100_000):
        return FileCache(
            folder,
            ttl_seconds=ttl_seconds,
            max_bytes=max_bytes,
            on_result=lambda backend, result: told.append(f"{backend} {result}"),
        )

    return build


@pytest.fixture
def cache(open_cache):
    return open_cache()


@pytest.fixture
def path(tmp_path):
    return lambda key: tmp_path / "cache" / key[:2] / key


def kept(key, size=1000):
    return Kept(key.encode() * (size // 64), {"model": "patch", "notices": []})


def put(cache, key, size=1000):
    asyncio.run(cache.put(key, kept(key, size)))


def get(cache, key):
    return asyncio.run(cache.get(key))


def made(path, seconds_ago, used_ago):
    now = time.time()
    os.utime(path, (now - used_ago, now - seconds_ago))


def test_what_was_put_is_got_by_another_process_too(cache, open_cache, told):
    put(cache, KEYS[0])
    assert get(open_cache(), KEYS[0]) == kept(KEYS[0])
    assert get(cache, KEYS[1]) is None
    assert told == ["file put", "file hit", "file miss"]


def test_it_is_one_file_by_its_key_for_the_servers_user_alone(cache, path, tmp_path):
    put(cache, KEYS[0])
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files == [path(KEYS[0])]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(files[0].parent.stat().st_mode) & 0o077 == 0


def test_nothing_is_done_before_it_is_used(open_cache, tmp_path):
    cache = open_cache()
    assert get(cache, KEYS[0]) is None
    asyncio.run(cache.trim())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "A" * 64, "a" * 63])
def test_what_is_no_key_is_a_defect(cache, key):
    with pytest.raises(ValueError, match="not a cache key"):
        get(cache, key)
    with pytest.raises(ValueError, match="not a cache key"):
        asyncio.run(cache.put(key, kept(KEYS[0])))


def test_after_its_time_it_is_a_miss_and_gone_however_often_it_was_used(cache, path):
    put(cache, KEYS[0])
    made(path(KEYS[0]), 99, used_ago=99)
    assert get(cache, KEYS[0]) is not None
    made(path(KEYS[0]), 101, used_ago=0)
    assert get(cache, KEYS[0]) is None
    assert not path(KEYS[0]).exists()


def test_one_from_the_future_of_a_clock_that_was_set_back_does_not_stay_for_ever(cache, path):
    put(cache, KEYS[0])
    made(path(KEYS[0]), -101, used_ago=-101)
    assert get(cache, KEYS[0]) is None


def test_trimming_takes_away_what_is_over(cache, path):
    put(cache, KEYS[0])
    put(cache, KEYS[1])
    made(path(KEYS[0]), 101, used_ago=0)
    asyncio.run(cache.trim())
    assert [path(key).exists() for key in KEYS[:2]] == [False, True]


@pytest.mark.parametrize("damage", [b"", b"{}\nfoo", b"\x00" * 1000, b"a" * 3])
def test_a_foreign_file_is_a_miss_and_removed(cache, path, damage):
    put(cache, KEYS[0])
    path(KEYS[0]).write_bytes(damage)
    assert get(cache, KEYS[0]) is None
    assert not path(KEYS[0]).exists()


def test_so_is_one_torn_by_a_power_cut_and_one_with_a_flipped_bit(cache, path):
    for harm in (
        lambda whole: whole[:-500] + bytes(500),
        lambda whole: whole[:-1] + b"?",
        lambda whole: whole[:-1],
    ):
        put(cache, KEYS[0])
        path(KEYS[0]).write_bytes(harm(path(KEYS[0]).read_bytes()))
        assert get(cache, KEYS[0]) is None
        assert not path(KEYS[0]).exists()


def test_so_is_a_file_under_another_ones_name(cache, path):
    put(cache, KEYS[0])
    put(cache, KEYS[1])
    path(KEYS[0]).replace(path(KEYS[1]))
    assert get(cache, KEYS[1]) is None


def test_a_link_is_not_followed(cache, path, tmp_path):
    put(cache, KEYS[0])
    elsewhere = tmp_path / "elsewhere"
    path(KEYS[0]).replace(elsewhere)
    path(KEYS[0]).symlink_to(elsewhere)
    assert get(cache, KEYS[0]) is None
    assert (path(KEYS[0]).is_symlink(), elsewhere.exists()) == (False, True)


def test_those_not_used_for_longest_make_room(cache, path, told):
    for number, key in enumerate(KEYS[:9]):
        put(cache, key, size=10_000)
        made(path(key), 90 - number, used_ago=90 - number)
    assert get(cache, KEYS[0]) is not None  # noted: it was last used more than a minute ago
    put(cache, KEYS[9], size=10_000)
    assert told.count("file evicted") == 2
    there = [key for key in KEYS[:10] if path(key).exists()]
    assert there == [KEYS[0], *KEYS[3:10]]


def test_a_use_is_noted_once_a_minute_and_does_not_make_it_younger(open_cache, tmp_path):
    with small_disk(tmp_path) as disk:
        cache, path = open_cache(disk.folder), disk.folder / KEYS[0][:2] / KEYS[0]
        put(cache, KEYS[0])
        for used_ago, noted in ((59, not disk.real), (61, True)):  # other disks may note it by themselves
            made(path, 90, used_ago)
            before = path.stat()
            get(cache, KEYS[0])
            after = path.stat()
            assert (after.st_atime > before.st_atime) is noted
            assert after.st_mtime_ns == before.st_mtime_ns


def test_it_never_takes_more_than_it_may(cache, tmp_path):
    for key in KEYS:
        put(cache, key, size=9000)
        assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) <= 100_000


def test_one_too_large_is_not_kept_and_drives_nobody_out(cache, told):
    put(cache, KEYS[0])
    put(cache, KEYS[1], size=200_000)
    assert told[-1] == "file too_large"
    assert get(cache, KEYS[0]) is not None
    assert get(cache, KEYS[1]) is None


def test_a_folder_that_somebody_removes_is_made_again(cache, path):
    put(cache, KEYS[0])
    for file in (path(KEYS[0]),):
        file.unlink()
        file.parent.rmdir()
        file.parent.parent.rmdir()
    assert get(cache, KEYS[0]) is None
    put(cache, KEYS[0])
    assert get(cache, KEYS[0]) is not None


def test_on_a_full_disk_it_keeps_nothing_makes_room_for_others_and_recovers(tmp_path, open_cache, told):
    with small_disk(tmp_path) as disk:
        cache = open_cache(disk.folder / "cache", max_bytes=10**9)
        for key in KEYS[:20]:
            put(cache, key, size=20_000)
        disk.fill(but=8192)
        with capture_logs() as lines:
            for key in KEYS[20:23]:
                put(cache, key, size=700_000)
                assert get(cache, key) is None
        assert told.count("file error") == 3
        assert told.count("file evicted") == 6
        assert [(line["event"], line["what"]) for line in lines] == [("cache_failed", "write")]
        assert "space" in lines[0]["reason"] or "large" in lines[0]["reason"]
        assert list(disk.folder.rglob("*.part")) == []
        disk.free()
        put(cache, KEYS[20], size=700_000)
        assert get(cache, KEYS[20]) == kept(KEYS[20], 700_000)


def test_where_it_can_neither_read_nor_write_nobody_fails(open_cache, tmp_path, told):
    (tmp_path / "no_folder").write_bytes(b"")
    cache = open_cache(tmp_path / "no_folder")
    with capture_logs() as lines:
        put(cache, KEYS[0])
        assert get(cache, KEYS[0]) is None
        asyncio.run(cache.trim())
    assert told == ["file error"] * 3
    assert len(lines) == 1


def test_many_at_once_do_not_disturb_each_other(open_cache, tmp_path):
    caches = [open_cache(max_bytes=60_000) for _ in range(2)]

    async def one(number):
        cache, key = caches[number % 2], KEYS[number % 10]
        await cache.put(key, kept(key, 5000))
        found = await cache.get(key)
        assert found in (None, kept(key, 5000))
        if number % 20 == 0:
            await cache.trim()

    async def all_of_them():
        await asyncio.gather(*(one(number) for number in range(200)))

    asyncio.run(all_of_them())
    assert list(tmp_path.rglob("*.part")) == []

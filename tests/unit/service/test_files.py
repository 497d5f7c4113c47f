"""Files that may go: whole or not at all, counted as they come and go, let go by age and for room."""

from __future__ import annotations

import os
import stat
import threading
import time

import pytest

from magic_eraser.service.files import Shelf, is_full, is_over, write_whole
from small_disk import small_disk


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf", ttl_seconds=100, max_bytes=1000)


def put(shelf, name, content=b"x" * 100, folder="a"):
    path = shelf.folder / folder / name
    shelf.write(path, content)
    return path


def made(path, seconds_ago, used_ago=None):
    now = time.time()
    os.utime(path, (now - (seconds_ago if used_ago is None else used_ago), now - seconds_ago))


def names(shelf):
    return sorted(path.name for path in shelf.folder.rglob("*") if path.is_file())


def test_pieces_become_one_file_of_the_servers_user_alone(shelf):
    path = shelf.folder / "a" / "file"
    shelf.write(path, b"one", b"two")
    assert path.read_bytes() == b"onetwo"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE(shelf.folder.stat().st_mode) == 0o700
    assert names(shelf) == ["file"]


def test_a_write_that_fails_leaves_nothing_and_the_old_file_stays(shelf):
    path = put(shelf, "file", b"old")
    with pytest.raises(TypeError):
        write_whole(path, [b"new", "not bytes"])
    assert path.read_bytes() == b"old"
    assert names(shelf) == ["file"]


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    with small_disk(tmp_path) as disk:
        disk.fill(but=8192)
        path = disk.folder / "folder" / "file"
        with pytest.raises(OSError, match=r"space|large") as caught:
            write_whole(path, [b"x" * 100_000])
        assert is_full(caught.value)
        assert list(path.parent.iterdir()) == []
        disk.free()
        write_whole(path, [b"x" * 100_000])
        assert path.stat().st_size == 100_000


def test_other_failures_are_not_a_full_disk(tmp_path):
    (tmp_path / "a").write_bytes(b"a file, no folder")
    with pytest.raises(NotADirectoryError) as caught:
        write_whole(tmp_path / "a" / "file", [b"x"])
    assert not is_full(caught.value)


def test_bytes_are_counted_as_files_come_change_and_go(shelf):
    assert shelf.total is None
    first = put(shelf, "first")
    assert shelf.total == 100
    put(shelf, "second", b"x" * 50)
    put(shelf, "second", b"x" * 70)
    assert shelf.total == 170
    shelf.remove(first)
    shelf.remove(first)
    assert shelf.total == 70


def test_what_lay_there_before_and_what_others_add_is_counted(shelf):
    put(shelf, "before")
    other = Shelf(shelf.folder, ttl_seconds=100, max_bytes=1000)
    put(other, "mine")
    assert other.total == 200
    put(shelf, "theirs")
    other.sweep()
    assert other.total == 300


def test_at_the_limit_a_tenth_goes_so_that_not_every_write_looks_at_every_file(shelf):
    paths = [put(shelf, f"{number:02}") for number in range(10)]
    for number, path in enumerate(paths):
        made(path, 50 - number)
    assert shelf.write(shelf.folder / "a" / "10", b"x" * 100) == 2
    assert names(shelf) == [f"{number:02}" for number in range(2, 11)]
    assert shelf.total == 900


def test_writes_below_the_limit_look_at_no_other_file(shelf):
    put(shelf, "first")
    old = put(shelf, "old")
    made(old, 1000)
    put(shelf, "second")
    assert old.exists()
    shelf.sweep()
    assert not old.exists()


def test_what_is_over_goes_also_where_the_clock_was_set_back(shelf):
    for name, age in (("young", 99), ("old", 101), ("ahead", -99), ("far_ahead", -101)):
        made(put(shelf, name), age)
    shelf.sweep()
    assert names(shelf) == ["ahead", "young"]
    assert is_over(1000.0, 10, now=0.0)


def test_those_not_used_for_longest_go_first_where_use_counts(tmp_path):
    shelf = Shelf(tmp_path / "shelf", ttl_seconds=100, max_bytes=1000, by_use=True)
    for number in range(9):
        made(put(shelf, f"{number}"), 50 - number)
    made(shelf.folder / "a" / "0", 50, used_ago=1)
    put(shelf, "new", b"x" * 250)
    assert names(shelf) == ["0", "4", "5", "6", "7", "8", "new"]


def test_the_last_of_all_stays_however_large(shelf):
    large = put(shelf, "large", b"x" * 5000)
    shelf.sweep()
    assert large.exists()


def test_on_a_full_disk_a_tenth_is_given_up_each_time_to_the_last(shelf):
    for number in range(10):
        made(put(shelf, f"{number}", b"x" * 50), 50 - number)
    assert shelf.yield_share() == 1
    assert "0" not in names(shelf)
    for _ in range(9):
        shelf.yield_share()
    assert (names(shelf), shelf.total) == ([], 0)


def test_parts_of_a_crash_go_after_a_minute_and_empty_folders_with_them(shelf):
    path = put(shelf, "file")
    parts = [path.with_name(name) for name in ("file.1.part", "file.2.part")]
    for part, age in zip(parts, (59, 61), strict=True):
        part.write_bytes(b"half")
        made(part, age)
    (shelf.folder / "b").mkdir()
    shelf.sweep()
    assert [part.exists() for part in parts] == [True, False]
    assert [entry.name for entry in shelf.folder.iterdir()] == ["a"]
    shelf.remove(path)
    made(parts[0], 61)
    shelf.sweep()
    assert list(shelf.folder.iterdir()) == []
    put(shelf, "file")
    assert names(shelf) == ["file"]


def test_what_is_not_ours_is_left_where_it_cannot_be_a_file(shelf):
    put(shelf, "file")
    (shelf.folder / "loose").write_bytes(b"x")
    (shelf.folder / "a" / "folder").mkdir()
    made(shelf.folder / "a" / "folder", 1000)
    shelf.sweep()
    assert (shelf.folder / "a" / "folder").is_dir()
    assert names(shelf) == ["file", "loose"]


def test_a_link_is_removed_itself_and_not_what_it_points_to(shelf, tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"x")
    put(shelf, "file")
    link = shelf.folder / "a" / "link"
    link.symlink_to(target)
    os.utime(link, (0, 0), follow_symlinks=False)
    shelf.sweep()
    assert (link.is_symlink(), target.exists()) == (False, True)


def test_many_threads_and_two_processes_worth_of_shelves_keep_the_count(tmp_path):
    shelves = [Shelf(tmp_path / "shelf", ttl_seconds=100, max_bytes=20_000) for _ in range(2)]
    failures = []

    def write(number):
        try:
            for turn in range(40):
                put(shelves[number % 2], f"{number}-{turn}", b"x" * 100, folder=f"{turn % 5}")
                if turn % 10 == 9:
                    shelves[number % 2].sweep()
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for shelf in shelves:
        shelf.sweep()
        there = sum(path.stat().st_size for path in shelf.folder.rglob("*") if path.is_file())
        assert shelf.total == there <= 20_000

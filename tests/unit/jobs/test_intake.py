"""Pictures of a new job: all of them are kept, or none."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass

import pytest

from made_zips import PNG, made, pairs
from magic_eraser.db.blobs import FileBlobs
from magic_eraser.errors import BatchTooLarge, InvalidArchive, StorageFull, ValidationFailed
from magic_eraser.jobs.intake import Given, IntakeLimits, keep_archive, keep_pairs, tidy_name
from magic_eraser.settings import JobSettings, LimitSettings, Settings

LIMITS = IntakeLimits(items=3, bytes=1000, each_bytes=300)
JOB = "a-job"


class WatchedBlobs(FileBlobs):
    """Files; with room for so many bytes, and a note of what was in memory at once."""

    def __init__(self, root, room: int = 10**9):
        super().__init__(root)
        self.room = room
        self.puts = []

    async def put(self, folder: str, data: bytes) -> str:
        self.puts.append(len(data))
        self.room -= len(data)
        if self.room < 0:
            raise StorageFull
        return await super().put(folder, data)


@dataclass
class Lying:
    """A source that is read when it is wanted."""

    content: bytes
    reads: int = 0

    def read(self) -> bytes:
        self.reads += 1
        return self.content

    def sha256(self) -> bytes:
        return bytes(32)


@pytest.fixture
def blobs(tmp_path):
    return WatchedBlobs(tmp_path / "blobs")


def left(tmp_path) -> list[str]:
    return [path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


def test_pictures_and_masks_are_paired_in_order(blobs):
    async def story():
        second = Lying(b"second")
        images = [Given("C:\\holiday\\one.jpg", b"first"), Given("", second)]
        masks = [Given("m1", b"mask 1"), Given("m2", b"mask 2")]
        items = await keep_pairs(blobs, JOB, images, masks, LIMITS)
        assert [item.name for item in items] == ["one.jpg", "image-2"]
        kept = [(await blobs.get(item.image_blob), await blobs.get(item.mask_blob)) for item in items]
        assert kept == [(b"first", b"mask 1"), (b"second", b"mask 2")]
        assert all(item.image_blob.startswith(f"{JOB}/") for item in items)
        assert second.reads == 1

    asyncio.run(story())


@pytest.mark.parametrize(("images", "masks"), [(0, 0), (1, 0), (0, 1), (2, 1), (1, 2)])
def test_a_picture_without_a_mask_is_refused(blobs, tmp_path, images, masks):
    given = [Given("a", b"x")]
    with pytest.raises(ValidationFailed, match=f"{images} images and {masks} masks"):
        asyncio.run(keep_pairs(blobs, JOB, given * images, given * masks, LIMITS))
    assert left(tmp_path) == []


def test_more_pairs_than_allowed_are_refused(blobs):
    given = [Given("a", b"x")] * 4
    with pytest.raises(BatchTooLarge, match="4 pictures; at most 3"):
        asyncio.run(keep_pairs(blobs, JOB, given, given, LIMITS))
    assert blobs.puts == []


def test_one_that_is_too_large_is_refused_by_name_and_nothing_is_left(blobs, tmp_path):
    images = [Given("small.png", b"x"), Given("large.png", bytes(301))]
    with pytest.raises(BatchTooLarge, match=r'"large.png" or its mask has 301 bytes; at most 300'):
        asyncio.run(keep_pairs(blobs, JOB, images, [Given("m", b"x")] * 2, LIMITS))
    assert left(tmp_path) == []


def test_too_much_together_is_refused_by_name_and_nothing_is_left(blobs, tmp_path):
    images = [Given(f"{number}.png", bytes(290)) for number in range(3)]
    masks = [Given("m", bytes(100))] * 3
    with pytest.raises(BatchTooLarge, match=r'larger than 1000 bytes together, from "2.png" on'):
        asyncio.run(keep_pairs(blobs, JOB, images, masks, LIMITS))
    assert left(tmp_path) == []


def test_a_disk_that_fills_half_way_leaves_nothing(tmp_path):
    blobs = WatchedBlobs(tmp_path / "blobs", room=250)
    given = [Given("a", bytes(100))] * 2
    with pytest.raises(StorageFull):
        asyncio.run(keep_pairs(blobs, JOB, given, given, LIMITS))
    assert left(tmp_path) == []


def test_a_client_that_goes_away_half_way_leaves_nothing(tmp_path):
    second_is_there = asyncio.Event()

    class Slow(WatchedBlobs):
        async def put(self, folder: str, data: bytes) -> str:
            blob = await super().put(folder, data)
            if len(self.puts) == 2:
                second_is_there.set()
                await asyncio.sleep(60)
            return blob

    async def story():
        given = [Given("a", bytes(100))] * 2
        task = asyncio.create_task(keep_pairs(Slow(tmp_path / "blobs"), JOB, given, given, LIMITS))
        await second_is_there.wait()
        assert len(left(tmp_path)) == 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left(tmp_path) == []

    asyncio.run(story())


def test_an_archive_is_kept_in_the_order_of_its_names(blobs):
    async def story():
        items = await keep_archive(blobs, JOB, io.BytesIO(made(pairs("b", "a"))), LIMITS)
        assert [item.name for item in items] == ["a.png", "b.png"]
        assert await blobs.get(items[1].mask_blob) == PNG + b"mask of b"

    asyncio.run(story())


def test_an_archive_with_more_pairs_than_allowed_is_refused(blobs):
    with pytest.raises(BatchTooLarge, match="4 pictures; at most 3"):
        asyncio.run(keep_archive(blobs, JOB, io.BytesIO(made(pairs(*"abcd"))), LIMITS))
    assert blobs.puts == []


def test_an_archive_without_pictures_is_refused(blobs):
    for members in ({}, {"a.png": PNG}, {"masks/a.png": PNG}):
        with pytest.raises(InvalidArchive, match="holds no pictures"):
            asyncio.run(keep_archive(blobs, JOB, io.BytesIO(made(members)), LIMITS))


def test_an_archive_that_is_broken_in_its_last_member_leaves_nothing(blobs, tmp_path):
    members = {**pairs("a", "b"), "masks/b.png": PNG + bytes(9000) + b"its end"}
    broken = made(members, method=0).replace(b"its end", b"not so.")
    limits = IntakeLimits(items=3, bytes=20_000, each_bytes=10_000)
    with pytest.raises(InvalidArchive, match=r'"masks/b.png" cannot be read'):
        asyncio.run(keep_archive(blobs, JOB, io.BytesIO(broken), limits))
    assert len(blobs.puts) == 3
    assert left(tmp_path) == []


def test_a_picture_may_not_be_larger_than_one_that_is_sent_alone():
    settings = Settings(
        limits=LimitSettings(max_body_bytes=5000), jobs=JobSettings(max_items=7, max_body_bytes=9000)
    )
    assert IntakeLimits.of(settings) == IntakeLimits(items=7, bytes=9000, each_bytes=5000)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\My Pictures\\photo.jpg", "photo.jpg"),
        ("a\x00b\nc.png", "abc.png"),
        ("\ud800.png", ".png"),
        ("..", ""),
        ("", ""),
        ("照片.png", "照片.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
        ("x" * 300, "x" * 200),
    ],
)
def test_names_are_tidied(given, expected):
    assert tidy_name(given) == expected

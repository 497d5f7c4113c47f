"""ZIPs from people unknown: what is taken, and what is refused before it does harm."""

from __future__ import annotations

import bz2
import gzip
import io
import struct
import tarfile
import time
import tracemalloc
import warnings
import zipfile
from contextlib import suppress

import pytest

from made_zips import PNG, as_zip64, made, pairs, patched, renamed, with_link
from magic_eraser.errors import BatchTooLarge, InvalidArchive
from magic_eraser.jobs.zip_intake import Archive, ZipLimits

LIMITS = ZipLimits(pairs=10, total_bytes=200_000, member_bytes=100_000)
MEBIBYTE = 1024 * 1024


def found(archive: bytes, limits: ZipLimits = LIMITS) -> list[tuple[str, str]]:
    opened = Archive(io.BytesIO(archive), limits)
    try:
        return [(str(image), str(mask)) for image, mask in opened.pairs()]
    finally:
        opened.close()


def contents(archive: bytes, limits: ZipLimits = LIMITS) -> list[bytes]:
    opened = Archive(io.BytesIO(archive), limits)
    try:
        return [opened.read(member) for pair in opened.pairs() for member in pair]
    finally:
        opened.close()


def refusal(archive: bytes, limits: ZipLimits = LIMITS) -> str:
    with pytest.raises(InvalidArchive) as caught:
        contents(archive, limits)
    return caught.value.detail


class TestPairs:
    def test_pictures_and_masks_are_paired_by_name(self):
        assert found(made(pairs("b", "a"))) == [
            ("images/a.png", "masks/a.png"),
            ("images/b.png", "masks/b.png"),
        ]
        assert contents(made(pairs("a"))) == list(pairs("a").values())

    def test_both_folders_may_lie_in_one(self):
        assert found(made(pairs("a", top="holiday/"))) == [("holiday/images/a.png", "holiday/masks/a.png")]

    def test_a_path_may_begin_with_a_dot(self):
        assert found(made(pairs("a", top="./"))) == [("images/a.png", "masks/a.png")]

    @pytest.mark.parametrize("suffix", ["_mask", "-mask", ".mask"])
    def test_a_mask_may_say_that_it_is_one(self, suffix):
        archive = made({"images/a.jpg": PNG, f"masks/a{suffix}.png": PNG})
        assert found(archive) == [("images/a.jpg", f"masks/a{suffix}.png")]

    def test_folders_in_the_folders_count(self):
        archive = made({
            "images/x/a.png": b"1", "masks/x/a.png": b"2", "images/y/a.png": b"3", "masks/y/a.png": b"4"
        })  # fmt: skip
        assert found(archive) == [("images/x/a.png", "masks/x/a.png"), ("images/y/a.png", "masks/y/a.png")]
        assert contents(archive) == [b"1", b"2", b"3", b"4"]

    def test_what_file_managers_leave_and_other_files_are_passed_over(self):
        extra = {
            "images/": b"",
            "__MACOSX/images/._a.png": b"x",
            "images/.DS_Store": b"x",
            "images/Thumbs.db": b"x",
            "images/notes.txt": b"x",
            "readme.txt": b"x",
        }
        assert found(made({**extra, **pairs("a")})) == [("images/a.png", "masks/a.png")]

    def test_a_picture_without_a_mask_is_named(self):
        archive = made({**pairs("a"), "images/lonely.png": PNG})
        assert '"images/lonely.png" has no mask' in refusal(archive)

    def test_two_masks_of_one_name_are_named(self):
        archive = made({**pairs("a"), "masks/a.jpg": PNG})
        assert '"masks/a.png" and "masks/a.jpg" are masks of one name' in refusal(archive)

    def test_stored_members_are_read_too(self):
        assert contents(made(pairs("a"), method=zipfile.ZIP_STORED)) == list(pairs("a").values())

    def test_an_archive_that_was_streamed_is_read(self):
        """Sizes behind the data (flag 3), as pipes make them."""

        class Pipe(io.RawIOBase):
            def __init__(self):
                self.data = bytearray()

            def writable(self):
                return True

            def write(self, data):
                self.data += data
                return len(data)

        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w") as archive:
            for name, content in pairs("a").items():
                archive.writestr(name, content, zipfile.ZIP_DEFLATED)
        assert contents(bytes(pipe.data)) == list(pairs("a").values())

    def test_an_archive_with_zip64_ends_that_say_the_truth_is_read(self):
        assert contents(as_zip64(made(pairs("a")))) == list(pairs("a").values())

    def test_a_comment_is_no_harm(self):
        buffer = io.BytesIO(made(pairs("a")))
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.comment = b"from me"
        assert found(buffer.getvalue()) == [("images/a.png", "masks/a.png")]

    def test_a_comment_that_looks_like_another_end_is_refused(self):
        """Readers differ in which end they believe."""
        inner = made(pairs("b"))
        buffer = io.BytesIO(made(pairs("a")))
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.comment = inner[inner.rfind(b"PK\x05\x06") :]
        refusal(buffer.getvalue())


class TestNames:
    @pytest.mark.parametrize(
        ("name", "encoding"), [("照片", "utf-8"), ("照片", "gb2312"), ("café", "cp437"), ("ñandú", "cp437")]
    )
    def test_names_in_the_code_page_of_a_country_are_read_as_they_were_meant(self, name, encoding):
        raw = name.encode(encoding)
        stand_in = "z" * len(raw)
        archive = renamed(made(pairs(stand_in)), stand_in.encode(), raw)
        assert found(archive) == [(f"images/{name}.png", f"masks/{name}.png")]

    def test_a_name_that_says_it_is_utf8_and_is_not_is_refused(self):
        archive = renamed(made(pairs("ü")), "ü".encode(), b"\xfc\xfc")
        assert "marked as UTF-8" in refusal(archive)

    @pytest.mark.parametrize(
        ("stand_in", "evil"),
        [
            ("images/z/z/a.png", "images/../../a.png"[:16]),
            ("zimages/a.png", "/images/a.png"),
            ("imageszza.png", "images\\\\a.png"),
            ("zzimages/a.png", "C:images/a.png"),
            ("images/zza.png", "images/\x1bxa.png"),
            ("images/zzz.png", "images/a\n.png."[:14]),
        ],
    )
    def test_names_that_lead_out_are_refused(self, stand_in, evil):
        archive = renamed(made({**pairs("b"), stand_in: PNG}), stand_in.encode(), evil.encode())
        sentence = refusal(archive)
        assert "leads out of it" in sentence or "no name of a file" in sentence

    def test_a_name_with_a_zero_byte_is_refused(self):
        """`zipfile` would cut it there."""
        archive = renamed(made({**pairs("b"), "images/axpng.exe": PNG}), b"axpng", b"a\x00png")
        assert "no name of a file" in refusal(archive)

    def test_a_name_that_comes_twice_is_refused(self):
        archive = renamed(made({**pairs("a"), "images/b.png": PNG}), b"images/b.png", b"images/a.png")
        assert '"images/a.png" is in it twice' in refusal(archive)

    def test_two_spellings_of_one_name_are_one(self):
        archive = made({**pairs("\u00e9"), "images/e\u0301.png": PNG})
        assert "is in it twice" in refusal(archive)

    def test_a_local_header_with_another_name_than_the_directory_is_refused(self):
        archive = made(pairs("a"))
        other = archive.replace(b"images/a.png", b"images/b.png", 1)
        assert "cannot be read" in refusal(other)


class TestKinds:
    def test_links_are_refused(self):
        assert '"images/b.png" is a link' in refusal(with_link("images/b.png", "/etc/passwd"))

    def test_devices_are_refused(self):
        archive = patched(made(pairs("a")), directory={38: struct.pack("<L", 0o020666 << 16)})
        assert "is a link or a device" in refusal(archive)

    @pytest.mark.parametrize("bit", [0x0001, 0x0040, 0x2000])
    def test_encrypted_members_are_refused(self, bit):
        assert '"images/a.png" is encrypted' in refusal(
            patched(made(pairs("a")), both={8: struct.pack("<H", bit)})
        )

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_other_methods_are_refused(self, method):
        assert "only stored and deflated" in refusal(made(pairs("a"), method=method))

    @pytest.mark.parametrize(
        ("kind", "content"),
        [
            ("zip", made({"x": b"y"})),
            ("empty zip", made({})),
            ("gzip", gzip.compress(b"x")),
            ("bzip2", bz2.compress(b"x")),
            ("xz", b"\xfd7zXZ\x00..."),
            ("7z", b"7z\xbc\xaf\x27\x1c..."),
            ("rar", b"Rar!\x1a\x07\x01\x00"),
            ("zstd", b"\x28\xb5\x2f\xfd..."),
        ],
    )
    @pytest.mark.parametrize("name", ["images/b.png", "masks/inner.dat", "inner.jpg"])
    def test_archives_in_it_are_known_by_how_they_begin(self, kind, content, name):
        assert f'"{name}" is an archive itself' in refusal(made({**pairs("a"), name: content}))

    def test_a_tar_in_it_is_known_too(self):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("x"))
        assert "is an archive itself" in refusal(made({**pairs("a"), "images/b.png": buffer.getvalue()}))

    def test_a_picture_that_is_called_zip_is_just_not_a_picture(self):
        assert found(made({**pairs("a"), "images/b.zip": PNG})) == [("images/a.png", "masks/a.png")]


class TestSizes:
    def test_a_member_that_says_it_is_too_large_is_refused_before_it_is_read(self):
        archive = made({**pairs("a"), "images/b.png": bytes(100_001)})
        with pytest.raises(BatchTooLarge, match=r'"images/b.png" unpacks to more than 100000 bytes'):
            found(archive)

    def test_members_that_are_too_large_together_are_refused_before_they_are_read(self):
        archive = made({f"images/{name}.png": bytes(99_000) for name in "abc"})
        with pytest.raises(BatchTooLarge, match=r'more than 200000 bytes, from "images/c.png" on'):
            found(archive)

    def test_a_member_that_is_larger_than_it_says_is_never_unpacked_further(self):
        """A bomb whose directory says 10 bytes: what is beyond them stays packed."""
        bomb = made({"images/a.png": bytes(64 * MEBIBYTE), "masks/a.png": PNG})
        small = patched(bomb, both={24: struct.pack("<L", 10)})
        tracemalloc.start()
        try:
            assert "cannot be read" in refusal(small)  # the checksum is another
            assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE
        finally:
            tracemalloc.stop()

    def test_a_member_that_is_smaller_than_it_says_is_refused(self):
        archive = patched(made(pairs("a")), both={24: struct.pack("<L", 500)})
        assert "cannot be read" in refusal(archive) or "cut off" in refusal(archive)

    def test_a_member_that_unpacks_to_more_than_fifty_times_its_size_is_refused_from_64_mebibytes_on(self):
        large = ZipLimits(pairs=10, total_bytes=2**40, member_bytes=2**40)
        archive = made({"images/a.png": bytes(65 * MEBIBYTE), "masks/a.png": PNG})
        assert "images/a.png unpacks to more than 50 times its size" in refusal(archive, large)

    def test_so_is_an_archive_of_many_such_members_below_that(self):
        large = ZipLimits(pairs=10, total_bytes=2**40, member_bytes=2**40)
        archive = made({f"images/{name}.png": bytes(35 * MEBIBYTE) for name in "ab"})
        assert "The whole of it unpacks to more than 50 times" in refusal(archive, large)

    def test_a_blank_mask_may_be_packed_a_thousandfold(self):
        limits = ZipLimits(pairs=10, total_bytes=2**30, member_bytes=2**30)
        archive = made({"images/a.png": PNG, "masks/a.bmp": bytes(10 * MEBIBYTE)})
        assert len(contents(archive, limits)[1]) == 10 * MEBIBYTE

    def test_more_members_than_allowed_are_refused_before_the_directory_is_read(self):
        archive = made({f"images/{number}.png": b"" for number in range(LIMITS.members + 1)})
        with pytest.raises(BatchTooLarge, match=f"has {LIMITS.members + 1} members"):
            found(archive)

    def test_a_directory_that_is_longer_than_any_is_not_read(self):
        archive = bytearray(made(pairs("a")))
        end = archive.rfind(b"PK\x05\x06")
        start = struct.unpack_from("<L", archive, end + 16)[0]
        length = 4 * MEBIBYTE
        archive[end:end] = bytes(length - (end - start))
        struct.pack_into("<L", archive, len(archive) - 22 + 12, length)
        with pytest.raises(BatchTooLarge):
            found(bytes(archive))


class TestShape:
    @pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 100, PNG * 100, bytes(70_000)])
    def test_what_is_no_zip_is_refused(self, content):
        assert "is not a ZIP" in refusal(content)

    @pytest.mark.parametrize("left", [10, 100, 200, -10, -25])
    def test_what_is_cut_off_is_refused(self, left):
        refusal(made(pairs("a", "b"))[:left])

    def test_broken_data_is_refused_with_the_name_of_the_member(self):
        archive = bytearray(made({"images/a.png": bytes(range(256)) * 40, "masks/a.png": PNG}))
        archive[60:70] = b"\xff" * 10
        assert '"images/a.png" cannot be read' in refusal(bytes(archive))

    @pytest.mark.parametrize("front", [b"MZ\x90\x00" + bytes(60), b"<html>", b"%PDF-1.7\n", b"PK\x07\x08"])
    def test_a_file_that_is_something_else_in_front_is_refused(self, front):
        archive = made(pairs("a"))
        assert "is refused" in refusal(front + archive)
        shifted = io.BytesIO(front)
        shifted.seek(0, io.SEEK_END)
        with zipfile.ZipFile(shifted, "a") as honest:  # whose places are right
            for name, content in pairs("a").items():
                honest.writestr(name, content)
        assert "in front of it" in refusal(shifted.getvalue())

    def test_something_in_front_that_looks_like_a_member_is_refused(self):
        shifted = io.BytesIO(b"PK\x03\x04" + bytes(100))
        shifted.seek(0, io.SEEK_END)
        with zipfile.ZipFile(shifted, "a") as honest:
            honest.writestr("images/a.png", PNG)
        assert "in front of it" in refusal(shifted.getvalue())

    def test_something_behind_is_refused(self):
        assert "is not a ZIP" in refusal(made(pairs("a")) + b"<script>")

    def test_members_that_share_their_bytes_are_refused(self):
        """The bomb of David Fifield: many entries, one kernel."""
        archive = patched(made(pairs("a")), directory={42: struct.pack("<L", 5)}, member=1)
        assert "shares its bytes" in refusal(archive)

    def test_a_member_that_reaches_into_the_directory_is_refused(self):
        archive = patched(made(pairs("a")), both={20: struct.pack("<L", 60_000)}, member=1)
        assert "is cut off" in refusal(archive)

    @pytest.mark.parametrize("lie", [{"count": 1}, {"count": 2**40}, {"length": 2**40}, {"start": 1}])
    def test_zip64_ends_that_lie_are_refused(self, lie):
        refusal(as_zip64(made(pairs("a")), **lie))

    def test_a_zip64_end_behind_marks_that_lies_is_refused(self):
        """What the short end leaves to the long one is measured all the same."""
        archive = bytearray(as_zip64(made(pairs("a")), count=1))
        end = archive.rfind(b"PK\x05\x06")
        archive[end + 8 : end + 12] = b"\xff\xff\xff\xff"
        assert "does not hold what it says" in refusal(bytes(archive))

    def test_a_directory_that_holds_more_than_it_says_is_refused(self):
        archive = bytearray(made(pairs("a")))
        end = archive.rfind(b"PK\x05\x06")
        archive[end + 8 : end + 12] = struct.pack("<2H", 1, 1)
        assert "does not hold what it says" in refusal(bytes(archive))

    def test_parts_of_a_series_are_refused(self):
        archive = bytearray(made(pairs("a")))
        end = archive.rfind(b"PK\x05\x06")
        archive[end + 4 : end + 6] = b"\x02\x00"
        assert "several parts" in refusal(bytes(archive))

    def test_any_byte_may_be_wrong_and_it_is_refused_or_read(self):
        """Never anything but our own errors; each of some 400 bytes, set to three values."""
        whole = made(pairs("a"))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for place in range(len(whole)):
                for value in (0x00, 0x7F, 0xFF):
                    broken = whole[:place] + bytes([value]) + whole[place + 1 :]
                    with suppress(InvalidArchive, BatchTooLarge):
                        contents(broken)


def test_a_thousand_pairs_are_found_in_little_time_and_memory():
    archive = made(pairs(*(f"photo-{number:04}" for number in range(1000))))
    limits = ZipLimits(pairs=1000, total_bytes=2**30, member_bytes=2**26)
    tracemalloc.start()
    start = time.process_time()
    try:
        assert len(found(archive, limits)) == 1000
        assert time.process_time() - start < 3.0  # 0.1 s, and several times that while memory is traced
        assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE
    finally:
        tracemalloc.stop()

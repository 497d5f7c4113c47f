"""A ZIP from somebody unknown: nothing in it is believed before it is measured (APPNOTE 6.3.10)."""

from __future__ import annotations

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from magic_eraser.errors import BatchTooLarge, InvalidArchive
from magic_eraser.imaging.codec import format_of_extension
from magic_eraser.jobs import zip_directory
from magic_eraser.jobs.pairing import mask_of

IMAGES, MASKS = "images", "masks"
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x0001 | 0x0040 | 0x2000
"""Bits 0, 6 and 13: encrypted, strongly encrypted, names hidden."""
UTF8 = 0x0800
MOST_RATIO = 50
RATIO_FROM = 64 * 1024 * 1024
"""Below so many bytes unpacked a ratio is not looked at: a blank mask as BMP is packed a thousandfold."""
PIECE = 1024 * 1024
MAGIC = (
    b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b\x08", b"BZh",
    b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"MSCF", b"xar!", b"!<arch>\n",
)  # fmt: skip
"""How archives and packed files begin: ZIP, RAR, 7z, gzip, bzip2, xz, zstd, lz4, CAB, xar, ar."""
TAR, TAR_AT = b"ustar", 257
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, RuntimeError, ValueError)
"""What `zipfile` raises for bytes that are not as they should be; RuntimeError for methods it does not know, too."""


@dataclass(frozen=True, slots=True)
class ZipLimits:
    """How much an archive may hold.

    Attributes:
        pairs: pictures with a mask; members are four for each of them, and 1,000.
        total_bytes: unpacked, of all members together.
        member_bytes: unpacked, of one.
    """

    pairs: int
    total_bytes: int
    member_bytes: int

    @property
    def members(self) -> int:
        return 4 * self.pairs + 1000


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    Attributes:
        path: its parts, folders first.
        info: as the directory has it.
    """

    path: tuple[str, ...]
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        return self.path[-1]

    def __str__(self) -> str:
        return "/".join(self.path)[:200]


class Archive:
    """An archive, open for reading. Every method blocks, and may be called by one thread at a time.

    Refused, before a byte is unpacked: what does not begin with its first member or does not end with its directory
    (a file that is something else as well); more members, or larger ones, than `limits` allow; a ratio over 50 from
    64 MiB on; encryption; methods other than stored and deflated; members that share bytes; names that lead out of
    the archive (absolute, `..`, backslash, drive letter) or come twice; links and devices; archives in it, known by
    how they begin. Bytes are counted again as they are unpacked.

    Raises:
        InvalidArchive: it is refused; the sentence names the member.
        BatchTooLarge: the same for size and number.
    """

    def __init__(self, file: BinaryIO, limits: ZipLimits) -> None:
        self._limits = limits
        self._left = limits.total_bytes
        size = zip_directory.check(file, most_members=limits.members)
        try:
            self._zip = zipfile.ZipFile(file)
        except UnicodeDecodeError:
            raise _refused(
                "a name in it is marked as UTF-8 and is not", "其中有文件名标为 UTF-8 但并非 UTF-8"
            ) from None
        except _BROKEN as error:
            raise _unreadable(error) from None
        self._members = list(self._checked(size))

    def close(self) -> None:
        """Done with it; the file stays open."""
        self._zip.close()

    def pairs(self) -> list[tuple[Member, Member]]:
        """(picture, mask), in the order of the pictures' paths; both folders may lie in one that holds everything.

        Raises:
            InvalidArchive: a picture has no mask, or two; or there is an archive inside.
        """
        for member in self._members:
            self._refuse_archive(member, self._head(member))
        images = _in_folder(IMAGES, self._members)
        masks = _by_stem(_in_folder(MASKS, self._members))
        found = []
        for stem, member in sorted(images, key=lambda each: each[1].path):
            mask = mask_of(stem, masks)
            if mask is None:
                raise _refused(f'"{member}" has no mask of the same name', f"“{member}”没有同名蒙版")
            found.append((member, mask))
        return found

    def read(self, member: Member) -> bytes:
        """Its bytes, counted.

        Raises:
            InvalidArchive: they are broken, or not as many as the directory says.
            BatchTooLarge: see the class.
        """
        pieces = []
        size = 0
        try:
            with self._zip.open(member.info) as stream:
                while piece := stream.read(PIECE):
                    size += len(piece)
                    self._left -= len(piece)
                    self._check_size(member, size, self._left)
                    pieces.append(piece)
        except _BROKEN as error:
            raise _unreadable(error, member) from None
        if size != member.info.file_size:
            raise _refused(f'"{member}" is cut off', f"“{member}”不完整")
        return b"".join(pieces)

    def _checked(self, directory_at: int) -> Iterator[Member]:
        infos = self._zip.infolist()
        _check_places(infos, directory_at)
        declared = 0
        seen = set()
        for info in infos:
            name = _name(info)
            path = _safe_path(name)
            if not path or _is_junk(path):
                continue
            member = Member(path, info)
            _check_kind(member)
            if info.is_dir():
                continue
            declared += info.file_size
            self._check_size(member, info.file_size, self._limits.total_bytes - declared)
            if info.file_size > RATIO_FROM and info.file_size > MOST_RATIO * info.compress_size:
                raise _bomb(str(member))
            if path in seen:
                raise _refused(f'"{member}" is in it twice', f"“{member}”出现两次")
            seen.add(path)
            yield member
        if declared > RATIO_FROM and declared > MOST_RATIO * directory_at:
            raise _bomb("The whole of it")

    def _check_size(self, member: Member, size: int, left: int) -> None:
        most = self._limits.member_bytes
        if size > most:
            raise BatchTooLarge(
                f'"{member}" unpacks to more than {most} bytes.',
                f"“{member}”解压后超过 {most} 字节。",
                extra={"max_bytes": most},
            )
        if left < 0:
            total = self._limits.total_bytes
            raise BatchTooLarge(
                f'The archive unpacks to more than {total} bytes, from "{member}" on.',
                f"压缩包解压后超过 {total} 字节（自“{member}”起）。",
                extra={"max_bytes": total},
            )

    def _head(self, member: Member) -> bytes:
        try:
            with self._zip.open(member.info) as stream:
                return stream.read(TAR_AT + len(TAR))
        except _BROKEN as error:
            raise _unreadable(error, member) from None

    def _refuse_archive(self, member: Member, head: bytes) -> None:
        if head.startswith(MAGIC) or head[TAR_AT:] == TAR:
            raise _refused(f'"{member}" is an archive itself', f"“{member}”本身是压缩包")


# --- names --------------------------------------------------------------------------------------------


def _name(info: zipfile.ZipInfo) -> str:
    """As it was meant: many programs write UTF-8, or the code page of their country, without saying so."""
    name = info.orig_filename
    if not info.flag_bits & UTF8:
        raw = name.encode("cp437")  # as `zipfile` read it, which loses nothing
        for encoding in ("utf-8", "gb2312"):
            try:
                return unicodedata.normalize("NFC", raw.decode(encoding))
            except UnicodeDecodeError:
                continue
    return unicodedata.normalize("NFC", name)


def _safe_path(name: str) -> tuple[str, ...]:
    """Its parts; empty for the archive's own folder."""
    shown = name[:200].encode("unicode_escape").decode("ascii") if not name.isprintable() else name[:200]
    if not name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise _refused(f'"{shown}" is no name of a file', f"“{shown}”不是有效的文件名")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    drive = len(name) > 1 and name[1] == ":" and name[0].isalpha()
    if name.startswith("/") or "\\" in name or drive or ".." in parts:
        raise _refused(f'"{shown}" leads out of it', f"“{shown}”指向压缩包之外")
    return parts


def _is_junk(path: tuple[str, ...]) -> bool:
    """What file managers leave behind."""
    return (
        path[0] == "__MACOSX" or path[-1].startswith(".") or path[-1].lower() in ("thumbs.db", "desktop.ini")
    )


def _in_folder(folder: str, members: list[Member]) -> list[tuple[str, Member]]:
    """(path below the folder, without extension; the member) of its pictures."""
    tops = {member.path[0].lower() for member in members}
    depth = 1 if len(tops) == 1 and not tops & {IMAGES, MASKS} else 0
    return [
        (str(PurePosixPath(*member.path[depth + 1 :]).with_suffix("")), member)
        for member in members
        if len(member.path) > depth + 1
        and member.path[depth].lower() == folder
        and format_of_extension(PurePosixPath(member.name).suffix) is not None
    ]


def _by_stem(masks: list[tuple[str, Member]]) -> dict[str, Member]:
    found: dict[str, Member] = {}
    for stem, member in masks:
        if stem in found:
            raise _refused(
                f'"{found[stem]}" and "{member}" are masks of one name',
                f"“{found[stem]}”与“{member}”是同名蒙版",
            )
        found[stem] = member
    return found


# --- what the directory says --------------------------------------------------------------------------


def _check_places(infos: list[zipfile.ZipInfo], directory_at: int) -> None:
    """Members begin at the beginning, and none lies in another: some bombs are a hundred that share their bytes."""
    free_from = 0
    for info in sorted(infos, key=lambda each: each.header_offset):
        if free_from == 0 and info.header_offset != 0:
            raise _refused("there is something in front of it", "文件开头含有其他内容")
        if info.header_offset < free_from:
            raise _refused(f'"{info.filename[:200]}" shares its bytes with another', "其中有文件互相重叠")
        free_from = info.header_offset + zip_directory.LOCAL_HEADER + info.compress_size
        if free_from > directory_at:
            raise _refused(f'"{info.filename[:200]}" is cut off', f"“{info.filename[:200]}”不完整")


def _check_kind(member: Member) -> None:
    info = member.info
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(f'"{member}" is a link or a device', f"“{member}”是链接或设备文件")
    if info.flag_bits & ENCRYPTED:
        raise _refused(f'"{member}" is encrypted', f"“{member}”已加密")
    if info.compress_type not in METHODS:
        raise _refused(
            f'"{member}" is packed by method {info.compress_type}; only stored and deflated are read',
            f"“{member}”的压缩方式（{info.compress_type}）不受支持",
        )


# --- sentences ----------------------------------------------------------------------------------------


def _refused(why: str, zh: str) -> InvalidArchive:
    return InvalidArchive(f"The archive is refused: {why}.", f"压缩包被拒绝：{zh}。")


def _bomb(what: str) -> InvalidArchive:
    return _refused(
        f"{what} unpacks to more than {MOST_RATIO} times its size", f"{what} 的压缩比超过 {MOST_RATIO} 倍"
    )


def _unreadable(error: Exception, member: Member | None = None) -> InvalidArchive:
    where = f'"{member}"' if member else "it"
    return _refused(f"{where} cannot be read ({str(error)[:100]})", f"{member or '内容'}无法读取")

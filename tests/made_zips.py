"""ZIPs as honest programs make them, and as others do."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Mapping

PNG = b"\x89PNG\r\n\x1a\n"
"""How a picture begins; what is done with it looks no further."""


def made(members: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An ordinary one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def pairs(*stems: str, top: str = "") -> dict[str, bytes]:
    """A picture and a mask of each name."""
    found = {}
    for stem in stems:
        found[f"{top}images/{stem}.png"] = PNG + b"image of " + stem.encode()
        found[f"{top}masks/{stem}.png"] = PNG + b"mask of " + stem.encode()
    return found


def with_link(name: str, target: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for each, content in pairs("a").items():
            archive.writestr(each, content)
        link = zipfile.ZipInfo(name)
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, target)
    return buffer.getvalue()


def patched(
    archive: bytes,
    *,
    directory: Mapping[int, bytes] | None = None,
    both: Mapping[int, bytes] | None = None,
    member: int = 0,
) -> bytes:
    """With bytes changed in a member's entry in the directory, by their place in it; `both`: in its local header too,
    where they lie two bytes earlier."""  # fmt: skip
    data = bytearray(archive)
    end = data.rfind(b"PK\x05\x06")
    at = struct.unpack_from("<L", data, end + 16)[0]
    for _ in range(member):
        at += 46 + sum(struct.unpack_from("<3H", data, at + 28))
    local = struct.unpack_from("<L", data, at + 42)[0]
    for place, value in {**(directory or {}), **(both or {})}.items():
        data[at + place : at + place + len(value)] = value
        if place in (both or {}):
            data[local + place - 2 : local + place - 2 + len(value)] = value
    return bytes(data)


def renamed(archive: bytes, old: bytes, new: bytes) -> bytes:
    """Names of one length, replaced wherever they stand."""
    assert len(old) == len(new)
    assert old in archive
    return archive.replace(old, new)


def as_zip64(archive: bytes, **lies: int) -> bytes:
    """The same with a ZIP64 end, in which `count`, `length` or `start` may be wrong."""
    end = archive.rfind(b"PK\x05\x06")
    _, _, _, _, count, length, start, _comment = struct.unpack_from("<4s4H2LH", archive, end)
    told = {"count": count, "length": length, "start": start, **lies}
    record = struct.pack(
        "<4sQ2H2L4Q",
        b"PK\x06\x06",
        44,
        45,
        45,
        0,
        0,
        told["count"],
        told["count"],
        told["length"],
        told["start"],
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    return archive[:end] + record + locator + archive[end:]

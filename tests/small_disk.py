"""A disk with little room, to be filled and freed.

    with small_disk(tmp_path) as disk:
        disk.fill()                # the next write fails as on any full disk
        disk.free()

As root a real one: 2 MB of tmpfs. Others may not mount anything; for them the kernel refuses every file that grows,
which the product takes for the same thing.
"""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SIZE = 2 * 1024 * 1024


class SmallDisk:
    """See above.

    Attributes:
        folder: on that disk.
        real: whether it is a disk of its own, of `SIZE` bytes, on which reading leaves no trace.
    """

    def __init__(self, folder: Path, *, real: bool) -> None:
        self.folder = folder
        self.real = real
        self._ballast = folder / "ballast"
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self, but: int = 0) -> None:
        """Leave `but` bytes; where the disk is not real, files of that size at most."""
        if not self.real:
            resource.setrlimit(resource.RLIMIT_FSIZE, (but, self._limits[1]))
            return
        with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        with self._ballast.open("r+b") as file:
            file.truncate(self._ballast.stat().st_size - but)

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},noatime", "tmpfs", str(folder)]
    real = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    disk = SmallDisk(folder, real=real)
    try:
        yield disk
    finally:
        disk.free()
        if real:
            subprocess.run(
                ["umount", "-l", str(folder)], check=True
            )  # somebody may still have a file open there

"""Where model weights lie: found, fetched, checked and removed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from magic_eraser.errors import ModelUnavailable
from magic_eraser.models import wholeness
from magic_eraser.models.card import ModelCard, WeightFile

if TYPE_CHECKING:
    from magic_eraser.models.download import OnProgress
    from magic_eraser.settings import WeightSettings

TORCH_LAYOUTS = (Path("torch", "hub", "checkpoints"), Path("hub", "checkpoints"))
"""Where torch.hub, and IOPaint with `--model-dir`, put files inside a folder."""


class Condition(StrEnum):
    """What `verify` found out about a file."""

    OK = "ok"
    DAMAGED = "damaged"  # it is not all there, or not as it was when it came
    DIFFERS = "differs"  # whole, and not the published one: a person's own; it is used all the same
    UNKNOWN = "unknown"  # there is no checksum to compare it with
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One file, looked at.

    Attributes:
        file: of the card.
        path: where it lies; None where it does not.
        condition: see there.
    """

    file: WeightFile
    path: Path | None
    condition: Condition


@dataclass(frozen=True, slots=True)
class Removal:
    """What a removal did.

    Attributes:
        removed: weights that are gone.
        freed: bytes, with those of unfinished downloads.
        left: copies in folders of other programs, which are still found and used.
    """

    removed: tuple[Path, ...]
    freed: int
    left: tuple[Path, ...]


class WeightStore:
    """The weights of all models on this machine. Making one looks at nothing.

    A `WeightFile.name` may hold folders, or be a whole path for a file that is used where it lies.

    Args:
        folder: ours, the only one that is written to.
        also: further folders to look in, such as the caches of other programs.
        mirror, hf_endpoint, hf_token: see `download.Source`.
        offline: never download.
    """

    def __init__(
        self,
        folder: Path,
        also: Sequence[Path] = (),
        mirror: str = "",
        offline: bool = False,
        hf_endpoint: str = "",
        hf_token: str = "",
    ) -> None:
        self.folder = folder
        self.also = tuple(also)
        self.offline = offline
        self._mirror, self._hf_endpoint, self._hf_token = mirror, hf_endpoint, hf_token

    @classmethod
    def from_settings(cls, settings: WeightSettings, environ: Mapping[str, str] = os.environ) -> WeightStore:
        """As the settings say, looking in torch's caches too, where IOPaint keeps the same files."""
        return cls(
            folder=settings.dir,
            also=torch_caches(environ),
            mirror=settings.mirror,
            offline=settings.offline,
            hf_endpoint=settings.hf_endpoint,
            hf_token=settings.hf_token.get_secret_value(),
        )

    # --- finding ----------------------------------------------------------------------------------------

    def where(self, card: ModelCard) -> dict[WeightFile, Path | None]:
        """Where each of the card's files lies, in its order; None where one is missing."""
        return {file: next(iter(self._copies(file)), None) for file in card.weights}

    def missing(self, card: ModelCard) -> list[WeightFile]:
        """Those of the card's files that are not there."""
        return [file for file, path in self.where(card).items() if path is None]

    def paths(self, card: ModelCard) -> tuple[Path, ...]:
        """The card's files in its order, as `Setup.weights` wants them.

        Raises:
            ModelUnavailable: one is missing; says which, and what to type.
        """
        found = tuple(path for path in self.where(card).values() if path is not None)
        if len(found) < len(card.weights):
            names = ", ".join(file.name for file in self.missing(card))
            command = f"magic-eraser models {'show' if card.added else 'download'} {card.id}"
            raise ModelUnavailable(
                f"The model {card.id} needs {names}, which is not here: {command}.",
                f"模型 {card.id} 缺少 {names}：请运行 {command}。",
            )
        return found

    def _copies(self, file: WeightFile) -> list[Path]:
        inside = (self.folder / layout for layout in TORCH_LAYOUTS)
        places = (self.folder, *inside, *self.also)
        return list(dict.fromkeys(path for place in places if _is_there(path := place / file.name)))

    # --- fetching ---------------------------------------------------------------------------------------

    def download(self, card: ModelCard, on_progress: OnProgress | None = None) -> tuple[Path, ...]:
        """Fetch what is missing; gives `paths(card)`. Safe to call from several processes at once.

        Raises:
            DownloadFailed: with what is wrong and the way out; the next call goes on where this one stopped.
        """
        missing = self.missing(card)
        if not missing:
            return self.paths(card)
        from magic_eraser.models import download, download_faults  # httpx2, stamina and filelock: 0.15 s

        if self.offline:
            raise download_faults.offline(missing, self.folder)
        source = download.Source(self._mirror, self._hf_endpoint, self._hf_token)
        with download.client() as session:
            for file in missing:
                download.fetch(file, self.folder / file.name, source, session, on_progress)
        return self.paths(card)

    # --- checking and removing --------------------------------------------------------------------------

    def verify(self, card: ModelCard) -> list[Verdict]:
        """Read every file of the card and compare it with the published checksum, or with that of its download."""
        return [Verdict(file, path, _condition(file, path)) for file, path in self.where(card).items()]

    def remove(self, card: ModelCard) -> Removal:
        """Remove the card's files from our folder, and what an unfinished download left there.

        Raises:
            DownloadFailed: one is being downloaded.
            OSError: the folder may not be written to.
        """
        from magic_eraser.models import download

        removed, freed, left = [], 0, []
        for file in card.weights:
            ours = self.folder / file.name
            if ours.is_relative_to(self.folder) and ours.parent.is_dir():
                with download.alone(ours, timeout=0):
                    if _is_there(ours):
                        removed.append(ours)
                    for ending in ("", ".part", ".part.etag", ".sha256"):
                        freed += _delete(download.beside(ours, ending))
                    download.beside(ours, ".lock").unlink(missing_ok=True)
            left += self._copies(file)
        return Removal(tuple(removed), freed, tuple(left))


def torch_caches(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where torch keeps files on this machine, and IOPaint with it: as `torch.hub.get_dir` decides."""
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = Path(environ.get("TORCH_HOME") or Path(cache, "torch")).expanduser()
    return (home / "hub" / "checkpoints",)


def _is_there(path: Path) -> bool:
    """A folder (of a diffusers model), or a file that is not empty."""
    try:
        return path.is_dir() or path.stat().st_size > 0
    except OSError:
        return False


def _delete(path: Path) -> int:
    """Bytes that the removal of a file gave back."""
    if not path.is_file():
        return 0
    size = path.stat().st_size
    path.unlink()
    return size


def _condition(file: WeightFile, path: Path | None) -> Condition:
    if path is None:
        return Condition.MISSING
    if path.is_dir():
        return Condition.UNKNOWN
    if not wholeness.is_whole(path):
        return Condition.DAMAGED
    from magic_eraser.models import download

    note = download.beside(path, ".sha256")
    noted = note.read_text().split(maxsplit=1)[:1] if note.is_file() else []
    if not (file.md5 or file.sha256 or noted):
        return Condition.UNKNOWN
    md5, sha256 = download.digests(path)
    if noted and noted != [sha256]:
        return Condition.DAMAGED
    published = (not file.sha256 or file.sha256 == sha256) and (not file.md5 or file.md5 == md5)
    return Condition.OK if published else Condition.DIFFERS

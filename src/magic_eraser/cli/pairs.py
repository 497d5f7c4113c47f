"""Pairs of photographs and masks: what is to be done, what came of it, and how that is told."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import typer

from magic_eraser.errors import UnsupportedFormat
from magic_eraser.imaging.codec import extension_of, format_of_extension
from magic_eraser.jobs.pairing import mask_of
from magic_eraser.service.request import OutputFormat


@dataclass(frozen=True, slots=True)
class Pair:
    """One photograph: where from and where to. `format` "same" keeps the photograph's."""

    photo: Path
    mask: Path | None
    target: Path
    format: OutputFormat


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a pair: `error` None for done; `skipped` where the result was there already."""

    pair: Pair
    error: str | None = None
    skipped: bool = False
    model: str | None = None
    seconds: float = 0.0
    notices: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "photo": str(self.pair.photo),
            "output": str(self.pair.target),
            "success": self.error is None,
            "skipped": self.skipped,
            "error": self.error,
            "model": self.model,
            "seconds": round(self.seconds, 3),
            "notices": list(self.notices),
        }


def single(photo: Path, mask: Path, output: Path, wish: str | None, *, overwrite: bool) -> Pair:
    """The pair of one photograph.

    Raises:
        typer.BadParameter: it would write over its input.
        UnsupportedFormat: the output's name ends in something that is not written.
    """
    target = output / photo.name if output.is_dir() else output
    chosen = wish or _by_name(target)
    if not overwrite and any(_same_file(target, given) for given in (photo, mask)):
        raise typer.BadParameter(
            f"{target} is the input; choose another name or allow it with --overwrite", param_hint="--output"
        )
    return Pair(photo, mask, target, cast("OutputFormat", chosen))


def of_folders(photos: Path, masks: Path, output: Path, wish: str | None) -> list[Pair]:
    """One for every photograph of a folder, in the order of names; its mask by the same stem.

    Raises:
        typer.BadParameter: the folder holds no photograph, or the results would go over the inputs.
    """
    if output.exists() and any(_same_file(output, given) for given in (photos, masks)):
        raise typer.BadParameter("choose a folder apart from the inputs", param_hint="--output")
    by_stem = {path.stem: path for path in sorted(masks.iterdir()) if path.is_file()}
    pairs = []
    for photo in sorted(photos.iterdir()):
        if not photo.is_file() or photo.name.startswith(".") or format_of_extension(photo.suffix) is None:
            continue
        mask = mask_of(photo.stem, by_stem)
        chosen = wish or "same"
        name = photo.name if chosen == "same" else photo.stem + extension_of(chosen)
        pairs.append(Pair(photo, mask, output / name, cast("OutputFormat", chosen)))
    if not pairs:
        raise typer.BadParameter(f"{photos} holds no photographs", param_hint="PHOTO")
    return pairs


def tell(reports: list[Report], *, many: bool) -> None:
    """For people: results on standard output, failures on standard error."""
    for report in reports:
        if report.error is not None:
            prefix = f"{report.pair.photo}: " if many else ""
            typer.echo(f"magic-eraser: {prefix}{report.error}", err=True)
            continue
        if not many:
            typer.echo(f"{report.pair.target} ({report.model}, {report.seconds:.1f} s)")
        for notice in report.notices:
            typer.echo(f"note: {report.pair.photo.name}: {notice}", err=True)
    if many:
        failed = sum(report.error is not None for report in reports)
        skipped = sum(report.skipped for report in reports)
        typer.echo(f"{len(reports) - failed - skipped} erased, {skipped} there already, {failed} failed")


def write(target: Path, data: bytes) -> None:
    """Whole or not at all: an interrupted run must not leave half a picture that looks done."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _by_name(target: Path) -> str:
    known = format_of_extension(target.suffix)
    if known is None:
        raise UnsupportedFormat(
            f'"{target.name}" does not end in a format that is written; add one, or use --format.'
        )
    return known


def _same_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False

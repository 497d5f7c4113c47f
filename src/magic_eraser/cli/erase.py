"""`magic-eraser erase`: one photograph, or a folder of them."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Examples: magic-eraser erase photo.jpg mask.png -o clean.jpg; magic-eraser erase photos/ masks/ -o clean/"


class Device(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Format(StrEnum):
    SAME = "same"
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"
    BMP = "bmp"
    TIFF = "tiff"
    GIF = "gif"


def erase(
    photo: Annotated[Path, typer.Argument(help="A photograph, or a folder of them.", exists=True)],
    mask: Annotated[
        Path, typer.Argument(help="White erases, black keeps; a folder pairs by name.", exists=True)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File, or folder, to write.")],
    model: Annotated[str, typer.Option(help="A model of `models list`, or auto.")] = "auto",
    device: Annotated[Device, typer.Option(help="Where models run.")] = Device.AUTO,
    dilate: Annotated[int, typer.Option(min=0, max=200, help="Grow the mask by so many pixels.")] = 0,
    feather: Annotated[int, typer.Option(min=0, max=200, help="Soft transition, pixels.")] = 0,
    format: Annotated[
        Format | None,
        typer.Option(help="Format to write; by the name of the output where not given.", show_default=False),
    ] = None,
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="For lossy formats.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another seed, a variant.")] = 0,
    overwrite: Annotated[bool, typer.Option(help="Write over the input, or over results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report for programs.")] = False,
) -> None:
    """Erase what the mask marks.

    A folder is worked through with a progress bar; results that are there already are left alone, so that an
    interrupted run goes on. Failures are listed, and the exit status is 1 where there were any.
    """
    from magic_eraser.cli import batch
    from magic_eraser.library import Eraser
    from magic_eraser.service.request import EraseOptions

    if photo.is_dir() != mask.is_dir():
        raise typer.BadParameter("give two files, or two folders", param_hint="PHOTO MASK")
    options = EraseOptions(model=model, dilate=dilate, feather=feather, seed=seed)
    wish = None if format is None else format.value
    if photo.is_dir():
        jobs = batch.pair(photo, mask, output, wish)
    else:
        jobs = [batch.single(photo, mask, output, wish, overwrite=overwrite)]
    with Eraser(model, device.value) as eraser:
        many = photo.is_dir()
        reports = batch.run(
            eraser, jobs, options, quality, skip_done=many and not overwrite, progress=many and not as_json
        )
    if as_json:
        typer.echo(json.dumps([report.as_json() for report in reports], ensure_ascii=False, indent=2))
    else:
        batch.tell(reports, many=photo.is_dir())
    if any(report.error for report in reports):
        raise typer.Exit(1)

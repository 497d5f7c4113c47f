"""`magic-eraser erase`: one photograph, or a folder of them."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from magic_eraser.imaging.mask import Growth

EXAMPLE = "Examples: magic-eraser erase photo.jpg mask.png -o clean.jpg; magic-eraser erase photos/ masks/ -o clean/"


class Device(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Effort(StrEnum):
    """The names of `models.inpainter.Effort`, whose import brings numpy along."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class Sampler(StrEnum):
    """The names of `models.inpainter.Sampler`, for the same reason."""

    PLMS = "plms"
    DDIM = "ddim"


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
    dilate: Annotated[
        str,
        typer.Option(metavar="PX|auto", help="Grow the mask: 0 to 200 pixels, or to the rim of the object."),
    ] = "0",
    feather: Annotated[int, typer.Option(min=0, max=200, help="Soft transition, pixels.")] = 0,
    format: Annotated[
        Format | None,
        typer.Option(help="Format to write; by the name of the output where not given.", show_default=False),
    ] = None,
    quality: Annotated[
        str | None,
        typer.Option(
            metavar="N|high",
            help="1 to 100, for lossy formats; high: of the fill, as --effort best.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another seed, a variant.")] = 0,
    effort: Annotated[Effort, typer.Option(help="How much work a fill is worth.")] = Effort.BALANCED,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="Of diffusion models; their own where not given.", show_default=False
        ),
    ] = None,
    sampler: Annotated[Sampler, typer.Option(help="Of diffusion models that have both.")] = Sampler.PLMS,
    prompt: Annotated[
        str, typer.Option(help="What is to come into the hole; some models heed it.", show_default=False)
    ] = "",
    negative_prompt: Annotated[str, typer.Option(help="What is not to.", show_default=False)] = "",
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Most time for one photograph.", show_default=False),
    ] = None,
    rough_when_late: Annotated[
        bool, typer.Option("--rough-when-late", help="Near the timeout, take the best that is there.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Processor cores for a fill; all where not given.", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Write over the input, or over results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report for programs.")] = False,
) -> None:
    """Erase what the mask marks.

    A folder is worked through with a progress bar; results that are there already are left alone, so that an
    interrupted run goes on. Failures are listed, and the exit status is 1 where there were any.
    """
    from magic_eraser.cli import batch, progress
    from magic_eraser.errors import ValidationFailed
    from magic_eraser.library import Eraser, watch_for
    from magic_eraser.models.inpainter import Effort as HowMuch
    from magic_eraser.models.inpainter import Sampler as How
    from magic_eraser.service.request import EraseOptions

    many = photo.is_dir()
    if many != mask.is_dir():
        raise typer.BadParameter("give two files, or two folders", param_hint="PHOTO MASK")
    options = EraseOptions(
        model=model,
        dilate=_growth(dilate),
        feather=feather,
        seed=seed,
        effort=HowMuch.BEST if quality == "high" else HowMuch(effort.value),
        rough_when_late=rough_when_late,
        steps=steps,
        sampler=How(sampler.value),
        prompt=prompt,
        negative_prompt=negative_prompt,
    )
    lossy = _lossy_quality(quality)
    try:
        watch_for(timeout)
    except ValidationFailed as error:
        raise typer.BadParameter(error.detail, param_hint="--timeout") from None
    wish = None if format is None else format.value
    if many:
        jobs = batch.pair(photo, mask, output, wish)
    else:
        jobs = [batch.single(photo, mask, output, wish, overwrite=overwrite)]
    with Eraser(model, device.value, threads=threads) as eraser:
        if many:
            reports = batch.run(
                eraser, jobs, options, lossy, timeout=timeout, skip_done=not overwrite, show=not as_json
            )
        else:
            with progress.of_photo(photo.name) as tell:
                reports = [batch.one(eraser, jobs[0], options, lossy, watch_for(timeout, tell))]
    if as_json:
        typer.echo(json.dumps([report.as_json() for report in reports], ensure_ascii=False, indent=2))
    else:
        batch.tell(reports, many=many)
    if any(report.error for report in reports):
        raise typer.Exit(1)


def _lossy_quality(text: str | None) -> int | None:
    if text is None or text == "high":
        return None
    if not (text.isdecimal() and 1 <= int(text) <= 100):
        raise typer.BadParameter(
            f'{text!r} is neither a number from 1 to 100 nor "high"', param_hint="--quality"
        )
    return int(text)


def _growth(text: str) -> Growth:
    if text == "auto":
        return "auto"
    if not (text.isdecimal() and int(text) <= 200):
        raise typer.BadParameter(
            f'{text!r} is neither a number from 0 to 200 nor "auto"', param_hint="--dilate"
        )
    return int(text)

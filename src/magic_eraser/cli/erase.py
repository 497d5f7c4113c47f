"""`magic-eraser erase`: one photograph, or a folder of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from magic_eraser.cli.pairs import Pair, Report
    from magic_eraser.imaging.mask import Growth
    from magic_eraser.service.request import EraseOptions

EXAMPLE = (
    "Examples: magic-eraser erase photo.jpg mask.png -o clean.jpg; magic-eraser erase photos/ masks/ -o clean/; "
    "magic-eraser erase photos/ masks/ -o clean/ --server http://host:7860"
)


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
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="MAGIC_ERASER_SERVER",
            help="Have it done by that server; a folder as a job that outlives a lost connection.",
            show_default=False,
        ),
    ] = None,
    api_key: Annotated[
        str,
        typer.Option(
            metavar="KEY", envvar="MAGIC_ERASER_API_KEY", help="Of that server.", show_default=False
        ),
    ] = "",
    overwrite: Annotated[bool, typer.Option(help="Write over the input, or over results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report for programs.")] = False,
) -> None:
    """Erase what the mask marks.

    A folder is worked through with a progress bar; results that are there already are left alone, so that an
    interrupted run goes on. Failures are listed, and the exit status is 1 where there were any.
    """
    from magic_eraser.cli import pairs
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
    wish = None if format is None else format.value
    if many:
        todo = pairs.of_folders(photo, mask, output, wish)
    else:
        todo = [pairs.single(photo, mask, output, wish, overwrite=overwrite)]
    work = _Work(todo, options, _lossy_quality(quality), timeout, many, not overwrite, not as_json)
    if server is None:
        reports = _here(work, device.value, threads)
    elif device is not Device.AUTO or threads is not None:
        raise typer.BadParameter("the server decides that", param_hint="--device, --threads")
    else:
        reports = _there(work, server, api_key, output)
    if as_json:
        typer.echo(json.dumps([report.as_json() for report in reports], ensure_ascii=False, indent=2))
    else:
        pairs.tell(reports, many=many)
    if any(report.error for report in reports):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done, wherever that is."""

    pairs: list[Pair]
    options: EraseOptions
    quality: int | None
    timeout: float | None
    many: bool
    skip_done: bool
    show: bool


def _here(work: _Work, device: str, threads: int | None) -> list[Report]:
    from magic_eraser.cli import batch, progress
    from magic_eraser.errors import ValidationFailed
    from magic_eraser.library import Eraser, watch_for

    try:
        watch_for(work.timeout)
    except ValidationFailed as error:
        raise typer.BadParameter(error.detail, param_hint="--timeout") from None
    with Eraser(work.options.model, device, threads=threads) as eraser:
        if work.many:
            return batch.run(
                eraser,
                work.pairs,
                work.options,
                work.quality,
                timeout=work.timeout,
                skip_done=work.skip_done,
                show=work.show,
            )
        (pair,) = work.pairs
        with progress.of_photo(pair.photo.name) as tell:
            return [batch.one(eraser, pair, work.options, work.quality, watch_for(work.timeout, tell))]


def _there(work: _Work, address: str, key: str, folder: Path) -> list[Report]:
    from magic_eraser.cli import remote
    from magic_eraser.cli.remote_server import RemoteServer

    if work.timeout is not None and (work.many or not 0 < work.timeout < float("inf")):
        fault = "items of a job have the server's limit" if work.many else "a number of seconds above 0"
        raise typer.BadParameter(fault, param_hint="--timeout")
    try:
        server = RemoteServer(address, key)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--server") from None
    wishes = remote.form_fields(work.options, work.pairs[0].format, work.quality)
    with server:
        if work.many:
            return remote.run(server, work.pairs, wishes, folder, skip_done=work.skip_done, show=work.show)
        return [remote.one(server, work.pairs[0], wishes, work.timeout)]


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

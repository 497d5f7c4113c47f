"""The fields of an erase, as forms and JSON bring them, and what the service is asked by them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from magic_eraser.api.forms import HIGH, PixelsOrAuto, QualityOrHigh
from magic_eraser.models.inpainter import Effort, Sampler
from magic_eraser.service.request import (
    LONGEST_PROMPT,
    MOST_STEPS,
    EraseOptions,
    OutputFormat,
    OutputOptions,
)


class EraseFields(BaseModel):
    """The fields beside the picture and the mask."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    model: str | None = Field(default=None, max_length=100, examples=["auto"])
    """A model id from `/v1/models`, or "auto"; the server's default where omitted."""
    dilate: PixelsOrAuto = Field(default=0, examples=[0, 4, "auto"])
    """Pixels by which the hole grows beyond the mask; "auto": where the rim of what it covers reaches beyond it."""
    feather: int = Field(default=0, ge=0, le=200)
    """Pixels of soft transition beyond that."""
    format: OutputFormat = "same"
    """Format of the answer: the picture's own, or another."""
    quality: QualityOrHigh = Field(default=None, examples=[90, "high"])
    """For lossy formats, 1..100; a JPEG keeps its own quantisation where omitted. "high" is of the fill, and the same
    as `effort` "best"."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Another seed gives a variant; the same one the same bytes."""
    effort: Annotated[Effort, WithJsonSchema({"type": "string", "enum": list(Effort)})] = Effort.BALANCED
    """How much work the fill is worth; only some models can take more or less of it."""
    steps: int | None = Field(default=None, ge=1, le=MOST_STEPS)
    """Of a diffusion model's sampler; the model's own number where omitted."""
    sampler: Annotated[Sampler, WithJsonSchema({"type": "string", "enum": list(Sampler)})] = Sampler.PLMS
    """Of models that have both."""
    prompt: str = Field(default="", max_length=LONGEST_PROMPT)
    """What is to come into the hole; only some models heed it."""
    negative_prompt: str = Field(default="", max_length=LONGEST_PROMPT)
    """What is not to."""
    rough_when_late: bool = False
    """Where the time limit comes near, answer the best that is there, with the notice `rough_result`, and not 504."""


class EraseJson(EraseFields):
    """The same as JSON: pictures as base64 or data URLs."""

    image: str | None = Field(default=None, examples=["data:image/png;base64,iVBORw0KGgo..."])
    """The picture; or give `image_id`."""
    image_id: str | None = Field(default=None, examples=["Zk3v0dXnQb2m8t1yJ5sWcA"])
    """A picture uploaded to `/v1/images`, or the `X-Eraser-Image-Id` of an earlier answer."""
    mask: str = Field(examples=["data:image/png;base64,iVBORw0KGgo..."])
    """White erases, black keeps; of the picture's size."""


class EraseForm(EraseFields):
    """The same as a multipart form: pictures as files."""

    image: Annotated[bytes | None, Field(json_schema_extra={"format": "binary"})] = None
    image_id: str | None = None
    mask: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]


def options_of(fields: EraseFields, default_model: str) -> tuple[EraseOptions, OutputOptions]:
    """What the service is asked.

    Args:
        default_model: for fields that name none.
    """
    options = EraseOptions(
        model=fields.model or default_model,
        dilate=fields.dilate,
        feather=fields.feather,
        seed=fields.seed,
        effort=Effort.BEST if fields.quality == HIGH else fields.effort,
        rough_when_late=fields.rough_when_late,
        steps=fields.steps,
        sampler=fields.sampler,
        prompt=fields.prompt,
        negative_prompt=fields.negative_prompt,
    )
    quality = fields.quality if isinstance(fields.quality, int) else None
    return options, OutputOptions(format=fields.format, quality=quality)

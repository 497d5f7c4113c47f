"""`GET /v1/models`: the catalogue as this caller may use it."""

from __future__ import annotations

import asyncio
from typing import Literal, TypeAlias

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from magic_eraser.accounts.principal import Principal
from magic_eraser.api import language
from magic_eraser.api.deps import TheRooms, Visitor
from magic_eraser.api.problems import responses
from magic_eraser.api.rooms import Rooms
from magic_eraser.errors import PlanForbidsModel
from magic_eraser.hosting.pool import ModelState
from magic_eraser.models.card import ModelCard, Quality, Speed

router = APIRouter(prefix="/v1", tags=["models"])


WhyCode: TypeAlias = Literal["plan", "licence", "package", "weights"]


class Model(BaseModel):
    """A model on offer."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    title: str
    licence: str
    """SPDX identifier, or "not stated"."""
    speed: Speed
    quality: Quality
    cost: int
    """Its weight on the price of a call."""
    state: ModelState
    allowed: bool
    """Whether this caller may use it."""
    why_not: str | None
    """The reason where not, and the way out."""
    why_code: WhyCode | None
    """The same for programs."""
    download_bytes: int
    """Size of the weights that are missing; 0 where none are, or it is not known."""
    memory_mb: int
    """MiB that it takes once loaded; 0 for one that needs no loading."""
    steps: int | None
    """Of its sampler, by default; null for a model that has none."""
    prompt: bool
    """Whether it heeds a prompt."""
    added: bool
    """Whether it is the operator's own."""


class Models(BaseModel):
    """What can be asked for here."""

    default: str
    """The model for requests that name none."""
    models: list[Model]


@router.get(
    "/models", summary="The models on offer", response_model=Models, responses=responses(401, 403, 503)
)
async def models(request: Request, rooms: TheRooms, caller: Visitor) -> Models:
    """`auto` may be asked for everywhere and picks the best of these that are allowed, for each hole."""
    cards = rooms.pool.cards().values()
    zh = language.of(request) == "zh"
    # in a thread, as it looks at the disk
    found = await asyncio.to_thread(lambda: [_model(rooms, caller, card, zh=zh) for card in cards])
    return Models(default=rooms.settings.models.default, models=found)


def _model(rooms: Rooms, caller: Principal, card: ModelCard, *, zh: bool) -> Model:
    why_not, why_code = _why_not(rooms, caller, card, zh=zh)
    missing = rooms.weights.missing(card) if card.weights else []
    return Model(
        id=card.id,
        title=card.title,
        licence=card.licence,
        speed=card.speed,
        quality=card.quality,
        cost=rooms.plans.book.weight(card),
        state=rooms.pool.state(card.id),
        allowed=why_code is None,
        why_not=why_not,
        why_code=why_code,
        download_bytes=sum(file.size for file in missing),
        memory_mb=card.memory_mb,
        steps=card.steps,
        prompt=card.prompt,
        added=card.added,
    )


def _why_not(
    rooms: Rooms, caller: Principal, card: ModelCard, *, zh: bool
) -> tuple[str | None, WhyCode | None]:
    """The plan first: what the server lacks helps nobody who may not use the model."""
    try:
        caller.require_model(card)
    except PlanForbidsModel as error:
        return error.detail_zh if zh else error.detail, "plan"
    why = rooms.pool.why_not(card.id)
    if why is None:
        return None, None
    return why.message_zh if zh else why.message, why.code

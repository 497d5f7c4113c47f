"""`GET /v1/models`: the catalogue as this caller may use it."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from magic_eraser.api.deps import TheRooms
from magic_eraser.hosting.pool import ModelState
from magic_eraser.models.card import Quality, Speed

router = APIRouter(prefix="/v1", tags=["models"])


class Model(BaseModel):
    """A model on offer."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    title: str
    licence: str
    """SPDX identifier."""
    speed: Speed
    quality: Quality
    cost: int
    """Its weight on the price of a call."""
    state: ModelState
    allowed: bool
    """Whether this caller may use it."""
    why_not: str | None
    """The reason where not."""


class Models(BaseModel):
    """What can be asked for here."""

    default: str
    """The model for requests that name none."""
    models: list[Model]


@router.get("/models", summary="The models on offer", response_model=Models)
async def models(rooms: TheRooms) -> Models:
    """`auto` may be asked for everywhere and picks the best of these for each hole."""
    return Models(
        default=rooms.settings.models.default,
        models=[
            Model(
                id=card.id,
                title=card.title,
                licence=card.licence,
                speed=card.speed,
                quality=card.quality,
                cost=card.cost,
                state=rooms.pool.state(card.id),
                allowed=True,
                why_not=None,
            )
            for card in rooms.pool.cards().values()
        ],
    )

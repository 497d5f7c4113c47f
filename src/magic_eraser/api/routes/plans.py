"""`GET /v1/plans`: what is on offer, for everybody to see."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from magic_eraser.api import language
from magic_eraser.api.deps import TheRooms
from magic_eraser.api.views.plans import PlanView, plan_view

router = APIRouter(prefix="/v1", tags=["plans"])


class PlansView(BaseModel):
    """The plans of this server, those that are retired left out."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    currency: str
    """ISO 4217, lower case."""
    plans: list[PlanView]
    weights: dict[str, int]
    """Of models on the price of a call; one that is not named weighs what `GET /v1/models` says."""


@router.get("/plans", summary="The plans on offer", response_model=PlansView)
async def plans(request: Request, rooms: TheRooms) -> PlansView:
    """Needs no credential, and shows the same to everybody. A plan that is retired is not here, though whoever is on it
    keeps it."""
    book = rooms.plans.book
    zh = language.of(request) == "zh"
    return PlansView(
        currency=book.currency,
        plans=[plan_view(plan, zh=zh) for plan in book.plans.values() if not plan.retired],
        weights=dict(book.weights),
    )

"""A plan as it goes over the wire."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from magic_eraser.accounts.money import to_text
from magic_eraser.accounts.plans import Charging, Feature, Plan


class PlanView(BaseModel):
    """What a plan gives and costs."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    title: str
    """In the caller's language."""
    price: str
    """A month, as a decimal."""
    calls_a_day: int | None
    """Null for no limit."""
    cost_a_call: str
    """As a decimal, times the weight of the model."""
    features: list[Feature]
    models: list[str]
    """Ids of those included, beside what `all_models` and `custom_models` bring."""
    max_pixels: int | None
    """Largest picture, width times height; null: as large as the server takes."""
    charging: Charging
    """Whether calls are paid for afterwards (`invoice`) or from credit bought before (`credit`)."""


def plan_view(plan: Plan, *, zh: bool) -> PlanView:
    """The plan, its title in Chinese or English."""
    return PlanView(
        id=plan.id,
        title=plan.title_zh if zh else plan.title,
        price=to_text(plan.price),
        calls_a_day=plan.calls_a_day,
        cost_a_call=to_text(plan.cost_a_call),
        features=[feature for feature in Feature if feature in plan.features],
        models=sorted(plan.models),
        max_pixels=plan.max_pixels,
        charging=plan.charging,
    )

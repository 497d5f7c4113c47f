"""The keys of one plan in a file of plans, each judged by itself, then those that must go together."""

from __future__ import annotations

import difflib
import re
from zoneinfo import ZoneInfo, available_timezones

from magic_eraser.accounts.money import parse
from magic_eraser.accounts.plan_files.faults import Faults
from magic_eraser.accounts.plans import Charging, Feature, Plan

DEFAULT, TIMEZONE, CURRENCY = "free", "UTC", "usd"
KEYS = (
    "title",
    "title_zh",
    "price",
    "calls_a_day",
    "cost_a_call",
    "features",
    "models",
    "max_pixels",
    "charging",
    "free_cached",
    "retired",
    "stripe_price",
)
"""Of a plan."""
NEEDED = ("title", "price", "calls_a_day", "cost_a_call", "features")
UNLIMITED = "unlimited"
MOST_CALLS = 10**9
MOST_PIXELS = 10**12
LONGEST = 100
"""Characters of a text."""
_ID = re.compile("[a-z0-9][a-z0-9_-]{0,39}")


def zone(faults: Faults, name: object) -> ZoneInfo | None:
    """The time zone `timezone`; None where it is a fault."""
    try:
        if isinstance(name, str) and name:
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; a path out of the folder; a folder
        pass
    known = sorted(available_timezones())
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.8)
    way = f'did you mean "{near[0]}"?' if near else 'names are such as "UTC" or "Asia/Shanghai"'
    faults.add(("timezone",), f"timezone: there is no time zone {name!r}; {way}")
    return None


def read_plan(faults: Faults, id: str, table: object) -> Plan | None:
    """One plan; None where it has faults."""
    before = len(faults)
    if not _ID.fullmatch(id):
        faults.add(
            ("plans", id),
            f'plan "{id}": a name has 1 to 40 small letters, digits, _ and -, and no _ or - first',
        )
    if not isinstance(table, dict):
        faults.add(("plans", id), f'plan "{id}": not a table such as [plans.{id}]')
        return None
    faults.unknown(("plans", id), table, KEYS, f'plan "{id}": ')
    for key in NEEDED:
        if key not in table:
            faults.of_plan(id, key, "is missing")
    keys = _Keys(faults, id, table)
    features = frozenset(Feature(name) for name in keys.names("features", tuple(Feature)))
    models = frozenset(keys.names("models"))
    title = keys.text("title")
    plan = Plan(
        id=id,
        title=title,
        title_zh=keys.text("title_zh") or title,
        price=keys.amount("price"),
        calls_a_day=None
        if table.get("calls_a_day") == UNLIMITED
        else keys.number("calls_a_day", 0, MOST_CALLS),
        cost_a_call=keys.amount("cost_a_call"),
        features=features,
        models=models,
        max_pixels=keys.number("max_pixels", 1, MOST_PIXELS),
        charging=Charging(keys.choice("charging", tuple(Charging)) or Charging.INVOICE),
        free_cached=keys.flag("free_cached"),
        retired=keys.flag("retired"),
        stripe_price=keys.text("stripe_price"),
    )
    if len(faults) == before:
        _go_together(faults, plan)
    return plan if len(faults) == before else None


def _go_together(faults: Faults, plan: Plan) -> None:
    if Feature.BASIC_INPAINT not in plan.features:
        faults.of_plan(
            plan.id,
            "features",
            f'"{Feature.BASIC_INPAINT}" is missing, without which it could not erase at all',
        )
    if not plan.models and not plan.features & {Feature.ALL_MODELS, Feature.CUSTOM_MODELS}:
        faults.of_plan(
            plan.id, "models", f'there are none; name some, or give it the feature "{Feature.ALL_MODELS}"'
        )
    hd = Feature.HD_PROCESSING in plan.features
    if hd and plan.max_pixels is not None:
        faults.of_plan(
            plan.id,
            "max_pixels",
            f'a plan with "{Feature.HD_PROCESSING}" takes pictures as large as the server does; remove one of the two',
        )
    if not hd and plan.max_pixels is None:
        faults.of_plan(
            plan.id,
            "max_pixels",
            f'is missing: a plan without "{Feature.HD_PROCESSING}" needs it, such as max_pixels = 4_000_000',
        )


class _Keys:
    """The values of a plan's table. What is wrong becomes a fault, and something harmless is given in its place."""

    def __init__(self, faults: Faults, plan: str, table: dict[str, object]) -> None:
        self._faults = faults
        self._plan = plan
        self._table = table

    def text(self, key: str) -> str:
        value = self._table.get(key, "")
        if isinstance(value, str) and len(value) <= LONGEST and value.isprintable():
            if key in NEEDED and key in self._table and not value.strip():
                self._fault(key, "is empty")
            return value
        self._fault(key, f"not a text of one line and at most {LONGEST} characters, in quotes")
        return ""

    def amount(self, key: str) -> int:
        value = self._table.get(key, "0")
        if type(value) in (int, float):
            self._fault(key, f'put the amount in quotes: {key} = "{value}"')
        elif not isinstance(value, str):
            self._fault(key, f'{value!r} is not an amount in quotes such as "0.10"')
        else:
            try:
                return parse(value)
            except ValueError as error:
                self._fault(key, str(error))
        return 0

    def number(self, key: str, least: int, most: int) -> int | None:
        value = self._table.get(key)
        if value is None or (type(value) is int and least <= value <= most):
            return value
        otherwise = f', or "{UNLIMITED}"' if key == "calls_a_day" else ""
        self._fault(key, f"{value!r} is not a whole number from {least} to {most}{otherwise}")
        return None

    def flag(self, key: str) -> bool:
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            self._fault(key, f"{value!r} is neither true nor false (without quotes)")
        return value is True

    def choice(self, key: str, known: tuple[str, ...]) -> str | None:
        value = self._table.get(key)
        if value is None or value in known:
            return value
        self._fault(key, f"there is no {value!r}{self._faults.nearest(value, known)}")
        return None

    def names(self, key: str, known: tuple[str, ...] | None = None) -> list[str]:
        """Of a list; those that are not known, where it matters, are left out."""
        value = self._table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
            self._fault(key, f'not a list of names in quotes such as {key} = ["{(known or ("lama",))[0]}"]')
            return []
        for name in value:
            if known is not None and name not in known:
                self._fault(key, f"there is no {name!r}{self._faults.nearest(name, known)}")
        return [name for name in value if known is None or name in known]

    def _fault(self, key: str, message: str) -> None:
        self._faults.of_plan(self._plan, key, message)

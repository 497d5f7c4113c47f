"""Plans from a TOML file: read, judged as a whole, and put in the place of those in force."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from magic_eraser.accounts.plan_files.faults import Faults
from magic_eraser.accounts.plan_files.plan_keys import CURRENCY, DEFAULT, TIMEZONE, read_plan, zone
from magic_eraser.accounts.plan_files.toml_lines import Lines
from magic_eraser.accounts.plan_use import missing
from magic_eraser.accounts.plans import Plan, PlanBook, Plans
from magic_eraser.errors import SettingsError

SHIPPED = Path(str(files("magic_eraser.accounts") / "plans.toml"))
"""The plans that come with the program."""
MOST_BYTES = 1024 * 1024
HEAVIEST = 1000
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def read(path: Path | None) -> PlanBook:
    """All plans of a file.

    Args:
        path: of it; `SHIPPED` where None.

    Raises:
        SettingsError: it cannot be read, or with every fault of it, a line each: `plans.toml:12: what`.
    """
    path = path or SHIPPED
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(_syntax(path, text, str(error))) from None
    faults = Faults(path, Lines(text))
    book = _book(content, faults)
    faults.raise_if_any()
    assert book is not None
    return book


def reload(plans: Plans, path: Path | None, used: Mapping[str, int]) -> None:
    """Put the plans of a file in force.

    Args:
        path: see `read`.
        used: how many users are on each plan, see `plan_use.users_by_plan`.

    Raises:
        SettingsError: see `read`, or users are on a plan that is gone; those in force stay.
    """
    book = read(path)
    fault = missing(book, used, path or SHIPPED)
    if fault is not None:
        raise fault
    plans.book = book


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"{path}: the plans cannot be read: {error.strerror or error}. ERASER_PLANS_FILE names the file."
        ) from None
    if len(data) > MOST_BYTES:
        raise SettingsError(f"{path}: a file of plans has at most {MOST_BYTES} bytes.")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}:{line}: not UTF-8; save the file in that encoding.") from None


def _syntax(path: Path, text: str, message: str) -> str:
    found = _AT.search(message)
    line = found.group(1) if found else None
    last = len(text.rstrip().splitlines()) or 1
    return f"{path}:{line or last}: not TOML: {_AT.sub('', message)}"


def _book(content: dict[str, object], faults: Faults) -> PlanBook | None:
    """None where there are faults that leave nothing to look at."""
    faults.unknown((), content, ("default", "timezone", "currency", "model_weights", "plans"))
    weights = _weights(content, faults)
    time_zone = zone(faults, content.get("timezone", TIMEZONE))
    currency = content.get("currency", CURRENCY)
    if not (isinstance(currency, str) and re.fullmatch("[a-z]{3}", currency)):
        faults.add(
            ("currency",), f'currency: {currency!r} is not a currency of three small letters such as "usd"'
        )
    tables = content.get("plans")
    if not isinstance(tables, dict) or not tables:
        faults.add(("plans",), "plans: there are no plans; at least one is needed, such as [plans.free]")
        return None
    read = ((name, read_plan(faults, name, table)) for name, table in tables.items())
    plans = {name: plan for name, plan in read if plan is not None}
    _sold_once(plans, faults)
    name = content.get("default", DEFAULT)
    default = _default(name, tables, plans, faults)
    if default is None or time_zone is None:
        return None
    return PlanBook(plans, default, time_zone, str(currency), weights)


def _weights(content: dict[str, object], faults: Faults) -> dict[str, int]:
    given = content.get("model_weights", {})
    if not isinstance(given, dict):
        faults.add(
            ("model_weights",),
            "model_weights: not a table such as [model_weights] with lines such as lama = 1",
        )
        return {}
    weights = {}
    for model, weight in given.items():
        if type(weight) is int and 1 <= weight <= HEAVIEST:
            weights[model] = weight
        else:
            faults.add(
                ("model_weights", model),
                f"model_weights: {model}: {weight!r} is not a whole number from 1 to {HEAVIEST}",
            )
    return weights


def _default(name: object, tables: dict[str, object], plans: dict[str, Plan], faults: Faults) -> Plan | None:
    if not isinstance(name, str) or name not in tables:
        faults.add(("default",), f"default: there is no plan {name!r}{faults.nearest(name, tables)}")
        return None
    plan = plans.get(name)
    if plan is None:  # it has faults of its own
        return None
    if plan.retired:
        faults.add(
            ("default",), f'default: the plan "{name}" is retired; new users need one that is on offer'
        )
    if plan.price:
        faults.add(
            ("default",), f'default: the plan "{name}" has a price; nobody asked for it, so it must be "0"'
        )
    return plan


def _sold_once(plans: dict[str, Plan], faults: Faults) -> None:
    """What was bought at Stripe is told by its price alone."""
    sold: dict[str, str] = {}
    for plan in plans.values():
        if plan.stripe_price and plan.stripe_price in sold:
            faults.of_plan(
                plan.id,
                "stripe_price",
                f'{plan.stripe_price!r} is that of "{sold[plan.stripe_price]}" as well',
            )
        sold.setdefault(plan.stripe_price, plan.id)

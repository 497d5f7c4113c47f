"""Files of plans: the guide's own, and everything that an operator may write wrong."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magic_eraser.accounts.money import parse
from magic_eraser.accounts.plan_files.plan_file import MOST_BYTES, SHIPPED, read, reload
from magic_eraser.accounts.plan_use import missing
from magic_eraser.accounts.plans import Charging, Feature, Plans
from magic_eraser.accounts.priority import Priority
from magic_eraser.errors import SettingsError
from magic_eraser.models.catalog import CATALOG

FREE = """\
[plans.free]
title = "Free"
title_zh = "免费版"
price = "0"
calls_a_day = 10
cost_a_call = "0"
features = ["basic_inpaint"]
models = ["lama"]
max_pixels = 4_000_000
"""
GOLD = """\
[plans.gold]
title = "Gold"
price = "49.50"
calls_a_day = "unlimited"
cost_a_call = "0.00125"
features = ["basic_inpaint", "hd_processing", "all_models"]
charging = "credit"
stripe_price = "price_123"
"""


@pytest.fixture
def written(tmp_path):
    """`written(text)`: the path of a file with it."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "plans.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def faults(written):
    """`faults(text)`: the lines of the error, `LINE: what`, without the name of the file."""

    def of(text: str | bytes) -> list[str]:
        path = written(text)
        with pytest.raises(SettingsError) as caught:
            read(path)
        lines = str(caught.value).splitlines()
        assert all(line.startswith(f"{path}:") for line in lines)
        return [line.removeprefix(f"{path}:") for line in lines]

    return of


# --- the plans that come with the program -----------------------------------------------------------------


def test_the_plans_that_come_with_the_program_are_those_of_the_guide():
    book = read(None)
    assert [
        (plan.id, plan.price, plan.calls_a_day, plan.cost_a_call, plan.charging)
        for plan in book.plans.values()
    ] == [
        ("free", 0, 10, 0, Charging.INVOICE),
        ("basic", parse("29"), 100, parse("0.10"), Charging.INVOICE),
        ("pro", parse("99"), 1000, parse("0.05"), Charging.INVOICE),
        ("enterprise", parse("299"), None, parse("0.02"), Charging.INVOICE),
    ]
    assert (book.default.id, book.zone.key, book.currency) == ("free", "UTC", "usd")
    assert dict(book.weights) == {"lama": 1, "mat": 2, "ldm": 3}


def test_each_plan_of_the_guide_has_what_the_one_below_it_has_and_more():
    plans = list(read(None).plans.values())
    assert plans[0].features == {Feature.BASIC_INPAINT}
    assert plans[1].features - plans[0].features == {Feature.HD_PROCESSING}
    assert plans[2].features - plans[1].features == {
        Feature.ALL_MODELS,
        Feature.BATCH_PROCESSING,
        Feature.API_ACCESS,
    }
    assert plans[3].features == set(Feature)
    for below, above in pairwise(plans):
        assert below.features < above.features
        for entry in CATALOG.values():
            assert above.allows(entry.card) or not below.allows(entry.card)
    assert [plan.priority for plan in plans] == [Priority.NORMAL] * 3 + [Priority.FIRST]


def test_every_model_that_they_name_is_in_the_catalogue():
    book = read(None)
    named = set(book.weights).union(*(plan.models for plan in book.plans.values()))
    assert named <= CATALOG.keys()
    assert {"lama", "patch"} <= book.default.models  # `lama` and the embedded engine


# --- what an operator may write ---------------------------------------------------------------------------


def test_a_plan_of_ones_own(written):
    book = read(written(f'timezone = "Asia/Shanghai"\ncurrency = "cny"\n{FREE}{GOLD}'))
    gold = book.plans["gold"]
    assert (gold.price, gold.cost_a_call, gold.calls_a_day) == (4_950_000, 125, None)
    assert (gold.title, gold.title_zh) == ("Gold", "Gold")
    assert (gold.charging, gold.retired, gold.stripe_price) == (Charging.CREDIT, False, "price_123")
    assert (book.zone.key, book.currency, dict(book.weights)) == ("Asia/Shanghai", "cny", {})
    assert list(book.plans) == ["free", "gold"]


def test_a_file_of_windows_is_read_as_well(written, faults):
    text = f"{FREE}{GOLD}".replace("\n", "\r\n").encode("utf-8-sig")
    assert list(read(written(text)).plans) == ["free", "gold"]
    assert faults(text.replace(b'"49.50"', b"49.50")) == [
        '12: plan "gold": price: put the amount in quotes: price = "49.5"'
    ]


ONE_FAULT = {
    # in a plan: (what stands in GOLD, what stands there instead, the one fault told of it)
    "no amount": (
        'cost_a_call = "0.00125"',
        'cost_a_call = "0.1.0"',
        "14: plan \"gold\": cost_a_call: '0.1.0' is not an amount such as 0.10",
    ),
    "a float": (
        'cost_a_call = "0.00125"',
        "cost_a_call = 0.1",
        '14: plan "gold": cost_a_call: put the amount in quotes: cost_a_call = "0.1"',
    ),
    "a number": (
        'price = "49.50"',
        "price = 49",
        '12: plan "gold": price: put the amount in quotes: price = "49"',
    ),
    "a negative price": (
        '"49.50"',
        '"-1"',
        "12: plan \"gold\": price: '-1' is not an amount from 0 to 10000000000",
    ),
    "finer than money": (
        '"0.00125"',
        '"0.0000001"',
        "14: plan \"gold\": cost_a_call: '0.0000001' is finer than a thousandth of a cent",
    ),
    "true is no amount": (
        '"49.50"',
        "true",
        '12: plan "gold": price: True is not an amount in quotes such as "0.10"',
    ),
    "no number": (
        '"unlimited"',
        '"many"',
        '13: plan "gold": calls_a_day: \'many\' is not a whole number from 0 to 1000000000, or "unlimited"',
    ),
    "true is no number": (
        '"unlimited"',
        "true",
        '13: plan "gold": calls_a_day: True is not a whole number from 0 to 1000000000, or "unlimited"',
    ),
    "negative": (
        '"unlimited"',
        "-1",
        '13: plan "gold": calls_a_day: -1 is not a whole number from 0 to 1000000000, or "unlimited"',
    ),
    "a feature misspelt": (
        '"hd_processing"',
        '"hd_procesing"',
        '15: plan "gold": features: there is no \'hd_procesing\'; did you mean "hd_processing"?',
    ),
    "features as a text": (
        '["basic_inpaint", "hd_processing", "all_models"]',
        '"all_models"',
        '15: plan "gold": features: not a list of names in quotes such as features = ["basic_inpaint"]',
    ),
    "numbers as features": (
        '"all_models"]',
        "1]",
        '15: plan "gold": features: not a list of names in quotes such as features = ["basic_inpaint"]',
    ),
    "nothing erases": (
        '"basic_inpaint", ',
        "",
        '15: plan "gold": features: "basic_inpaint" is missing, without which it could not erase at all',
    ),
    "no model": (
        ', "all_models"',
        "",
        '10: plan "gold": models: there are none; name some, or give it the feature "all_models"',
    ),
    "no size": (
        '"hd_processing", ',
        "",
        (
            '10: plan "gold": max_pixels: is missing: a plan without "hd_processing" needs it, '
            "such as max_pixels = 4_000_000"
        ),
    ),
    "a size too many": (
        'title = "Gold"',
        'title = "Gold"\nmax_pixels = 5',
        (
            '12: plan "gold": max_pixels: a plan with "hd_processing" takes pictures as large as the server does; '
            "remove one of the two"
        ),
    ),
    "no size at all": (
        'title = "Gold"',
        'title = "Gold"\nmax_pixels = 0',
        '12: plan "gold": max_pixels: 0 is not a whole number from 1 to 1000000000000',
    ),
    "charging misspelt": (
        '"credit"',
        '"credits"',
        '16: plan "gold": charging: there is no \'credits\'; did you mean "credit"?',
    ),
    "charging as a list": (
        '"credit"',
        '["credit"]',
        '16: plan "gold": charging: there is no [\'credit\']; did you mean "credit"?',
    ),
    "retired in quotes": (
        'charging = "credit"',
        'retired = "yes"',
        "16: plan \"gold\": retired: 'yes' is neither true nor false (without quotes)",
    ),
    "a key misspelt": (
        'charging = "credit"',
        'chargin = "credit"',
        '16: plan "gold": chargin: there is no such key; did you mean "charging"?',
    ),
    "a key missing": ('price = "49.50"\n', "", '10: plan "gold": price: is missing'),
    "no title": ('"Gold"', '" "', '11: plan "gold": title: is empty'),
    "a title of two lines": (
        '"Gold"',
        '"Go\\nld"',
        '11: plan "gold": title: not a text of one line and at most 100 characters, in quotes',
    ),
    "a name with capitals": (
        "[plans.gold]",
        "[plans.Gold]",
        '10: plan "Gold": a name has 1 to 40 small letters, digits, _ and -, and no _ or - first',
    ),
}


@pytest.mark.parametrize(("right", "wrong", "told"), ONE_FAULT.values(), ids=ONE_FAULT)
def test_what_is_wrong_in_a_plan_is_told_with_its_line(faults, right, wrong, told):
    assert right in GOLD
    assert faults(FREE + GOLD.replace(right, wrong, 1)) == [told]


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ('defalt = "free"\n', '1: defalt: there is no such key; did you mean "default"?'),
        ('\ndefault = "fre"\n', "2: default: there is no plan 'fre'; did you mean \"free\"?"),
        ("default = 1\n", "1: default: there is no plan 1; there are: free, gold"),
        (
            'default = "gold"\n',
            '1: default: the plan "gold" has a price; nobody asked for it, so it must be "0"',
        ),
        (
            'timezone = "Europe/Berln"\n',
            "1: timezone: there is no time zone 'Europe/Berln'; did you mean \"Europe/Berlin\"?",
        ),
        (
            'timezone = "../../etc/passwd"\n',
            '1: timezone: there is no time zone \'../../etc/passwd\'; names are such as "UTC" or "Asia/Shanghai"',
        ),
        (
            'timezone = "Asia"\n',
            '1: timezone: there is no time zone \'Asia\'; names are such as "UTC" or "Asia/Shanghai"',
        ),
        (
            "timezone = 0\n",
            '1: timezone: there is no time zone 0; names are such as "UTC" or "Asia/Shanghai"',
        ),
        (
            'currency = "dollars"\n',
            "1: currency: 'dollars' is not a currency of three small letters such as \"usd\"",
        ),
        (
            "[model_weights]\nlama = 1\nmat = 0\n",
            "3: model_weights: mat: 0 is not a whole number from 1 to 1000",
        ),
        (
            "[model_weights]\nmat = 1001\n",
            "2: model_weights: mat: 1001 is not a whole number from 1 to 1000",
        ),
        (
            "[model_weights]\nmat = true\n",
            "2: model_weights: mat: True is not a whole number from 1 to 1000",
        ),
        (
            "model_weights = 3\n",
            "1: model_weights: not a table such as [model_weights] with lines such as lama = 1",
        ),
    ],
)
def test_what_is_wrong_above_the_plans_is_told_with_its_line(faults, before, told):
    assert faults(before + FREE + GOLD) == [told]


def test_the_default_plan_is_one_on_offer(faults):
    assert faults(f"{FREE}retired = true\n") == [
        '1: default: the plan "free" is retired; new users need one that is on offer'
    ]


def test_a_price_of_stripes_belongs_to_one_plan(faults):
    silver = GOLD.replace("plans.gold", "plans.silver")
    assert faults(FREE + GOLD + silver) == [
        '25: plan "silver": stripe_price: \'price_123\' is that of "gold" as well'
    ]


@pytest.mark.parametrize("text", ["", 'default = "free"\n', "[plans]\n", "plans = 3\n"])
def test_at_least_one_plan_is_needed(faults, text):
    assert faults(text) == ["1: plans: there are no plans; at least one is needed, such as [plans.free]"]


def test_a_plan_that_is_no_table_is_told(faults):
    assert faults("plans.gold = 3\nplans.free.title = 'x'\n")[0] == (
        '1: plan "gold": not a table such as [plans.gold]'
    )


def test_all_faults_of_a_file_are_told_at_once_in_its_order(faults):
    wrong = GOLD.replace('"49.50"', "1.5").replace('"credit"', '"cash"').replace("title =", "titel =")
    found = faults(f'timezone = "Moon"\n{FREE}{wrong}colour = "red"\n')
    assert [int(line.partition(":")[0]) for line in found] == [1, 11, 12, 13, 17, 19]
    assert "colour: there is no such key" in found[-1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{FREE}price = \n", r"10: not TOML: Invalid value"),
        (f"{FREE}[plans.free]\n", r"10: not TOML: Cannot declare .* twice"),
        (f'{FREE}price = "1"\n', r"10: not TOML: Cannot overwrite a value"),
        (f"{FREE}features = [\n\n", r"10: not TOML: Invalid value"),
        (FREE.encode() + b'title = "\xff"\n', r"10: not UTF-8"),
    ],
)
def test_a_file_that_is_no_toml_is_told_with_its_line(faults, text, told):
    (found,) = faults(text)
    assert re.match(told, found)


def test_a_file_that_cannot_be_read_is_told(tmp_path, written):
    with pytest.raises(SettingsError, match=r"No such file.*ERASER_PLANS_FILE"):
        read(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="Is a directory"):
        read(tmp_path)
    with pytest.raises(SettingsError, match="at most"):
        read(written("#" * (MOST_BYTES + 1)))


SCRAPS = st.sampled_from(
    [
        "[plans.free]", "[plans.x]", "[[plans.x]]", "[model_weights]", "plans = 1", "price = '1'", "price = nan",
        "title = 'a'", "features = ['basic_inpaint', 'all_models']", "features = [[1]]", "calls_a_day = inf",
        "retired = 1979-05-27", "models = {a = 1}", "max_pixels = 99999999999999999999", "timezone = ''",
        "timezone = '\\u0000'", 'timezone = "\\u0000"', "default.x = 1", "stripe_price = 1", "charging = {}",
        "currency = []", "'' = 1", "title_zh = 1.5", "cost_a_call = '-0'", "lama = '1'",
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(SCRAPS | st.text(max_size=20), max_size=12))
def test_whatever_stands_in_a_file_it_is_a_book_or_lines_of_faults(tmp_path_factory, scraps):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes("\n".join(scraps).encode("utf-8", "surrogatepass"))
    told = ""
    try:
        book = read(path)
    except SettingsError as error:
        told = str(error)
    else:
        assert book.default.id in book.plans
    first, *lines = told.split(f"{path}:")
    assert first == ""
    assert all(re.match(r"[1-9]\d*: \S", line) for line in lines)


# --- another file in the place of the one in force ---------------------------------------------------------


def test_a_reload_puts_the_new_plans_in_force(written):
    plans = Plans(read(None))
    reload(plans, written(FREE + GOLD), {"free": 3, "gold": 1})
    assert list(plans.book.plans) == ["free", "gold"]
    reload(plans, None, {})
    assert plans.book == read(SHIPPED)


def test_a_reload_of_a_file_with_faults_changes_nothing(written):
    plans = Plans(before := read(None))
    with pytest.raises(SettingsError, match="price"):
        reload(plans, written(FREE + GOLD.replace('"49.50"', "1")), {})
    assert plans.book is before


def test_a_plan_with_users_on_it_cannot_go(written):
    plans = Plans(before := read(None))
    path = written(FREE)
    with pytest.raises(SettingsError) as caught:
        reload(plans, path, {"basic": 1, "free": 7, "pro": 20})
    assert plans.book is before
    assert str(caught.value).splitlines() == [
        f'{path}: the plan "{plan}" is gone, but {who} on it. Put it back, with "retired = true" if it is no longer on '
        "offer, or move them first: magic-eraser users set-plan USER PLAN"
        for plan, who in (("basic", "1 user is"), ("pro", "20 users are"))
    ]


def test_a_plan_that_is_retired_stays_for_those_who_are_on_it(written):
    path = written(FREE + GOLD + "retired = true\n")
    book = read(path)
    assert book.plans["gold"].retired
    assert missing(book, {"gold": 5}, path) is None


def test_a_user_whose_plan_is_gone_nevertheless_is_on_the_default_one():
    assert Plans(read(None)).of("gold").id == "free"

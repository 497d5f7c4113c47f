"""On which line each key of a TOML file stands, however the file is written."""

from __future__ import annotations

import json
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from magic_eraser.accounts.plan_files.toml_lines import Lines

TRICKY = '''# plans.basic = "not here"
default = "free" # price = 1
[model_weights]
lama = 1

  [ plans . "ba.sic" ]
title = "[plans.pro]"
features = [  # ] not yet
    "a # b", "c]",
    'd',
]
title_zh = """
price = "7"
\\""" quotes\\"
""""
other = \'\'\'
[plans.wrong]
\'\'\'
price = "1"
plans-x.y = { price = 3, title = "z" }
[plans.pro]
price = 2'''


def test_strings_comments_arrays_and_quoted_names_do_not_mislead():
    tomllib.loads(TRICKY)
    lines = Lines(TRICKY)
    there = {
        ("default",): 2,
        ("model_weights",): 3,
        ("model_weights", "lama"): 4,
        ("plans", "ba.sic"): 6,
        ("plans", "ba.sic", "title"): 7,
        ("plans", "ba.sic", "features"): 8,
        ("plans", "ba.sic", "title_zh"): 12,
        ("plans", "ba.sic", "other"): 16,
        ("plans", "ba.sic", "price"): 19,
        ("plans", "ba.sic", "plans-x", "y"): 20,
        ("plans", "ba.sic", "plans-x", "y", "price"): 20,
        ("plans", "pro"): 21,
        ("plans", "pro", "price"): 22,
    }
    assert {path: lines.of(*path) for path in there} == there


def test_what_is_missing_is_told_at_what_it_is_missing_in():
    lines = Lines("\n[plans.free]\ntitle = 'x'\n")
    assert lines.of("plans", "free", "price") == 2
    assert lines.of("plans", "pro") == 2  # the first that names `plans`
    assert lines.of("default") == 1
    assert Lines("").of("plans") == 1


NAMES = st.text("abc-_1", min_size=1, max_size=4) | st.text("a.[]=#' é", min_size=1, max_size=4).map(
    json.dumps
)
STRINGS = st.text('ab"[]{}#=\\\n', max_size=12)
VALUES = st.one_of(
    st.integers().map(str),
    STRINGS.map(json.dumps),
    st.lists(STRINGS.map(json.dumps)).map(lambda parts: "[ # ]\n" + ",\n\n".join(parts) + "\n]"),
    st.text("ab[]#=\n'", max_size=12)
    .filter(lambda text: "'''" not in text)
    .map(lambda text: f"'''\n{text}x'''"),
    st.text('ab[]#=\n"', max_size=12)
    .filter(lambda text: '"""' not in text)
    .map(lambda text: f'"""\n{text}x"""'),
    STRINGS.map(json.dumps).map(lambda text: f"{{ a = {text}, b = [{text}] }}"),
)


@given(
    st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=4),
    st.lists(st.sampled_from(["", "# [x] = 'y", "   "]), max_size=3),
)
def test_every_key_of_every_file_is_found_where_it_was_written(tables, between):
    text, there = "", {}

    def plain(name):
        return next(iter(tomllib.loads(f"{name} = 1")))

    seen = set()
    for name, keys in tables.items():
        if plain(name) in seen:  # `a` and `"a"` are one name, which may be written once
            continue
        seen.add(plain(name))
        text += "".join(f"{line}\n" for line in between)
        there[(plain(name),)] = text.count("\n") + 1
        text += f" [ {name} ] # [other]\n"
        keys_seen = set()
        for key, value in keys.items():
            if plain(key) in keys_seen:
                continue
            keys_seen.add(plain(key))
            there[plain(name), plain(key)] = text.count("\n") + 1
            text += f"{key} = {value} # = 1\n"
    content = tomllib.loads(text)
    lines = Lines(text)
    assert {path: lines.of(*path) for path in there} == there
    assert {(name, key) for name, table in content.items() for key in table} <= there.keys()

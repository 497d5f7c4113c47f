"""`/v1/account`: the numbers that are shown are those that refuse."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from accounts_house import OPERATOR, accounts_house, assert_problem
from magic_eraser.accounts.principal import Scope

SECRET = "eras_live_"


@pytest.fixture
def house(tmp_path):
    with accounts_house(tmp_path) as house:
        yield house


@pytest.fixture
def erase(house, coffee_png, dot_png):
    """`erase(caller, **fields)`: a dot erased from the coffee, by a model that takes no time."""

    def post(caller, **fields):
        files = {"image": ("a.png", coffee_png), "mask": ("b.png", dot_png)}
        return house.client.post("/v1/erase", files=files, data={"model": "telea"} | fields, headers=caller)

    return post


def test_a_server_that_asks_nobody_says_so_and_limits_nothing(client):
    account = client.get("/v1/account")
    assert account.status_code == 200
    assert account.json() == {
        "mode": "off", "signed_in": False, "user": None, "scopes": ["erase", "jobs", "account:read"], "plan": None,
        "today": None, "credit": None, "owed": None, "subscription": None, "payments": None,
    }  # fmt: skip
    assert account.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/account/ledger"), ("GET", "/v1/keys"), ("POST", "/v1/keys"), ("GET", "/v1/subscription"),
        ("POST", "/v1/subscription"), ("GET", "/v1/admin/users"), ("POST", "/v1/admin/models/telea/load"),
    ],
)  # fmt: skip
def test_without_accounts_there_is_nothing_to_keep_and_nobody_to_administer(client, method, path):
    body = assert_problem(client.request(method, path, json={"name": "x", "plan": "pro"}), 404, "not_found")
    assert "ERASER_AUTH__MODE" in body["detail"]


def test_without_accounts_usage_is_there_all_the_same(client, coffee_png, dot_png):
    files = {"image": ("a.png", coffee_png), "mask": ("b.png", dot_png)}
    assert client.post("/v1/erase", files=files, data={"model": "telea"}).status_code == 200
    client.portal.call(client.app.state.rooms.usage.flush)
    assert client.get("/v1/account/usage").json()["total"]["calls"] == 1


def test_a_caller_without_a_credential_sees_the_default_plan_and_the_calls_of_its_address(
    tmp_path, coffee_png, dot_png
):
    files = {"image": ("a.png", coffee_png), "mask": ("b.png", dot_png)}
    with accounts_house(tmp_path, mode="optional") as house:
        assert house.client.post("/v1/erase", files=files, data={"model": "telea"}).status_code == 200
        account = house.client.get("/v1/account").json()
    assert (account["mode"], account["signed_in"], account["user"]) == ("optional", False, None)
    assert (account["plan"]["id"], account["scopes"]) == ("free", ["erase", "jobs", "account:read"])
    assert (account["today"]["used"], account["today"]["left"], account["today"]["limit"]) == (1, 9, 10)
    assert (account["credit"], account["owed"], account["payments"]) == (None, None, None)


def test_a_user_sees_plan_calls_and_money(house, erase):
    alice = house.user("alice", plan="basic", email="alice@example.com")
    assert erase(alice).status_code == 200

    account = house.client.get("/v1/account", headers=alice).json()

    assert account["signed_in"] is True
    assert account["user"] == {"id": "alice", "email": "alice@example.com", "role": "user"}
    assert account["plan"]["id"] == "basic"
    assert account["plan"]["calls_a_day"] == 100
    today = account["today"]
    assert (today["used"], today["held"], today["left"], today["limit"]) == (1, 0, 99, 100)
    assert today["day"] == datetime.now(UTC).date().isoformat()
    midnight = datetime.fromisoformat(today["resets_at"])
    assert timedelta(0) < midnight - datetime.now(UTC) <= timedelta(days=1)
    assert (account["owed"], account["credit"], account["payments"]) == ("0.10", "0.00", "manual")
    assert SECRET not in str(account)


def test_the_plan_has_the_callers_language(house):
    alice = house.user("alice")
    chinese = house.client.get("/v1/account", headers=alice | {"Accept-Language": "zh-CN"}).json()
    assert chinese["plan"]["title"] == "专业版"


def test_what_is_shown_as_left_is_what_is_taken(house, erase):
    alice = house.user("alice", plan="free")
    for _ in range(9):
        assert erase(alice, seed=str(_)).status_code == 200
    left = house.client.get("/v1/account", headers=alice).json()["today"]["left"]
    assert left == 1
    assert erase(alice, seed="20").status_code == 200
    assert house.client.get("/v1/account", headers=alice).json()["today"]["left"] == 0
    refused = assert_problem(erase(alice, seed="21"), 429, "quota_exhausted")
    assert refused["retry_after"] > 0


def test_a_plan_without_limit_has_none(house):
    boss = house.user("boss", plan="enterprise")
    today = house.client.get("/v1/account", headers=boss).json()["today"]
    assert (today["limit"], today["left"]) == (None, None)


def test_a_key_that_may_only_erase_does_not_see_the_account(house):
    house.user("alice")
    narrow = house.key("alice", scopes={Scope.ERASE})
    for path in ("", "/usage", "/ledger"):
        refused = house.client.get(f"/v1/account{path}", headers=narrow)
        assert assert_problem(refused, 403, "insufficient_scope")["scope"] == "account:read"
        assert 'scope="account:read"' in refused.headers["www-authenticate"]


# --- usage --------------------------------------------------------------------------------------------


def test_usage_by_day_has_every_day_and_adds_up(house, erase):
    alice = house.user("alice", plan="basic")
    assert erase(alice).status_code == 200
    assert erase(alice).status_code == 200  # from the cache
    house.run(house.rooms.usage.flush)

    usage = house.client.get("/v1/account/usage", headers=alice)

    body, today = usage.json(), datetime.now(UTC).date()
    assert usage.headers["cache-control"] == "private, no-store"
    assert (body["by"], body["to"], len(body["rows"])) == ("day", today.isoformat(), 30)
    assert body["from"] == (today - timedelta(days=29)).isoformat()
    assert body["rows"][-1] == {
        "day": today.isoformat(), "calls": 1, "cached": 1, "units": 1, "amount": "0.10",
    }  # fmt: skip
    assert body["rows"][0]["amount"] == "0.00"
    assert body["total"] == {"calls": 1, "cached": 1, "units": 1, "amount": "0.10"}


def test_usage_by_model_and_by_key(house, erase):
    alice = house.user("alice", plan="basic")
    assert erase(alice).status_code == 200
    by_model = house.client.get("/v1/account/usage?by=model", headers=alice).json()
    assert [(row["model"], row["calls"]) for row in by_model["rows"]] == [("telea", 1)]
    (row,) = house.client.get("/v1/account/usage?by=key", headers=alice).json()["rows"]
    (key,) = house.client.get("/v1/keys", headers=alice).json()["keys"]
    assert (row["key"], row["name"], row["calls"]) == (key["id"], "test", 1)


@pytest.mark.parametrize(
    "query",
    ["from=yesterday", "to=2026-02-30", "by=user", "by=everything", "format=xml",
     "from=2026-02-02&to=2026-02-01", "from=2020-01-01&to=2026-01-01", "to=0001-01-01", "from=9999-12-31"],
)  # fmt: skip
def test_days_that_are_none_are_refused(house, query):
    alice = house.user("alice")
    assert_problem(house.client.get(f"/v1/account/usage?{query}", headers=alice), 422, "validation_failed")


def test_usage_as_csv_is_a_file_with_a_name(house, erase):
    alice = house.user("alice", plan="basic")
    assert erase(alice).status_code == 200
    for asked in ({"params": {"format": "csv"}}, {"headers": alice | {"Accept": "text/csv"}}):
        answer = house.client.get("/v1/account/usage", **({"headers": alice} | asked))
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        today = datetime.now(UTC).date()
        first = today - timedelta(days=29)
        assert (
            answer.headers["content-disposition"] == f'attachment; filename="usage-day-{first}-{today}.csv"'
        )
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert (len(rows), rows[-1]["calls"], rows[-1]["amount"]) == (30, "1", "0.10")
        assert answer.headers["cache-control"] == "private, no-store"


def test_a_key_named_like_a_formula_is_text_to_a_spreadsheet(house, erase):
    house.user("alice", plan="basic")
    made = house.run(
        house.rooms.accounts.keys.create,
        "alice", name='=HYPERLINK("http://x")', scopes=set(Scope) - {Scope.ADMIN}, actor=OPERATOR,
    )  # fmt: skip
    caller = {"Authorization": f"Bearer {made[1]}"}
    assert erase(caller).status_code == 200
    table = house.client.get("/v1/account/usage?by=key&format=csv", headers=caller).text
    (row,) = csv.DictReader(io.StringIO(table))
    assert row["name"].startswith("'=")


# --- the ledger ---------------------------------------------------------------------------------------


def test_the_ledger_tells_each_charge(house, erase):
    alice = house.user("alice", plan="basic")
    assert erase(alice, seed="1").status_code == 200
    assert erase(alice, seed="2").status_code == 200

    ledger = house.client.get("/v1/account/ledger", headers=alice)

    newest, oldest = ledger.json()["entries"]
    assert ledger.json()["next"] is None
    assert newest["id"] > oldest["id"]
    told = {name: newest[name] for name in ("source", "calls", "amount", "from", "to", "plan", "original_id")}
    assert told == {
        "source": "call", "calls": 1, "amount": "0.10", "from": "owed", "to": "revenue", "plan": "basic",
        "original_id": None,
    }  # fmt: skip
    assert datetime.fromisoformat(newest["at"]) <= datetime.now(UTC) + timedelta(seconds=2)


def test_pages_of_the_ledger_join_without_gap_or_repeat(house):
    alice = house.user("alice")
    for number in range(5):
        house.run(house.rooms.accounts.ledger.grant, "alice", 1000, reference=f"r{number}", actor=OPERATOR)
    seen, after = [], None
    for _ in range(9):
        params = {"limit": 2} | ({} if after is None else {"after": after})
        page = house.client.get("/v1/account/ledger", params=params, headers=alice).json()
        seen += [entry["id"] for entry in page["entries"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


def test_a_page_that_is_exactly_full_has_no_next(house):
    alice = house.user("alice")
    house.run(house.rooms.accounts.ledger.grant, "alice", 1000, reference="one", actor=OPERATOR)
    assert house.client.get("/v1/account/ledger?limit=1", headers=alice).json()["next"] is None


@pytest.mark.parametrize("limit", ["0", "-1", "201", "1e9", "many"])
def test_no_list_is_longer_than_two_hundred(house, limit):
    alice = house.user("alice")
    for path in ("/v1/account/ledger",):
        refused = house.client.get(path, params={"limit": limit}, headers=alice)
        assert_problem(refused, 422, "validation_failed")


def test_the_ledger_as_csv_is_whole_and_names_the_rest(house, monkeypatch):
    monkeypatch.setattr("magic_eraser.api.views.ledger_pages.MOST_LINES", 3)
    alice = house.user("alice")
    for number in range(5):
        house.run(
            house.rooms.accounts.ledger.grant,
            "alice", 1000 + number, reference=f"r{number}", actor=OPERATOR, note="=1+1 中文",
        )  # fmt: skip

    first = house.client.get("/v1/account/ledger?format=csv&limit=1", headers=alice)
    link = first.headers["link"]
    rest = house.client.get(f"/v1/account/ledger{link[1 : link.index('>')]}", headers=alice)

    assert first.headers["content-disposition"] == 'attachment; filename="ledger.csv"'
    assert "link" not in rest.headers
    lines = [
        row for text in (first, rest) for row in csv.DictReader(io.StringIO(text.text.removeprefix("\ufeff")))
    ]
    assert [row["amount"] for row in lines] == ["0.01004", "0.01003", "0.01002", "0.01001", "0.01"]
    assert lines[0]["note"] == "'=1+1 中文"
    assert first.text.startswith("\ufeff")  # by which a spreadsheet knows that it is UTF-8

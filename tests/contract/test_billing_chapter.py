"""The billing chapter of the deployment guide, one test for each thing that it says (a test's docstring), on the whole
app. What it says is known from CONTRACT.md ("Plans"): four plans, their prices, calls, models and features, the weights
of models, tokens, statistics. Models are stand-ins that cost no time, by the real ids and with the real weights."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import jwt
import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from accounts_house import House, assert_problem
from magic_eraser.accounts.money import MILLICENTS
from magic_eraser.api.app import create_app
from magic_eraser.billing.invariants import check
from magic_eraser.billing.tables import Account, ledger_entries, quota_days
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.entry import Entry
from magic_eraser.settings import AuthSettings, LimitSettings, QueueSettings, Settings
from many_models import GreyInpainter
from slow_model import SlowInpainter

SECRET = "of the tests, longer than 32 bytes as it must be"
PRICES = {"free": 0, "basic": 2_900_000, "pro": 9_900_000, "enterprise": 29_900_000}
COST_OF_A_CALL = {"free": 0, "basic": 10_000, "pro": 5_000, "enterprise": 2_000}
"""In milli-cents: 0.10, 0.05 and 0.02."""
WEIGHTS = {"lama": 1, "mat": 2, "ldm": 3}
FEATURES = {
    "free": {"basic_inpaint"},
    "basic": {"basic_inpaint", "hd_processing"},
    "pro": {"basic_inpaint", "hd_processing", "all_models", "batch_processing", "api_access"},
    "enterprise": {
        "basic_inpaint", "hd_processing", "all_models", "batch_processing", "api_access", "custom_models",
        "priority_support",
    },
}  # fmt: skip


class Shop(House):
    """The app, and what a caller does with it."""

    def erase(
        self, caller: dict[str, str], pictures: dict[str, bytes], model: str = "telea", **fields: object
    ):
        """A call of its own: nothing of it comes from the cache."""
        headers = {"Cache-Control": "no-store"} | caller
        return self.client.post(
            "/v1/erase", files=pictures, data={"model": model} | fields, headers=headers
        )  # fmt: skip

    def account(self, caller: dict[str, str]) -> dict:
        return self.client.get("/v1/account", headers=caller).json()

    def charged(self, user_id: str) -> list[tuple[int, str, str, str]]:
        """(milli-cents, from, to, plan) of a user's calls, oldest first."""
        columns = [ledger_entries.c[name] for name in ("amount", "from_account", "to_account", "plan")]
        of = (ledger_entries.c.tenant_id == user_id) & (ledger_entries.c.source == "call")

        async def read() -> list[tuple[int, str, str, str]]:
            async with self.rooms.database.read() as connection:
                query = sa.select(*columns).where(of).order_by(ledger_entries.c.id)
                return [tuple(row) for row in await connection.execute(query)]

        return self.run(read)

    def used_before(self, user_id: str, calls: int) -> None:
        """As if so many calls of today had been made."""

        async def write() -> None:
            async with self.rooms.database.write() as connection:
                of = quota_days.c.tenant_id == user_id
                done = await connection.execute(sa.update(quota_days).where(of).values(used=calls))
                assert done.rowcount == 1

        self.run(write)

    def adds_up(self) -> bool:
        return self.run(check, self.rooms.database) == []


def stand_ins(slow: SlowInpainter) -> dict[str, Entry]:
    """The embedded engine, and models by real ids and with real weights that paint grey and need nothing."""
    bare = {"weights": (), "needs": (), "must_accept": False, "isolated": False, "memory_mb": 0, "batch": 1}
    cards = {name: replace(CATALOG[name].card, **bare) for name in WEIGHTS}
    assert {name: card.cost for name, card in cards.items()} == WEIGHTS
    cards["own"] = replace(cards["lama"], id="own", added=True)
    entries = {name: Entry(card, partial(_load, card)) for name, card in cards.items()}
    plain = {name: CATALOG[name] for name in ("patch", "telea", "ns")}
    return {**plain, **entries, "slow": Entry(slow.card, lambda _setup: slow)}


def _load(card, _setup):
    return GreyInpainter(card)


@contextmanager
def opened(folder: Path, slow: SlowInpainter, mode: str = "required") -> Iterator[Shop]:
    settings = Settings(
        data_dir=folder,
        auth=AuthSettings(mode=mode, jwt_secret=SecretStr(SECRET)),
        limits=LimitSettings(max_pixels=5_000_000, max_body_bytes=3_000_000),
        queue=QueueSettings(slots=1, depth=8, deadline_seconds=20),
    )
    with TestClient(create_app(settings, catalog=stand_ins(slow)), raise_server_exceptions=False) as client:
        yield Shop(client)


@pytest.fixture
def slow():
    return SlowInpainter(seconds=0.5)


@pytest.fixture
def shop(tmp_path, slow):
    with opened(tmp_path, slow) as shop:
        yield shop


@pytest.fixture
def pictures(coffee_png, dot_png):
    return {"image": coffee_png, "mask": dot_png}


@pytest.fixture
def small(encode):
    """64 by 64, for tests that send many."""
    mask = np.zeros((64, 64), np.uint8)
    mask[30:34, 30:34] = 255
    return {"image": encode(np.full((64, 64, 3), 90, np.uint8)), "mask": encode(mask)}


@pytest.fixture
def large(encode):
    """2,100 by 2,000: 4.2 million pixels."""
    mask = np.zeros((2000, 2100), np.uint8)
    mask[1000:1010, 1000:1010] = 255
    return {"image": encode(np.full((2000, 2100, 3), 90, np.uint8)), "mask": encode(mask)}


@pytest.mark.parametrize(
    ("plan", "price", "calls", "cost"),
    [
        ("free", "0.00", 10, "0.00"),
        ("basic", "29.00", 100, "0.10"),
        ("pro", "99.00", 1000, "0.05"),
        ("enterprise", "299.00", None, "0.02"),
    ],
)
def test_there_are_four_plans_with_their_prices(shop, plan, price, calls, cost):
    """There are four plans: free for 0, basic for 29, pro for 99 and enterprise for 299 a month."""
    shown = shop.client.get("/v1/plans").json()

    assert [each["id"] for each in shown["plans"]] == ["free", "basic", "pro", "enterprise"]
    (found,) = [each for each in shown["plans"] if each["id"] == plan]
    assert (found["price"], found["calls_a_day"], found["cost_a_call"]) == (price, calls, cost)
    assert set(found["features"]) == FEATURES[plan]


@pytest.mark.parametrize(("plan", "calls"), [("free", 10), ("basic", 100)])
def test_so_many_calls_a_day_and_not_one_more(shop, small, plan, calls):
    """The free plan has 10 calls a day, the basic one 100."""
    alice = shop.user("alice", plan=plan)

    assert [shop.erase(alice, small).status_code for _ in range(calls)] == [200] * calls

    refused = assert_problem(shop.erase(alice, small), 429, "quota_exhausted")
    today = shop.account(alice)["today"]
    assert refused["resets_at"][:19] == today["resets_at"][:19]
    assert (today["used"], today["held"], today["left"]) == (calls, 0, 0)
    assert len(shop.charged("alice")) == calls
    assert shop.adds_up()


def test_pro_has_a_thousand_calls_a_day(shop, small):
    """The pro plan has 1,000 calls a day."""
    alice = shop.user("alice", plan="pro")
    first = shop.erase(alice, small)
    assert first.headers["ratelimit-policy"] == '"daily";q=1000;w=86400'
    assert first.headers["ratelimit"].startswith('"daily";r=999;')

    shop.used_before("alice", 999)

    assert shop.erase(alice, small).status_code == 200
    assert_problem(shop.erase(alice, small), 429, "quota_exhausted")


def test_enterprise_has_no_limit(shop, small):
    """The enterprise plan has no limit."""
    alice = shop.user("alice", plan="enterprise")
    first = shop.erase(alice, small)
    shop.used_before("alice", 1_000_000)

    assert shop.erase(alice, small).status_code == 200
    today = shop.account(alice)["today"]
    assert (today["limit"], today["left"], today["used"]) == (None, None, 1_000_001)
    assert "ratelimit" not in first.headers


@pytest.mark.parametrize(
    ("plan", "model"),
    [
        ("free", "lama"),
        ("basic", "lama"),
        *[(plan, model) for plan in ("pro", "enterprise") for model in WEIGHTS],
    ],
)
def test_a_call_costs_its_plans_price_times_its_models_weight(shop, small, plan, model):
    """A call costs 0.10, 0.05 or 0.02 by the plan, times the weight of the model: lama 1, mat 2, ldm 3."""
    alice = shop.user("alice", plan=plan)
    cost = COST_OF_A_CALL[plan] * WEIGHTS[model]

    done = [shop.erase(alice, small, model) for _ in range(2)]

    assert [answer.headers["x-eraser-model"] for answer in done] == [model] * 2
    assert shop.charged("alice") == [(cost, Account.OWED, Account.REVENUE, plan)] * 2
    account = shop.account(alice)
    assert account["owed"] == f"{2 * cost / MILLICENTS:.2f}"
    assert account["today"]["used"] == 2  # of the day a call is one call, whatever its weight
    assert shop.adds_up()


def test_calls_add_up_without_a_float(shop, small):
    """Calls are billed one by one, and add up exactly: three at 0.10 are 0.30."""
    alice = shop.user("alice", plan="basic")
    for _ in range(3):
        shop.erase(alice, small)

    assert shop.account(alice)["owed"] == "0.30"
    assert 3 * 0.10 != 0.30  # what the guide's own sums would say


def test_what_is_not_done_is_not_billed(shop, small, encode):
    """Only a call that succeeded is billed."""
    alice = shop.user("alice", plan="pro")
    other = encode(np.full((32, 32), 255, np.uint8))

    assert_problem(shop.erase(alice, small | {"mask": other}), 400, "mask_size_mismatch")
    assert_problem(shop.erase(alice, small, "own"), 403, "plan_forbids_model")
    assert_problem(shop.erase(alice | {"X-Eraser-Deadline": "0.2"}, small, "slow"), 504, "deadline_exceeded")

    today = shop.account(alice)["today"]
    assert (shop.charged("alice"), today["used"], today["held"]) == ([], 0, 0)
    assert shop.erase(alice, small).status_code == 200
    assert len(shop.charged("alice")) == 1


def test_every_plan_erases_with_the_basic_models(shop, small):
    """`basic_inpaint`: every plan erases, with `lama` and the embedded engine."""
    for plan in PRICES:
        caller = shop.user(plan, plan=plan)
        answers = [shop.erase(caller, small, model) for model in ("lama", "patch", "telea", "ns")]
        assert [answer.status_code for answer in answers] == [200] * 4, plan


def test_large_pictures_need_hd_processing(shop, large):
    """`hd_processing`: large pictures are for the basic plan and those above it."""
    refused = assert_problem(
        shop.erase(shop.user("alice", plan="free"), large), 403, "plan_forbids_feature"
    )  # fmt: skip
    assert (refused["feature"], refused["max_pixels"]) == ("hd_processing", 4_000_000)

    for plan in ("basic", "pro", "enterprise"):
        assert shop.erase(shop.user(plan, plan=plan), large).status_code == 200, plan


@pytest.mark.parametrize("model", ["mat", "ldm"])
def test_some_models_are_only_for_paying_plans(shop, small, model):
    """`all_models`: `mat` and `ldm` are only for the plans pro and enterprise, and the list of models says so."""
    for plan, allowed in (("free", False), ("basic", False), ("pro", True), ("enterprise", True)):
        caller = shop.user(plan, plan=plan)
        listed = shop.client.get("/v1/models", headers=caller).json()["models"]
        (shown,) = [each for each in listed if each["id"] == model]
        assert (shown["allowed"], shown["why_code"]) == (allowed, None if allowed else "plan"), plan
        answer = shop.erase(caller, small, model)
        if allowed:
            assert answer.headers["x-eraser-model"] == model
        else:
            assert assert_problem(answer, 403, "plan_forbids_model")["plan"] == plan


def test_models_are_switched_while_the_server_runs(shop, small):
    """Models are switched at run time: by each call, and loaded and unloaded by an admin."""
    alice, root = shop.user("alice", plan="pro"), shop.admin()
    models = ("lama", "mat", "ldm", "lama")
    assert [shop.erase(alice, small, model).headers["x-eraser-model"] for model in models] == list(models)

    def state() -> str:
        listed = shop.client.get("/v1/models", headers=alice).json()["models"]
        return next(each["state"] for each in listed if each["id"] == "mat")

    assert state() == "ready"
    assert shop.client.post("/v1/admin/models/mat/unload", headers=root).is_success
    assert state() != "ready"
    assert shop.client.post("/v1/admin/models/mat/load", headers=root).is_success
    assert state() == "ready"
    assert_problem(shop.client.post("/v1/admin/models/mat/load", headers=alice), 403, "insufficient_scope")


def test_batches_need_batch_processing(shop, small, encode):
    """`batch_processing`: batches are for the plans pro and enterprise; each picture of one is a call."""
    grey, light = small["image"], encode(np.full((64, 64, 3), 200, np.uint8))
    two = [("image", grey), ("mask", small["mask"]), ("image", light), ("mask", small["mask"])]

    def batch(caller: dict[str, str]):
        return shop.client.post("/v1/jobs", files=two, data={"model": "lama"}, headers=caller)

    for plan in ("free", "basic"):
        refused = assert_problem(batch(shop.user(plan, plan=plan)), 403, "plan_forbids_feature")
        assert refused["feature"] == "batch_processing"
    for plan in ("pro", "enterprise"):
        caller = shop.user(plan, plan=plan)
        job = batch(caller).json()
        give_up = time.monotonic() + 20
        while (seen := shop.client.get(f"/v1/jobs/{job['id']}", headers=caller).json())[
            "finished_at"
        ] is None:
            assert time.monotonic() < give_up, seen
            time.sleep(0.05)
        assert seen["state"] == "succeeded"
        assert [cost for cost, *_ in shop.charged(plan)] == [COST_OF_A_CALL[plan]] * 2
    assert shop.adds_up()


def test_many_keys_need_api_access(shop):
    """`api_access`: programs get keys of their own with the plans pro and enterprise; below them there is one."""

    def make(caller: dict[str, str]):
        return shop.client.post("/v1/keys", json={"name": "program"}, headers=caller)

    for plan, most in (("free", 1), ("basic", 1), ("pro", 50), ("enterprise", 50)):
        caller = shop.user(plan, plan=plan)
        assert [make(caller).status_code for _ in range(most)] == [201] * most, plan
        assert assert_problem(make(caller), 409, "conflict")["limit"] == most


def test_own_models_need_custom_models(shop, small):
    """`custom_models`: models that the operator added are for the enterprise plan."""
    for plan in ("free", "basic", "pro"):
        assert_problem(shop.erase(shop.user(plan, plan=plan), small, "own"), 403, "plan_forbids_model")

    firm = shop.user("firm", plan="enterprise")
    assert shop.erase(firm, small, "own").headers["x-eraser-model"] == "own"


def test_enterprise_goes_first(shop, slow, pictures):
    """`priority_support`: the enterprise plan is first in the queue, whoever came before."""
    names = ("busy", "early", "firm")
    callers = {name: shop.user(name, plan="enterprise" if name == "firm" else "pro") for name in names}
    answers: dict[str, int] = {}

    def call(seed: int) -> None:
        answers[names[seed]] = shop.erase(callers[names[seed]], pictures, "slow", seed=seed).status_code

    def waiting() -> int:
        return shop.client.get("/v1/status").json()["queue"]["waiting"]

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(3)]
    for place, thread in enumerate(threads):  # one slot: the first runs, the others wait
        thread.start()
        give_up = time.monotonic() + 10
        while not (slow.asked if place == 0 else waiting() == place):
            assert time.monotonic() < give_up
            time.sleep(0.005)
    for thread in threads:
        thread.join()

    assert [names[options.seed] for options in slow.asked] == ["busy", "firm", "early"]
    assert answers == dict.fromkeys(names, 200)


def test_a_token_says_who_calls(shop, small):
    """Callers show a JWT with `user_id`; who is new is on the free plan, whatever plan the token names."""
    now = int(time.time())
    claims = {"user_id": "carol", "iat": now, "exp": now + 600, "plan": "enterprise"}
    carol = {"Authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}

    assert shop.erase(carol, small).status_code == 200
    account = shop.account(carol)
    assert (account["user"]["id"], account["plan"]["id"]) == ("carol", "free")
    assert account["today"]["left"] == 9
    forged = {"Authorization": f"Bearer {jwt.encode(claims, SECRET + '.', 'HS256')}"}
    assert_problem(shop.erase(forged, small), 401, "invalid_token")


def test_without_a_token_nobody_is_served(shop, small):
    """A call without a credential is refused with 401, and costs nobody anything."""
    refused = shop.erase({}, small)

    assert_problem(refused, 401, "not_authenticated")
    assert refused.headers["www-authenticate"].startswith("Bearer")


def test_strangers_may_be_let_in_on_the_free_plan(tmp_path, slow, small):
    """The free plan needs no account: 10 calls a day for each address, where the operator wants it so."""
    with opened(tmp_path, slow, mode="optional") as shop:
        assert [shop.erase({}, small).status_code for _ in range(10)] == [200] * 10
        assert_problem(shop.erase({}, small), 429, "quota_exhausted")
        assert_problem(shop.erase({}, small, "mat"), 403, "plan_forbids_model")
        assert shop.erase(shop.user("alice", plan="free"), small).status_code == 200


@pytest.mark.parametrize("plan", ["basic", "pro", "enterprise"])
def test_a_subscription_costs_its_plans_price_a_month(shop, plan):
    """Plans are subscriptions by the month: asked for by the user, in force when they are paid."""
    alice, root = shop.user("alice", plan="free"), shop.admin()
    price = f"{PRICES[plan] / MILLICENTS:.2f}"

    asked = shop.client.post("/v1/subscription", json={"plan": plan}, headers=alice).json()
    assert (asked["state"], asked["wanted_plan"], asked["due"]) == ("awaiting_payment", plan, price)
    assert shop.account(alice)["plan"]["id"] == "free"

    paid = {"amount": price, "reference": "bank-1"}
    assert shop.client.post("/v1/admin/users/alice/payments", json=paid, headers=root).status_code == 201

    assert shop.account(alice)["plan"]["id"] == plan
    entries = shop.client.get("/v1/account/ledger", headers=alice).json()["entries"]
    assert [(entry["source"], entry["amount"]) for entry in entries] == [("fee", price), ("payment", price)]
    assert shop.adds_up()


def test_after_an_upgrade_one_goes_on(shop, small):
    """Who has used up the calls of a plan changes to a larger one and goes on at once."""
    alice, root = shop.user("alice", plan="free"), shop.admin()
    assert [shop.erase(alice, small).status_code for _ in range(11)] == [200] * 10 + [429]
    shop.client.post("/v1/subscription", json={"plan": "pro"}, headers=alice)
    assert shop.erase(alice, small).status_code == 429  # asked for, not paid
    shop.client.post("/v1/admin/users/alice/payments", json={"reference": "bank-1"}, headers=root)

    assert shop.erase(alice, small, "mat").status_code == 200

    today = shop.account(alice)["today"]
    assert (today["used"], today["limit"]) == (11, 1000)
    assert [cost for cost, *_ in shop.charged("alice")] == [0] * 10 + [10_000]


def test_usage_is_told(shop, small):
    """What was used is told by day: calls, their weights and what they cost; all users together to an admin alone."""
    alice, bob, root = shop.user("alice", plan="pro"), shop.user("bob", plan="basic"), shop.admin()
    for model in ("lama", "mat", "ldm"):
        shop.erase(alice, small, model)
    shop.erase(bob, small)

    own = shop.client.get("/v1/account/usage", headers=alice).json()
    everybody = shop.client.get("/v1/admin/usage", params={"by": "user"}, headers=root).json()

    assert own["rows"][-1] | {"day": ""} == {"day": "", "calls": 3, "cached": 0, "units": 6, "amount": "0.30"}
    assert {row["user"]: row["amount"] for row in everybody["rows"]} == {"alice": "0.30", "bob": "0.10"}
    assert_problem(shop.client.get("/v1/admin/usage", headers=alice), 403, "insufficient_scope")

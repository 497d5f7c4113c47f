"""`/v1/admin`: models in and out of memory, usage of all, and the audit log."""

from __future__ import annotations

import csv
import io
import threading
import time

import pytest
from fastapi.testclient import TestClient

from accounts_house import House, accounts_house, assert_problem
from magic_eraser.api.app import create_app
from magic_eraser.models.catalog import CATALOG
from magic_eraser.models.entry import Entry
from magic_eraser.settings import AuthSettings, Settings
from slow_model import SlowInpainter


@pytest.fixture
def house(tmp_path):
    with accounts_house(tmp_path) as house:
        yield house


@pytest.fixture
def root(house):
    return house.admin()


@pytest.fixture
def gate():
    return threading.Event()


@pytest.fixture
def gated(tmp_path, gate):
    """A house whose model "slow" is loaded once the gate is set; its load fails where the gate says so."""

    def load(_setup):
        assert gate.wait(20)
        if getattr(gate, "fails", False):
            raise RuntimeError("weights of another make")
        return SlowInpainter(seconds=0.0)

    catalog = {**CATALOG, "slow": Entry(SlowInpainter.card, load)}
    settings = Settings(data_dir=tmp_path, auth=AuthSettings(mode="required"))
    with TestClient(create_app(settings, catalog=catalog), raise_server_exceptions=False) as client:
        yield House(client)
        gate.set()


def state(house, caller, model_id):
    models = house.client.get("/v1/models", headers=caller).json()["models"]
    return next(model["state"] for model in models if model["id"] == model_id)


def wait_for(house, caller, model_id, wanted):
    deadline = time.monotonic() + 20
    while state(house, caller, model_id) != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_model_is_loaded_and_let_go(house, root):
    loaded = house.client.post("/v1/admin/models/telea/load", headers=root)
    assert (loaded.status_code, loaded.json()) == (200, {"id": "telea", "state": "ready"})
    assert state(house, root, "telea") == "ready"
    gone = house.client.post("/v1/admin/models/telea/unload", headers=root)
    assert (gone.status_code, gone.json()["state"]) in {(200, "absent"), (202, "unloading")}
    wait_for(house, root, "telea", "absent")
    again = house.client.post("/v1/admin/models/telea/unload", headers=root)
    assert (again.status_code, again.json()["state"]) == (200, "absent")
    assert [action for _, action in house.audit(root, "telea")] == [
        "model.load",
        "model.unload",
        "model.unload",
    ]


def test_one_that_takes_long_is_on_its_way(gated, gate):
    root = gated.admin()
    begun = gated.client.post("/v1/admin/models/slow/load", headers=root)
    assert (begun.status_code, begun.json()) == (202, {"id": "slow", "state": "loading"})
    assert state(gated, root, "slow") == "loading"
    gate.set()
    wait_for(gated, root, "slow", "ready")
    assert gated.client.post("/v1/admin/models/slow/load", headers=root).status_code == 200


def test_one_that_cannot_be_loaded_says_so_and_when_to_try_again(gated, gate):
    root = gated.admin()
    gate.fails = True
    gate.set()
    for _ in range(2):  # the second time it is not even tried
        failed = gated.client.post("/v1/admin/models/slow/load", headers=root)
        assert assert_problem(failed, 503, "model_unavailable")["retry_after"] >= 1


def test_one_that_is_in_use_goes_when_nobody_uses_it(tmp_path, coffee_png, dot_png):
    slow = SlowInpainter(seconds=15.0)
    with accounts_house(tmp_path, slow=slow) as house:
        root = house.admin()
        files = {"image": ("a.png", coffee_png), "mask": ("b.png", dot_png)}
        erased = []
        erasing = threading.Thread(
            target=lambda: erased.append(
                house.client.post("/v1/erase", files=files, data={"model": "slow"}, headers=root)
            )
        )
        erasing.start()
        assert slow.begun.acquire(timeout=20)
        leaving = house.client.post("/v1/admin/models/slow/unload", headers=root)
        assert (leaving.status_code, leaving.json()["state"]) == (202, "unloading")
        slow.seconds = 0.0
        erasing.join()
        assert erased[0].status_code == 200
        wait_for(house, root, "slow", "absent")


@pytest.mark.parametrize("model_id", ["nosuch", "%00", "..%2f..", "a" * 3000, "auto"])
def test_a_model_that_is_none_is_not_found(house, root, model_id):
    for verb in ("load", "unload"):
        answer = house.client.post(f"/v1/admin/models/{model_id}/{verb}", headers=root)
        assert answer.status_code == 404
        assert answer.json()["code"] in {"unknown_model", "not_found"}
    assert house.audit(root, "nosuch") == []


def test_one_without_weights_cannot_be_loaded(house, root):
    refused = house.client.post("/v1/admin/models/lama/load", headers=root)
    assert_problem(refused, 503, "model_unavailable")


# --- usage of all -------------------------------------------------------------------------------------


def test_usage_of_all_by_user(house, root, coffee_png, dot_png):
    files = {"image": ("a.png", coffee_png), "mask": ("b.png", dot_png)}
    for name, calls in (("anna", 2), ("bert", 1)):
        caller = house.user(name, plan="basic")
        for seed in range(calls):
            fields = {"model": "telea", "seed": str(seed)}
            assert house.client.post("/v1/erase", files=files, data=fields, headers=caller).status_code == 200
    by_user = house.client.get("/v1/admin/usage?by=user", headers=root).json()
    assert [(row["user"], row["calls"], row["amount"]) for row in by_user["rows"]] == [
        ("anna", 2, "0.20"), ("bert", 1, "0.10"),
    ]  # fmt: skip
    assert by_user["total"]["calls"] == 3
    table = house.client.get("/v1/admin/usage?by=user&format=csv", headers=root)
    assert [row["user"] for row in csv.DictReader(io.StringIO(table.text))] == ["anna", "bert"]
    assert house.client.get("/v1/admin/usage?by=model", headers=root).json()["rows"][0]["calls"] == 3
    assert house.client.get("/v1/admin/usage", headers=root).json()["rows"][-1]["calls"] == 3
    assert_problem(house.client.get("/v1/admin/usage?by=key", headers=root), 422, "validation_failed")


# --- the audit log ------------------------------------------------------------------------------------


def test_the_audit_log_is_paged_and_filtered(house, root):
    for name in ("anna", "bert"):
        house.user(name)
    seen, after = [], None
    for _ in range(20):
        params = {"limit": 2} | ({} if after is None else {"after": after})
        page = house.client.get("/v1/admin/audit", params=params, headers=root).json()
        seen += [deed["id"] for deed in page["entries"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == 6  # three users, a key each
    assert seen == sorted(seen, reverse=True)
    only = house.client.get("/v1/admin/audit?target=anna", headers=root)
    assert {deed["target"] for deed in only.json()["entries"]} == {"anna"}
    assert only.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "after=0", "after=x", f"after={2**63}", "target=%00"]
)
def test_the_audit_log_has_bounds(house, root, query):
    assert_problem(house.client.get(f"/v1/admin/audit?{query}", headers=root), 422, "validation_failed")


def test_no_secret_is_in_the_audit_log(house, root):
    house.user("anna")
    made = house.client.post("/v1/admin/users/anna/keys", json={"name": "x"}, headers=root).json()
    log = house.client.get("/v1/admin/audit?limit=200", headers=root).text
    assert made["id"] in log
    assert made["key"] not in log
    assert "eras_live_" not in log

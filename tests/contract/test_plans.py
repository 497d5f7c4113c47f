"""`GET /v1/plans`: what is on offer, for everybody to see, in two languages."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from magic_eraser.api.app import create_app
from magic_eraser.settings import Settings

OWN = """\
currency = "cny"
[plans.free]
title = "Free"
title_zh = "免费版"
price = "0"
calls_a_day = 10
cost_a_call = "0"
features = ["basic_inpaint"]
models = ["telea", "lama"]
max_pixels = 4_000_000
[plans.old]
title = "Old"
price = "1"
calls_a_day = "unlimited"
cost_a_call = "0.00125"
features = ["all_models", "basic_inpaint", "hd_processing"]
retired = true
"""


@pytest.mark.parametrize(
    ("language", "titles"),
    [("en", ["Free", "Basic", "Pro", "Enterprise"]), ("zh-CN", ["免费版", "基础版", "专业版", "企业版"])],
)
def test_the_plans_of_the_guide_in_the_callers_language(client, language, titles):
    answer = client.get("/v1/plans", headers={"Accept-Language": language})
    assert answer.status_code == 200
    found = answer.json()
    assert [plan["title"] for plan in found["plans"]] == titles
    assert [
        (plan["id"], plan["price"], plan["calls_a_day"], plan["cost_a_call"]) for plan in found["plans"]
    ] == [
        ("free", "0.00", 10, "0.00"),
        ("basic", "29.00", 100, "0.10"),
        ("pro", "99.00", 1000, "0.05"),
        ("enterprise", "299.00", None, "0.02"),
    ]
    assert (found["currency"], found["weights"]) == ("usd", {"lama": 1, "mat": 2, "ldm": 3})
    assert found["plans"][2]["features"] == [
        "basic_inpaint",
        "hd_processing",
        "all_models",
        "batch_processing",
        "api_access",
    ]


def test_the_operators_own_without_those_that_are_retired(tmp_path):
    (tmp_path / "plans.toml").write_text(OWN, encoding="utf-8")
    with TestClient(create_app(Settings(data_dir=tmp_path, plans_file=tmp_path / "plans.toml"))) as client:
        found = client.get("/v1/plans").json()
    assert found == {
        "currency": "cny",
        "plans": [
            {
                "id": "free",
                "title": "Free",
                "price": "0.00",
                "calls_a_day": 10,
                "cost_a_call": "0.00",
                "features": ["basic_inpaint"],
                "models": ["lama", "telea"],
                "max_pixels": 4_000_000,
                "charging": "invoice",
            }
        ],
        "weights": {},
    }


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}])
def test_they_are_shown_to_whoever_asks(settings, headers):
    asked = settings.model_copy(update={"auth": settings.auth.model_copy(update={"mode": "required"})})
    with TestClient(create_app(asked)) as client:
        assert client.get("/v1/plans", headers=headers).status_code == 200

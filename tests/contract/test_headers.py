"""What every answer carries, whatever it answers, and which origins a browser lets read it (OWASP API8:2023)."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from accounts_house import accounts_house
from magic_eraser.api.app import create_app
from magic_eraser.settings import AuthSettings, ServerSettings, Settings

DOCUMENT = create_app(Settings(data_dir=Path("/nonexistent"))).openapi()["paths"]
OPERATIONS = [f"{method.upper()} {path}" for path, methods in DOCUMENT.items() for method in methods]
BESIDE = [
    "GET /", "HEAD /", "GET /docs", "GET /openapi.json", "GET /static/index.html", "GET /static/nothing", "GET /ui",
    "GET /nothing", "POST /v1/account", "OPTIONS /v1/keys", "TRACE /v1/keys", "GET /v1/images/%00", "PUT /",
]  # fmt: skip
LISTED, OTHER = "https://shop.example", "https://evil.example"
ORIGINS = [
    OTHER,
    "null",
    "http://shop.example",
    "https://shop.example.evil.example",
    "https://SHOP.example.",
    "",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with accounts_house(tmp_path_factory.mktemp("house"), stripe=True) as house:
        yield house


@pytest.fixture(scope="module")
def root(house):
    return house.admin()


def ask(client, operation, headers=None):
    method, _, path = operation.partition(" ")
    return client.request(
        method, re.sub(r"\{\w+\}", "1", path), headers=headers or {}, follow_redirects=False
    )


@pytest.mark.parametrize("operation", [*OPERATIONS, *BESIDE])
def test_no_answer_is_guessed_at_or_told_to_other_sites(house, root, operation):
    for headers in ({}, root):
        answer = ask(house.client, operation, headers)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
        assert "server" not in answer.headers
        assert "x-powered-by" not in answer.headers
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if " /v1/" in name])
def test_no_proxy_keeps_an_answer_of_the_api(house, root, operation):
    """Shared caches leave what came by `Authorization` alone (RFC 9111, 3.5), but know nothing of `x-api-key`."""
    key = {"x-api-key": root["Authorization"].removeprefix("Bearer ")}
    for headers in ({}, key, {"x-api-key": "wrong"}):
        assert "no-store" in ask(house.client, operation, headers).headers["cache-control"]


@pytest.mark.parametrize("operation", [*OPERATIONS, *BESIDE])
def test_no_proxy_keeps_a_refusal(house, operation):
    answer = ask(house.client, operation)
    if answer.status_code >= 400:
        assert "no-store" in answer.headers["cache-control"]


def test_the_pages_run_no_script_of_others(house):
    page = house.client.get("/").headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; " in page
    assert "unsafe" not in page
    docs = house.client.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in docs.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'self'"
    [script] = re.findall(r"<script>(.*?)</script>", docs.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"


def test_a_picture_is_no_page(house, root, coffee_png):
    """Somebody's bytes, from our address: as a picture and nothing else."""
    files = {"image": ("<script>.html", coffee_png, "text/html")}
    image = house.client.post("/v1/images", files=files, headers=root)
    answer = house.client.get(f"/v1/images/{image.json()['id']}/content", headers=root)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, no-store"


# --- other origins --------------------------------------------------------------------------------------


def served(tmp_path, *origins, mode="required"):
    auth, server = AuthSettings(mode=mode), ServerSettings(cors_origins=list(origins))
    return TestClient(create_app(Settings(data_dir=tmp_path, auth=auth, server=server)))


def preflight(client, origin, path="/v1/erase"):
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, x-api-key",
    }
    return client.options(path, headers={"Origin": origin, **asked})


def allowed(answer):
    """What a browser would go by."""
    return {name for name in answer.headers if name.startswith("access-control-allow")}


@pytest.mark.parametrize("origin", [LISTED, *ORIGINS])
def test_without_a_list_no_other_origin_is_answered(tmp_path, origin):
    with served(tmp_path) as client:
        for path in ("/v1/erase", "/v1/account", "/v1/keys", "/", "/openapi.json"):
            assert not allowed(preflight(client, origin, path))
            assert not allowed(client.get(path, headers={"Origin": origin}))


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_origin_that_is_not_listed_may_send_no_credential_and_read_nothing(tmp_path, origin):
    with served(tmp_path, LISTED) as client:
        asked = preflight(client, origin)
        assert "access-control-allow-origin" not in asked.headers
        if origin:
            assert asked.status_code == 400
        for path in ("/v1/account", "/v1/plans"):
            assert "access-control-allow-origin" not in client.get(path, headers={"Origin": origin}).headers


def test_a_listed_one_may_send_a_key_but_no_cookie(tmp_path):
    with served(tmp_path, LISTED) as client:
        asked = preflight(client, LISTED)
        assert asked.headers["access-control-allow-origin"] == LISTED
        assert {"authorization", "x-api-key"} <= set(
            re.split(", *", asked.headers["access-control-allow-headers"].lower())
        )
        refused = client.get("/v1/account", headers={"Origin": LISTED})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == LISTED  # so that its program can read why
        assert "Origin" in refused.headers["vary"]
        for answer in (asked, refused, client.get("/v1/plans", headers={"Origin": LISTED})):
            assert "access-control-allow-credentials" not in answer.headers


def test_even_a_list_of_everybody_allows_no_cookie(tmp_path):
    with served(tmp_path, "*") as client:
        for answer in (preflight(client, OTHER), client.get("/v1/plans", headers={"Origin": OTHER})):
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in answer.headers


def test_a_private_network_is_opened_to_no_page(tmp_path):
    with served(tmp_path, LISTED) as client:
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Private-Network": "true"}
        answer = client.options("/v1/plans", headers={"Origin": LISTED, **asked})
        assert "access-control-allow-private-network" not in answer.headers

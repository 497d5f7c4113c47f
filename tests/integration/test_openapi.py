"""The OpenAPI document is true: whatever is sent to a real server, no 5xx and no undocumented answer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from account_server import AccountServer
from magic_eraser.api.app import create_app
from magic_eraser.errors import InternalError
from magic_eraser.settings import Settings
from server_process import Server

OPERATIONS = [
    f"{method.upper()} {path}"
    for path, methods in create_app(Settings(data_dir=Path("/nonexistent"))).openapi()["paths"].items()
    for method in methods
]
CHECKS = (not_a_server_error, status_code_conformance, response_schema_conformance)
OURS = {503, 504, 507}
"""Of a server that is well: full, too late, without room, or without the provider that it asks. They are documented."""
STRIPE = {
    "ERASER_BILLING__PROVIDER": "stripe",
    "ERASER_BILLING__STRIPE_KEY": "sk_test_51abcdefghijklmnop",
    "ERASER_BILLING__STRIPE_WEBHOOK_SECRET": "whsec_abcdefghijklmnopqrstuvwx",
    "ERASER_BILLING__STRIPE_API_BASE": "http://127.0.0.1:9",  # nobody listens
}
OPEN = {
    "GET /v1/plans", "GET /v1/models", "POST /v1/billing/webhook", "GET /livez", "GET /readyz", "GET /health",
    "GET /v1/status", "GET /metrics", "GET /api/v1/model", "GET /api/v1/server-config", "GET /api/v1/samplers",
    "GET /api/v1/inputimage",
}  # fmt: skip
"""Answered without a credential; see tests/contract/test_scopes.py."""


def document_of(url: str):
    """Without headers that are made up for its security schemes: who calls is ours to say."""
    config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
    return schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("data"))
    server.wait_ready()
    yield document_of(server.url)
    assert "request_failed" not in server.log
    assert server.stop() == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """One that asks who calls, with keys of a user and of an admin."""
    server = AccountServer(tmp_path_factory.mktemp("required"), "required", **STRIPE)
    server.wait_ready()
    keys = {
        "nobody": {},
        "user": {"Authorization": f"Bearer {server.add_user('alice', plan='pro')}"},
        "admin": {"x-api-key": server.add_user("root", plan="pro", role="admin")},
    }
    yield SimpleNamespace(api=document_of(server.url), keys=keys)
    assert "request_failed" not in server.log
    assert "Traceback" not in server.log
    assert server.stop() == 0


def told_as_clipdrop(response) -> bool:
    """Whether a 500 is one of `OURS`: ClipDrop knows no others. A defect has another sentence."""
    defect = {InternalError().sentence(language) for language in ("en", "zh")}
    return response.status_code == 500 and response.json()["error"] not in defect


def fuzzed(api, operation, examples, headers=None):
    """Send whatever the document allows, and some that it does not; the statuses of the answers."""
    method, _, path = operation.partition(" ")
    seen = set()

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=api[path][method].as_strategy())
    def fuzz(case):
        response = case.call(headers=headers or {})
        seen.add(response.status_code)
        known = response.status_code in OURS or (path == "/cleanup/v1" and told_as_clipdrop(response))
        case.validate_response(response, checks=CHECKS[1:] if known else CHECKS)
        assert "Traceback" not in response.text

    fuzz()
    return seen


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_is_sent_the_answer_is_documented(api, operation):
    fuzzed(api, operation, 20)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_is_sent_without_a_credential_is_refused(site, operation):
    statuses = fuzzed(site.api, operation, 5)
    if operation not in OPEN:
        assert 401 in statuses
        assert not {status for status in statuses if status < 400}


@pytest.mark.parametrize("who", ["user", "admin"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_is_sent_with_a_key_the_answer_is_documented(site, operation, who):
    statuses = fuzzed(site.api, operation, 10, site.keys[who])
    if who == "user" and " /v1/admin/" in operation:
        assert not {status for status in statuses if status < 400}
    assert statuses != {401}  # it was let in

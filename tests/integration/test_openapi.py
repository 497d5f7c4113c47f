"""The OpenAPI document is true: whatever is sent to a real server, no 5xx and no undocumented answer."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from magic_eraser.api.app import create_app
from magic_eraser.settings import Settings
from server_process import Server

OPERATIONS = [
    f"{method.upper()} {path}"
    for path, methods in create_app(Settings(data_dir=Path("/nonexistent"))).openapi()["paths"].items()
    for method in methods
]
CHECKS = (not_a_server_error, status_code_conformance, response_schema_conformance)


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("data"))
    server.wait_ready()
    yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    assert "request_failed" not in server.log
    assert server.stop() == 0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_is_sent_the_answer_is_documented(api, operation):
    method, _, path = operation.partition(" ")

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=api[path][method].as_strategy())
    def fuzz(case):
        response = case.call()
        in_time = response.status_code != 504  # some ask for an answer within no time at all
        case.validate_response(response, checks=CHECKS if in_time else CHECKS[1:])

    fuzz()

"""Every route names what a credential must be allowed to, and lets nobody else in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accounts_house import accounts_house
from magic_eraser.accounts.principal import USER_SCOPES, Scope
from magic_eraser.accounts.tables import Role
from magic_eraser.api.app import create_app
from magic_eraser.settings import Settings

OPEN = {
    "GET /v1/plans", "POST /v1/billing/webhook",  # signed by Stripe
    "GET /livez", "GET /readyz", "GET /health", "GET /v1/status", "GET /metrics",
    "GET /api/v1/model", "GET /api/v1/server-config", "GET /api/v1/samplers", "GET /api/v1/inputimage",
}  # fmt: skip
"""For everybody, whatever credential is shown."""
WINDOWS = {"GET /v1/models"}
"""For everybody, but a credential that is shown must be good."""
NEEDS = {
    "POST /v1/erase": Scope.ERASE,
    "POST /v1/images": Scope.ERASE,
    "GET /v1/images/{image_id}": Scope.ERASE,
    "DELETE /v1/images/{image_id}": Scope.ERASE,
    "GET /v1/images/{image_id}/content": Scope.ERASE,
    "GET /v1/images/{image_id}/preview": Scope.ERASE,
    "POST /v1/jobs": Scope.JOBS,
    "GET /v1/jobs": Scope.JOBS,
    "GET /v1/jobs/{job_id}": Scope.JOBS,
    "DELETE /v1/jobs/{job_id}": Scope.JOBS,
    "GET /v1/jobs/{job_id}/items/{index}": Scope.JOBS,
    "GET /v1/jobs/{job_id}/archive": Scope.JOBS,
    "GET /v1/jobs/{job_id}/events": Scope.JOBS,
    "GET /v1/account": Scope.ACCOUNT_READ,
    "GET /v1/account/usage": Scope.ACCOUNT_READ,
    "GET /v1/account/ledger": Scope.ACCOUNT_READ,
    "GET /v1/keys": Scope.ACCOUNT_READ,
    "POST /v1/keys": Scope.ACCOUNT,
    "POST /v1/keys/{key_id}/rotate": Scope.ACCOUNT,
    "DELETE /v1/keys/{key_id}": Scope.ACCOUNT,
    "GET /v1/subscription": Scope.ACCOUNT_READ,
    "POST /v1/subscription": Scope.ACCOUNT,
    "DELETE /v1/subscription": Scope.ACCOUNT,
    "POST /v1/billing/checkout": Scope.ACCOUNT,
    "POST /v1/billing/portal": Scope.ACCOUNT,
    "POST /api/predict": Scope.ERASE,
    "POST /api/v1/inpaint": Scope.ERASE,
    "POST /api/v1/model": Scope.ADMIN,
    "POST /cleanup/v1": Scope.ERASE,
}
"""Beside `/v1/admin`, all of which needs `admin`."""
BAD = {
    "an unknown key": {"Authorization": "Bearer eras_live_" + "a" * 43},
    "no key at all": {"Authorization": "Bearer nonsense"},
    "an unsigned token": {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoicm9vdCJ9."},
    "another scheme": {"Authorization": "Basic cm9vdDpyb290"},
    "an empty bearer": {"Authorization": "Bearer"},
    "x-api-key": {"x-api-key": "eras_live_nonsense"},
}


def operations() -> list[str]:
    """Every one of the document."""
    paths = create_app(Settings(data_dir=Path("/nonexistent"))).openapi()["paths"]
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


CLOSED = [name for name in operations() if name not in OPEN | WINDOWS]


def scope_of(operation: str) -> Scope:
    """The one that it must need: a new route without one fails here."""
    return Scope.ADMIN if operation.partition(" ")[2].startswith("/v1/admin/") else NEEDS[operation]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """One for all, as nothing is done in it; with Stripe, so that its routes are there."""
    with accounts_house(tmp_path_factory.mktemp("required"), stripe=True) as house:
        yield house


@pytest.fixture(scope="module")
def optional(tmp_path_factory):
    with accounts_house(tmp_path_factory.mktemp("optional"), mode="optional", stripe=True) as house:
        yield house


@pytest.fixture(scope="module")
def narrow(house):
    """By scope: an admin's key that has all the others."""
    house.run(house.rooms.accounts.users.add, "narrow", role=Role.ADMIN, actor="cli:test")
    return {scope: house.key("narrow", scopes=set(Scope) - {scope}) for scope in Scope}


def ask(house, operation, headers=None):
    method, _, path = operation.partition(" ")
    return house.client.request(method, re.sub(r"\{\w+\}", "1", path), headers=headers or {})


def test_every_route_is_open_on_purpose_or_needs_a_scope():
    for operation in CLOSED:
        assert scope_of(operation) in Scope
    known = {*operations()}
    assert known >= OPEN | WINDOWS | NEEDS.keys(), "the lists of this test name routes that are gone"


@pytest.mark.parametrize("operation", CLOSED)
def test_a_key_without_the_scope_is_refused(house, narrow, operation):
    refused = ask(house, operation, narrow[scope_of(operation)])
    if operation == "POST /cleanup/v1":  # ClipDrop knows no 403
        assert refused.status_code == 401
    else:
        assert refused.status_code == 403, refused.text
    if operation.partition(" ")[2].startswith("/v1/"):
        assert refused.json()["code"] == "insufficient_scope"
        assert refused.json()["scope"] == scope_of(operation)
        assert refused.headers["www-authenticate"] == (
            f'Bearer error="insufficient_scope", scope="{scope_of(operation)}"'
        )


@pytest.mark.parametrize("operation", CLOSED)
def test_the_scope_alone_opens_the_door(house, operation):
    needed = scope_of(operation)
    user = f"only-{needed.replace(':', '-')}"
    known = [found.id for found in house.run(house.rooms.accounts.users.listing)]
    if user not in known:
        house.run(house.rooms.accounts.users.add, user, plan="pro", role=Role.ADMIN, actor="cli:test")
    answer = ask(house, operation, house.key(user, scopes={needed}))
    assert answer.status_code not in {401, 403}, answer.text


@pytest.mark.parametrize("operation", CLOSED)
def test_without_a_credential_nobody_comes_in(house, operation):
    refused = ask(house, operation)
    assert refused.status_code == 401, refused.text
    assert refused.headers["www-authenticate"].startswith("Bearer")
    if operation.partition(" ")[2].startswith("/v1/"):
        assert refused.json()["code"] == "not_authenticated"


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("operation", [*CLOSED, *WINDOWS])
def test_a_bad_credential_is_not_taken_for_none(optional, operation, bad):
    refused = ask(optional, operation, BAD[bad])
    assert refused.status_code == 401, refused.text
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    "operation", [name for name in CLOSED if scope_of(name) in {Scope.ACCOUNT, Scope.ADMIN}]
)
def test_who_shows_nothing_changes_no_account(optional, operation):
    refused = ask(optional, operation)
    assert refused.status_code in {401, 403}, refused.text


@pytest.mark.parametrize("operation", sorted(OPEN | WINDOWS))
def test_what_is_open_is_open(house, operation):
    answer = ask(house, operation)
    assert answer.status_code not in {401, 403}, answer.text


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/docs", "/v1/plans", "/livez"])
def test_the_page_and_the_documents_ask_for_nothing(house, path):
    assert house.client.get(path, headers=BAD["an unknown key"]).status_code == 200


def test_an_admin_is_one_by_its_role_and_not_by_its_key_alone(house):
    house.run(house.rooms.accounts.users.add, "was-admin", role=Role.ADMIN, actor="cli:test")
    key = house.key("was-admin", scopes=set(Scope))
    assert ask(house, "GET /v1/admin/users", key).status_code == 200
    house.run(house.rooms.accounts.users.set_role, "was-admin", Role.USER, actor="cli:test")
    assert ask(house, "GET /v1/admin/users", key).status_code == 403
    scopes = ask(house, "GET /v1/account", key).json()["scopes"]
    assert set(scopes) == {str(scope) for scope in USER_SCOPES}

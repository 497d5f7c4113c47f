"""A whole app that asks callers who they are, with users who have keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from pydantic import SecretStr

from magic_eraser.accounts.principal import Scope
from magic_eraser.accounts.tables import Role
from magic_eraser.api.app import create_app
from magic_eraser.settings import AuthSettings, BillingSettings, LimitSettings, QueueSettings, Settings
from slow_model import SlowInpainter, catalog_with

OPERATOR = "cli:test"
_STRIPE = BillingSettings(
    provider="stripe",
    stripe_key=SecretStr("sk_test_51abcdefghijklmnop"),
    stripe_webhook_secret=SecretStr("whsec_abcdefghijklmnopqrstuvwx"),
    stripe_api_base="http://127.0.0.1:9",
)


class House:
    """The app's client, and callers made of headers.

    Args:
        client: entered.
    """

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.rooms = client.app.state.rooms

    def run(self, function: Any, *args: Any, **options: Any) -> Any:
        """Call a coroutine function in the app's own loop."""
        return self.client.portal.call(partial(function, *args, **options))

    def user(
        self,
        user_id: str,
        *,
        plan: str = "pro",
        role: Role = Role.USER,
        scopes: Collection[Scope] | None = None,
        email: str | None = None,
    ) -> dict[str, str]:
        """A new user, and the headers of a key with `scopes`: all that its role may have where None."""
        self.run(self.rooms.accounts.users.add, user_id, email=email, plan=plan, role=role, actor=OPERATOR)
        return self.key(user_id, scopes=scopes or (set(Scope) - ({Scope.ADMIN} - _extra(role))))

    def admin(self, user_id: str = "root") -> dict[str, str]:
        return self.user(user_id, role=Role.ADMIN)

    def key(self, user_id: str, *, scopes: Collection[Scope]) -> dict[str, str]:
        """The headers of another key of a user, which does not count as one of its own making."""
        keys = self.rooms.accounts.keys
        _made, text = self.run(keys.create, user_id, name="test", scopes=scopes, actor=OPERATOR)
        return {"Authorization": f"Bearer {text}"}

    def audit(self, caller: dict[str, str], target: str) -> list[tuple[str, str]]:
        """(actor, action) of what was done to somebody, oldest first, as an admin is told."""
        asked = self.client.get("/v1/admin/audit", params={"target": target, "limit": 200}, headers=caller)
        return [(deed["actor"], deed["action"]) for deed in reversed(asked.json()["entries"])]


@contextmanager
def accounts_house(
    data_dir: Path,
    *,
    mode: str = "required",
    slow: SlowInpainter | None = None,
    stripe: bool = False,
    plans_file: Path | None = None,
) -> Iterator[House]:
    """An app with accounts, on SQLite in a folder.

    Args:
        slow: the model of that name, with a say in how long it takes.
        stripe: plans are paid for there; nobody answers at its address.
        plans_file: the shipped plans where None.
    """
    settings = Settings(
        data_dir=data_dir,
        plans_file=plans_file,
        auth=AuthSettings(mode=mode),
        billing=_STRIPE if stripe else BillingSettings(),
        limits=LimitSettings(max_pixels=1_000_000, max_body_bytes=3_000_000),
        queue=QueueSettings(slots=1, depth=4, deadline_seconds=20),
    )
    app = create_app(settings, catalog=catalog_with(slow or SlowInpainter(seconds=0.2)))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield House(client)


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The body of a refusal, once it is sure that it is the one that is meant."""
    body = response.json()
    assert (response.status_code, body.get("code")) == (status, code), body
    return body


def _extra(role: Role) -> set[Scope]:
    return {Scope.ADMIN} if role is Role.ADMIN else set()

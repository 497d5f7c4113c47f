"""An admin on the page: users, plans, keys and money."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from account_server import AccountServer

PHONE = {
    "viewport": {"width": 375, "height": 812}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True,
}  # fmt: skip
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
USERS = itertools.count(1)


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountServer]:
    process = AccountServer(tmp_path_factory.mktemp("admin"), "required")
    process.wait_ready()
    yield process
    assert process.stop() == 0
    assert "Traceback" not in process.log
    assert "eras_live_" not in process.log, "a key was logged"


@pytest.fixture(scope="module")
def server(accounts: AccountServer) -> str:
    return accounts.url + "/"


@pytest.fixture(scope="module")
def root(accounts: AccountServer) -> str:
    """The key of an admin."""
    return accounts.add_user("root", role="admin")


class User:
    """Somebody whom the admin looks at, as a program sees it."""

    def __init__(self, accounts: AccountServer, plan: str = "free") -> None:
        self.id = f"user-{next(USERS)}"
        self.url = accounts.url
        self.headers = {"Authorization": f"Bearer {accounts.add_user(self.id, plan=plan)}"}

    def account(self) -> dict[str, Any]:
        answer: dict[str, Any] = httpx2.get(f"{self.url}/v1/account", headers=self.headers).json()
        return answer

    def erase(self, photo: bytes, mask: bytes) -> int:
        """The status of one call."""
        files = {"image": photo, "mask": mask}
        headers = {**self.headers, "Cache-Control": "no-store"}
        fields = {"model": "telea"}
        return httpx2.post(f"{self.url}/v1/erase", files=files, data=fields, headers=headers).status_code


def enter(studio: Any, key: str) -> None:
    """To the list of users."""
    studio.part("account-open").click()
    studio.part("sign-in-key").fill(key)
    studio.part("sign-in-yes").click()
    studio.part("sign-in").wait_for(state="hidden")
    studio.part("account-open").click()
    studio.part("tab-users").click()
    studio.part("users").wait_for()


def look_at(studio: Any, user: str) -> None:
    studio.part("search-users").fill(user)
    studio.page.keyboard.press("Enter")
    studio.part(f"user-{user}").click()
    studio.part("user-title").filter(has_text=user).wait_for()


def confirm(studio: Any) -> None:
    studio.part("ask-yes").click()
    studio.part("ask").wait_for(state="hidden")


def test_whoever_is_no_admin_sees_nothing_of_it(open_studio, accounts):
    studio = open_studio()
    user = User(accounts)
    studio.part("account-open").click()
    studio.part("sign-in-key").fill(user.headers["Authorization"].removeprefix("Bearer "))
    studio.part("sign-in-yes").click()
    studio.part("sign-in").wait_for(state="hidden")
    studio.part("account-open").click()
    studio.part("tab-keys").wait_for()
    assert studio.part("tab-users").count() == 0
    assert studio.part("tab-server").count() == 0


def test_a_user_is_added_found_and_given_a_key(open_studio, accounts, root):
    studio = open_studio()
    enter(studio, root)
    name = f"user-{next(USERS)}"
    studio.part("add-user").click()
    studio.part("ask-id").fill(name)
    studio.part("ask-email").fill("new@example.com")
    studio.part("ask-plan").select_option("basic")
    confirm(studio)
    studio.part("user-title").filter(has_text=name).wait_for()
    assert "Basic" in studio.part("user-facts").inner_text()
    studio.part("user-key").click()
    studio.part("ask-name").fill("first")
    studio.part("ask-yes").click()
    secret = studio.part("secret").inner_text()
    studio.part("new-key-done").click()
    studio.part("user-keys").filter(has_text="first").wait_for()
    said = httpx2.get(f"{accounts.url}/v1/account", headers={"Authorization": f"Bearer {secret}"}).json()
    assert (said["user"]["id"], said["plan"]["id"]) == (name, "basic")
    studio.part("user-keys").get_by_role("button", name="Revoke").click()
    confirm(studio)
    studio.part("user-keys").filter(has_text="revoked").wait_for()
    gone = httpx2.get(f"{accounts.url}/v1/account", headers={"Authorization": f"Bearer {secret}"})
    assert gone.status_code == 401
    studio.part("back").click()
    studio.part("search-users").fill("nobody-of-this-name")
    studio.page.keyboard.press("Enter")
    studio.page.get_by_text("No such user.").wait_for()


def test_a_name_that_is_taken_is_told_where_it_was_typed(open_studio, accounts, root):
    studio = open_studio()
    enter(studio, root)
    studio.part("add-user").click()
    studio.part("ask-id").fill("root")
    studio.part("ask-yes").click()
    studio.part("ask-problem").filter(has_text="root").wait_for()
    assert studio.part("ask-id").input_value() == "root"


def test_a_plan_is_changed_at_once(open_studio, accounts, root):
    user = User(accounts)
    studio = open_studio()
    enter(studio, root)
    look_at(studio, user.id)
    studio.part("change-plan").click()
    studio.part("ask-plan").select_option("pro")
    confirm(studio)
    studio.part("user-facts").filter(has_text="Pro").wait_for()
    assert user.account()["plan"]["id"] == "pro"


def test_a_disabled_user_is_kept_out_until_enabled(open_studio, accounts, root):
    user = User(accounts)
    studio = open_studio()
    enter(studio, root)
    look_at(studio, user.id)
    studio.part("disable").click()
    studio.part("ask-no").click()
    assert user.account()["signed_in"], "asked first"
    studio.part("disable").click()
    confirm(studio)
    studio.part("is-disabled").wait_for()
    assert user.account()["code"] == "account_disabled"
    studio.part("disable").click()
    confirm(studio)
    studio.part("is-disabled").wait_for(state="detached")
    assert user.account()["signed_in"]


def test_a_payment_is_marked_and_the_plan_begins(open_studio, accounts, root):
    user = User(accounts)
    wish = httpx2.post(f"{accounts.url}/v1/subscription", headers=user.headers, json={"plan": "basic"})
    assert wish.json()["due"] == "29.00"
    studio = open_studio()
    enter(studio, root)
    look_at(studio, user.id)
    studio.part("waiting-payment").filter(has_text="Basic for 29.00 USD").wait_for()
    studio.part("mark-paid").click()
    studio.part("ask-reference").fill(f"bank-{user.id}")
    studio.shot("admin-1-payment")
    confirm(studio)
    studio.part("waiting-payment").wait_for(state="detached")
    assert user.account()["plan"]["id"] == "basic"
    assert studio.part("ledger").get_by_text("Payment").count() > 0


def test_credit_is_given_once_for_a_reference(open_studio, accounts, root):
    user = User(accounts)
    studio = open_studio()
    enter(studio, root)
    look_at(studio, user.id)
    for _ in range(2):
        studio.part("give-credit").click()
        studio.part("ask-amount").fill("5.00")
        studio.part("ask-reference").fill(f"gift-{user.id}")
        confirm(studio)
        studio.part("user-facts").filter(has_text="Credit: 5.00 USD").wait_for()
    assert user.account()["credit"] == "5.00"


@pytest.mark.parametrize(
    ("device", "locale"), [(DESKTOP, "en-US"), (PHONE, "zh-CN")], ids=["desktop-en", "phone-zh"]
)
def test_a_call_is_refunded_with_its_money_and_its_place_in_the_day(
    open_studio, accounts, root, coffee_png, spoon_png, device, locale, request
):
    user = User(accounts, "basic")
    assert user.erase(coffee_png, spoon_png) == 200
    assert user.account()["owed"] == "0.10"
    studio = open_studio(device, locale=locale)
    enter(studio, root)
    studio.shot(f"admin-2-users-{request.node.callspec.id}")
    look_at(studio, user.id)
    studio.shot(f"admin-3-user-{request.node.callspec.id}")
    refund = studio.part("ledger").get_by_role("button")
    refund.first.scroll_into_view_if_needed()
    refund.first.click()
    assert studio.part("ask-amount").input_value() == "0.10"
    studio.part("ask-note").fill("blurred")
    studio.shot(f"admin-4-refund-{request.node.callspec.id}")
    confirm(studio)
    studio.part("ledger").filter(has_text="blurred").wait_for()
    said = user.account()
    assert (said["owed"], said["today"]["used"]) == ("0.00", 0)
    refund.last.click()
    studio.part("ask-yes").click()
    studio.part("ask-problem").filter(has_text=re.compile(r".")).wait_for()
    assert user.account()["owed"] == "0.00", "never more than was charged"
    studio.part("ask-no").click()
    studio.part("tab-server").click()
    studio.part("byUser").filter(has_text=user.id).wait_for()
    studio.shot(f"admin-5-server-{request.node.callspec.id}")
    widths = studio.page.locator(".account-body").evaluate("body => [body.scrollWidth, body.clientWidth]")
    assert widths[0] == widths[1], "no sideways scroll"

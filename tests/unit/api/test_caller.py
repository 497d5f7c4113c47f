"""Who calls: by what it shows, and by its address."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request

from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.api.caller import caller_of, credential_of, grouped
from magic_eraser.errors import InvalidToken, RateLimited
from magic_eraser.service.rates import NullRates, Rate

NOBODY_IS_ASKED = SimpleNamespace(accounts=None)


def request_from(client: tuple[str, int] | None, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "client": client})


def owner_at(client: tuple[str, int] | None, **headers: str):
    return asyncio.run(caller_of(NOBODY_IS_ASKED, request_from(client, **headers)))


def shown(*headers: tuple[str, str]) -> str | None:
    """What counts of headers as they came."""
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return credential_of(Headers(raw=raw))


# --- by address -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("testclient", ""),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_an_address_stands_for_a_subscriber(host, address):
    assert grouped(host) == address


def test_neighbours_of_one_network_are_one_party_and_other_networks_are_not():
    parties = [owner_at((host, 1)).party for host in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")]
    assert parties[0] == parties[1] != parties[2]


def test_callers_at_all_addresses_are_the_owner():
    caller = owner_at(("203.0.113.7", 5000))
    assert (caller.tenant_id, caller.subject) == (LOCAL_OWNER.tenant_id, LOCAL_OWNER.subject)
    assert caller.party == "local@203.0.113.7"


def test_a_header_is_not_believed_here():
    caller = owner_at(("203.0.113.7", 5000), x_forwarded_for="198.51.100.1", forwarded="for=1.1.1.1")
    assert caller.address == "203.0.113.7"


def test_without_an_address_it_is_the_owner_alone():
    assert owner_at(None) == LOCAL_OWNER


# --- by what it shows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer abc")],
        [("authorization", "bearer   abc ")],
        [("AUTHORIZATION", "BEARER abc")],
        [("x-api-key", "abc")],
        [("Authorization", "Bearer abc"), ("X-API-Key", "abc")],
    ],
)
def test_a_credential_is_in_one_of_two_headers(headers):
    assert shown(*headers) == "abc"


@pytest.mark.parametrize(
    "headers", [[], [("Authorization", " ")], [("x-api-key", "")], [("Cookie", "key=abc")]]
)
def test_nothing_is_shown(headers):
    assert shown(*headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Basic YWJj")],
        [("Authorization", "Basic YWJj"), ("x-api-key", "abc")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer\tabc")],
        [("Authorization", "abc")],
        [("Authorization", "Bearer abc"), ("x-api-key", "abd")],
        [("Authorization", "Bearer abc"), ("Authorization", "Bearer abd")],
        [("Authorization", "Bearer abc"), ("Authorization", "Bearer abc")],
        [("Authorization", ""), ("Authorization", "Bearer abc")],
        [("x-api-key", "abc"), ("x-api-key", "abd")],
    ],
)
def test_of_what_can_be_read_in_two_ways_nothing_counts(headers):
    with pytest.raises(InvalidToken) as refused:
        shown(*headers)
    assert "abc" not in str(refused.value)


# --- who tries credentials ------------------------------------------------------------------------------


class _Counted:
    """Two a minute of each party."""

    def __init__(self) -> None:
        self.parties: list[str] = []

    async def count(self, party: str) -> Rate:
        self.parties.append(party)
        left = 2 - self.parties.count(party)
        return Rate(2, 60, max(0, left), 30, left >= 0)


class _NobodyIsKnown:
    async def principal(self, _credential, _address):
        raise InvalidToken


def tried_from(rooms, *hosts):
    codes = []
    for host in hosts:
        with pytest.raises((InvalidToken, RateLimited)) as refused:
            asyncio.run(caller_of(rooms, request_from((host, 1), x_api_key="wrong")))
        codes.append(refused.value.code)
    return codes


def test_wrong_credentials_are_counted_by_address_and_hopping_in_a_network_does_not_help():
    rooms = SimpleNamespace(accounts=SimpleNamespace(sign_in=_NobodyIsKnown()), rates=_Counted())
    hosts = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1", "203.0.113.7"]
    codes = tried_from(rooms, *hosts)
    assert codes == ["invalid_token", "invalid_token", "rate_limited", "invalid_token", "invalid_token"]
    assert rooms.rates.parties[0] == "refused@2001:db8::/64"


def test_where_no_rate_is_set_wrong_credentials_are_refused_one_by_one():
    rooms = SimpleNamespace(accounts=SimpleNamespace(sign_in=_NobodyIsKnown()), rates=NullRates())
    assert set(tried_from(rooms, *["203.0.113.7"] * 5)) == {"invalid_token"}

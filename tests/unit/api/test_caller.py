"""Who calls, by address."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.api.caller import at_address, caller_of


def request_from(client: tuple[str, int] | None, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "client": client})


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
    assert at_address(host).address == address


def test_neighbours_of_one_network_are_one_party_and_other_networks_are_not():
    parties = [at_address(host).party for host in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")]
    assert parties[0] == parties[1] != parties[2]


def test_callers_at_all_addresses_are_the_owner():
    caller = caller_of(request_from(("203.0.113.7", 5000)))
    assert (caller.tenant_id, caller.subject) == (LOCAL_OWNER.tenant_id, LOCAL_OWNER.subject)
    assert caller.party == "local@203.0.113.7"


def test_a_header_is_not_believed_here():
    caller = caller_of(
        request_from(("203.0.113.7", 5000), x_forwarded_for="198.51.100.1", forwarded="for=1.1.1.1")
    )
    assert caller.address == "203.0.113.7"


def test_without_an_address_it_is_the_owner_alone():
    assert caller_of(request_from(None)) == LOCAL_OWNER

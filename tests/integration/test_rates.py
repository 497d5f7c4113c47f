"""Rates that several servers share, and what clients of a real server see of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator

import httpx2
import pytest

from magic_eraser.service.limited_rates import LimitedRates
from magic_eraser.service.redis_link import RedisLink
from private_servers import PrivateRedis
from server_process import Server

PROXY = {"ERASER_SERVER__TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture
def redis() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


@pytest.fixture
def limited(start, redis) -> Callable[..., Server]:
    """A server that lets each address send three requests a minute, counted in a Redis of the test's own: there a
    minute begins with the first request, and does not end in the middle of a test."""

    def begin(**environment: str) -> Server:
        return start(
            ERASER_LIMITS__REQUESTS_PER_MINUTE="3",
            ERASER_REDIS__URL=redis.url,
            ERASER_CACHE__BACKEND="null",
            ERASER_SERVER__SIMPLE_UI="false",
            **environment,
        )

    return begin


def ask(server: Server, forwarded_for: str | None = None, **headers: str) -> httpx2.Response:
    """A request that costs, and fails for lack of a picture."""
    if forwarded_for is not None:
        headers["X-Forwarded-For"] = forwarded_for
    return httpx2.post(f"{server.url}/v1/erase", data={"model": "telea"}, headers=headers)


def statuses(server: Server, *addresses: str | None) -> list[int]:
    return [ask(server, address).status_code for address in addresses]


# --- counting -----------------------------------------------------------------------------------------


def test_two_servers_share_one_count(redis):
    async def story() -> None:
        links = RedisLink(redis.url), RedisLink(redis.url)
        first, second = (LimitedRates(4, link) for link in links)
        told = [await rates.count("a") for rates in (first, second, first, second, first)]
        assert [rate.remaining for rate in told] == [3, 2, 1, 0, 0]
        assert [rate.allowed for rate in told] == [True] * 4 + [False]
        assert all(55 <= rate.reset <= 60 for rate in told)
        assert (await second.count("b")).remaining == 3
        for link in links:
            await link.close()

    asyncio.run(story())


def test_while_redis_is_away_each_server_counts_by_itself(redis):
    async def story() -> None:
        now = [0.0]
        link = RedisLink(redis.url, clock=lambda: now[0])
        rates = LimitedRates(100, link)
        assert (await rates.count("a")).remaining == 99
        await asyncio.to_thread(redis.kill)
        assert [(await rates.count("a")).remaining for _ in range(3)] == [99, 98, 97]
        await asyncio.to_thread(redis.start)
        now[0] = 1.0
        assert [(await rates.count("a")).remaining for _ in range(2)] == [
            99,
            98,
        ]  # it keeps nothing over a restart
        assert link.available
        await link.close()

    asyncio.run(story())


def test_requests_at_once_are_counted_one_by_one(redis):
    async def story() -> None:
        link = RedisLink(redis.url, timeout_seconds=2.0)
        rates = LimitedRates(30, link)
        counted = await asyncio.gather(*(rates.count("a") for _ in range(100)))
        assert sum(rate.allowed for rate in counted) == 30
        await link.close()

    asyncio.run(story())


# --- what a client sees -------------------------------------------------------------------------------


def test_one_too_many_is_refused_until_the_time_that_both_headers_name(limited):
    server = limited()
    answers = [ask(server) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]
    assert [answer.headers["RateLimit"].partition(";t=")[0] for answer in answers] == [
        '"default";r=2', '"default";r=1', '"default";r=0', '"default";r=0',
    ]  # fmt: skip
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"default";q=3;w=60'}
    refused = answers[-1]
    assert refused.json()["code"] == "rate_limited"
    assert 50 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"].endswith(f";t={refused.headers['Retry-After']}")
    assert "60 秒内的请求超过了 3 次" in ask(server, **{"Accept-Language": "zh"}).json()["detail"]
    metrics = httpx2.get(f"{server.url}/metrics")
    assert 'eraser_admission_rejected_total{reason="rate_limited"} 2.0' in metrics.text
    assert "RateLimit" not in metrics.headers  # costs nothing


def test_without_a_limit_there_are_no_headers(start):
    answer = ask(start(ERASER_SERVER__SIMPLE_UI="false"))
    assert answer.status_code == 422
    assert not {"ratelimit", "ratelimit-policy"} & answer.headers.keys()


def test_a_body_is_not_waited_for_where_it_will_not_be_read(limited):
    server = limited()
    assert statuses(server, *[None] * 3) == [422] * 3
    head = f"POST /v1/erase HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 1000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 5) as line:
        line.sendall(head.encode())
        assert line.recv(12) == b"HTTP/1.1 429"


def test_addresses_that_a_trusted_proxy_tells_are_counted_each(limited):
    server = limited(**PROXY)
    assert statuses(server, *["203.0.113.7"] * 4) == [422, 422, 422, 429]
    assert statuses(server, "203.0.113.8") == [422]
    # what a client writes stands left of what the proxy has seen
    assert statuses(server, "198.51.100.1, 203.0.113.7") == [429]
    # one home has 2^64 addresses
    assert statuses(server, *(f"2001:db8::{host}" for host in range(1, 5))) == [422, 422, 422, 429]
    assert statuses(server, "2001:db8:0:1::1") == [422]


@pytest.mark.parametrize("trusted", ["", "192.0.2.1"])
def test_what_somebody_else_tells_is_not_believed(limited, trusted):
    server = limited(ERASER_SERVER__TRUSTED_PROXIES=trusted)
    assert statuses(server, *(f"203.0.113.{host}" for host in range(4))) == [422, 422, 422, 429]


def test_redis_dies_and_comes_back_under_requests_and_no_client_sees_it(limited, redis):
    server = limited(**PROXY, ERASER_REDIS__TIMEOUT_SECONDS="0.2")
    hosts = (f"203.0.113.{host}" for host in range(200))
    assert statuses(server, *(next(hosts) for _ in range(3))) == [422] * 3
    redis.kill()
    assert statuses(server, *(next(hosts) for _ in range(10))) == [422] * 10
    assert httpx2.get(f"{server.url}/v1/status").json()["dependencies"]["redis"] == "down"
    redis.start()
    while httpx2.get(f"{server.url}/v1/status").json()["dependencies"]["redis"] == "down":
        assert statuses(server, next(hosts)) == [422]
    events = server.log
    assert events.count("redis_down") == events.count("redis_back") == 1

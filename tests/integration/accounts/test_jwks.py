"""An issuer's keys, fetched over HTTP from a server that is well, rotates them, or misbehaves."""

from __future__ import annotations

import asyncio
import gzip
import time

import pytest
from structlog.testing import capture_logs

from file_server import FileServer
from issuer import AUDIENCE, ISSUER, NOW, ec_key, key_set, rsa_key
from magic_eraser.accounts.tokens.jwks import Jwks
from magic_eraser.accounts.tokens.tokens import Tokens
from magic_eraser.errors import InvalidToken, ProviderUnavailable, SettingsError
from magic_eraser.settings import AuthSettings

PATH = "/keys"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server():
    with FileServer() as server:
        yield server


@pytest.fixture
def clock():
    return Clock()


def jwks_of(server, clock, **options) -> Jwks:
    return Jwks(server.address + PATH, clock=clock, **options)


def test_a_token_is_good_by_a_key_that_is_fetched_once(server):
    file = server.publish(PATH, key_set(rsa_key(), ec_key()))
    auth = AuthSettings(jwks_url=server.address + PATH, issuer=ISSUER, audience=AUDIENCE)

    async def story():
        tokens = Tokens(auth, clock=lambda: NOW)
        found = await asyncio.gather(*(tokens(key.token()) for key in [rsa_key(), ec_key()] * 20))
        assert {identity.user_id for identity in found} == {"alice"}
        with pytest.raises(InvalidToken):
            await tokens(rsa_key("impostor").token())

    asyncio.run(story())
    assert len(file.asked) == 1
    assert "authorization" not in {name.lower() for name in file.asked[0]}


def test_keys_are_asked_for_again_after_ten_minutes(server, clock):
    file = server.publish(PATH, key_set(rsa_key()))

    async def story():
        jwks = jwks_of(server, clock)
        for wait, asked in ((0, 1), (599, 1), (1, 2), (599, 2), (600, 3)):
            clock.now += wait
            await jwks.find("RS256", "rsa-1")
            assert len(file.asked) == asked

    asyncio.run(story())


def test_a_key_that_is_withdrawn_counts_no_more_after_that(server, clock):
    server.publish(PATH, key_set(rsa_key(), ec_key()))

    async def story():
        jwks = jwks_of(server, clock)
        await jwks.find("RS256", "rsa-1")
        server.publish(PATH, key_set(ec_key()))
        clock.now += 600
        with pytest.raises(InvalidToken):
            await jwks.find("RS256", "rsa-1")
        await jwks.find("ES256", "ec-1")

    asyncio.run(story())


def test_a_new_key_is_found_at_once_and_made_up_names_do_not_make_us_ask(server, clock):
    server.publish(PATH, key_set(rsa_key("old")))

    async def story():
        jwks = jwks_of(server, clock)
        await jwks.find("RS256", "old")
        file = server.publish(PATH, key_set(rsa_key("old"), rsa_key("new")))
        clock.now += 31
        await jwks.find("RS256", "new")
        await jwks.find("RS256", "old")
        assert len(file.asked) == 1
        for second in range(300):
            with pytest.raises(InvalidToken):
                await jwks.find("RS256", f"made-up-{second}")
            clock.now += 1
        assert len(file.asked) == 1 + 9  # after 30, 60, ... 270 s
        await jwks.find("RS256", "new")

    asyncio.run(story())


def test_many_who_wait_are_served_by_one_fetch_even_if_the_first_goes_away(server, clock):
    file = server.publish(PATH, key_set(rsa_key()) + b" " * 40_000, pause=0.1)

    async def story():
        jwks = jwks_of(server, clock)
        waiting = [asyncio.create_task(jwks.find("RS256", "rsa-1")) for _ in range(50)]
        await asyncio.sleep(0.1)
        waiting[0].cancel()
        found = await asyncio.gather(*waiting[1:])
        assert all(key.key_id == "rsa-1" for key in found)

    asyncio.run(story())
    assert len(file.asked) == 1


BAD = {
    "a status of 500": ({"status": 500}, "status 500"),
    "a redirect": ({"status": 302, "headers": {"Location": "/elsewhere"}}, "status 302"),
    "not found": ({"status": 404}, "status 404"),
    "garbage": ({"content": b"<html>Sign in</html>"}, "no JSON"),
    "other JSON": ({"content": b'{"error": "none"}'}, "no set of keys"),
    "too many keys": ({"content": key_set(*[ec_key().jwk()] * 101)}, "more than 100 keys"),
    "too much": ({"content": key_set(rsa_key()) + b" " * 300_000}, "more than 262144 bytes"),
    "packed": (
        {"content": gzip.compress(key_set(rsa_key())), "headers": {"Content-Encoding": "gzip"}},
        "packed, which was not asked for",
    ),
    "a body that never ends": (
        {"content": key_set(rsa_key()), "headers": {"Content-Length": "99999"}},
        "no answer within 0.3 s",
    ),
    "a body that drips": ({"content": b" " * 200_000, "pause": 0.1}, "no answer within 0.3 s"),
    "a connection that breaks": ({"content": b" " * 20_000, "cuts": [100] * 9}, "RemoteProtocolError"),
}


@pytest.mark.parametrize(("facts", "reason"), BAD.values(), ids=BAD)
def test_what_the_issuer_answers_wrongly_changes_nothing(server, clock, facts, reason):
    server.publish("/elsewhere", key_set(rsa_key("elsewhere")))
    server.publish(PATH, key_set(rsa_key()))

    async def story():
        jwks = jwks_of(server, clock, seconds=0.3)
        key = await jwks.find("RS256", "rsa-1")
        file = server.publish(PATH, **facts)
        for _ in range(3):
            clock.now += 600
            assert await jwks.find("RS256", "rsa-1") is key
            with pytest.raises(InvalidToken):
                await jwks.find("RS256", "elsewhere")
        assert len(file.asked) == 3

    start = time.monotonic()
    with capture_logs() as lines:
        asyncio.run(story())
    assert time.monotonic() - start < 8
    told = [(line["event"], line["reason"], line["kept"]) for line in lines]
    assert told == [("jwks_not_fetched", reason, True)]
    assert server.files["/elsewhere"].asked == []


@pytest.mark.parametrize(("facts", "reason"), BAD.values(), ids=BAD)
def test_without_any_keys_the_answer_is_to_come_again_later(server, clock, facts, reason):
    file = server.publish(PATH, **facts)

    async def story():
        jwks = jwks_of(server, clock, seconds=0.3)
        for wait, asked in ((0, 1), (4, 1), (1, 2)):
            clock.now += wait
            with pytest.raises(ProviderUnavailable) as caught:
                await jwks.find("RS256", "rsa-1")
            assert 1 <= caught.value.retry_after <= 5
            assert len(file.asked) == asked
        server.publish(PATH, key_set(rsa_key()))
        clock.now += 5
        await jwks.find("RS256", "rsa-1")

    with capture_logs() as lines:
        asyncio.run(story())
    told = [(line["event"], line.get("reason"), line.get("usable_keys")) for line in lines]
    assert told == [("jwks_not_fetched", reason, None), ("jwks_fetched", None, 1)]


def test_nobody_listens(clock):
    async def story():
        with pytest.raises(ProviderUnavailable):
            await Jwks("http://127.0.0.1:1/keys", clock=clock).find("RS256", "rsa-1")

    with capture_logs() as lines:
        asyncio.run(story())
    assert [line["reason"] for line in lines] == ["ConnectError"]


def test_old_keys_are_kept_for_a_day_and_no_longer(server, clock):
    server.publish(PATH, key_set(rsa_key()))

    async def story():
        jwks = jwks_of(server, clock)
        await jwks.find("RS256", "rsa-1")
        server.publish(PATH, status=500)
        clock.now += 86_399
        await jwks.find("RS256", "rsa-1")
        clock.now += 1
        with pytest.raises(ProviderUnavailable):
            await jwks.find("RS256", "rsa-1")

    asyncio.run(story())


def test_an_issuer_that_withdraws_all_keys_is_believed(server, clock):
    server.publish(PATH, key_set(rsa_key()))

    async def story():
        jwks = jwks_of(server, clock)
        await jwks.find("RS256", "rsa-1")
        server.publish(PATH, key_set())
        clock.now += 600
        with pytest.raises(InvalidToken):
            await jwks.find("RS256", "rsa-1")

    with capture_logs() as lines:
        asyncio.run(story())
    assert [(line["event"], line["usable_keys"]) for line in lines] == [("jwks_fetched", 0)]


def test_one_that_hangs_is_waited_for_five_seconds_at_most(server, clock):
    server.publish(PATH, key_set(rsa_key()), headers={"Content-Length": "99999"})

    async def story():
        start = time.monotonic()
        with pytest.raises(ProviderUnavailable):
            await jwks_of(server, clock).find("RS256", "rsa-1")
        assert 4.5 < time.monotonic() - start < 7

    asyncio.run(story())


@pytest.mark.parametrize(
    "url", ["https://id.example/keys", "http://localhost:8080/k", "http://127.0.0.9/", "http://[::1]/"]
)
def test_addresses_that_may_be_asked(url):
    Jwks(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/keys", "http://10.0.0.1/keys", "http://169.254.169.254/", "http://0.0.0.0/",
        "http://localhost.evil.example/", "http://127.0.0.1.evil.example/", "http://2130706433/",
        "file:///etc/passwd", "ftp://id.example/", "//id.example/keys", "id.example", "https://", "https://[::1/",
        "https://user:word@id.example/keys", "http://127.0.0.1@evil.example/", "https://id.example:99999/",
    ],
)  # fmt: skip
def test_addresses_that_may_not_be_asked(url):
    with pytest.raises(SettingsError, match="ERASER_AUTH__JWKS_URL") as caught:
        Jwks(url)
    assert "word" not in str(caught.value).replace("password", "")

"""Where webhooks may go, and how they are signed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac

import httpx2
import pytest

from magic_eraser.errors import ValidationFailed
from magic_eraser.jobs.webhook_address import Gate
from magic_eraser.jobs.webhook_store import Delivery
from magic_eraser.jobs.webhooks import WebhookSender, sign, signing_key

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


def names(**table: str):
    """A resolver that knows these, and addresses as themselves; comma-separated for several."""

    async def resolve(host: str, port: int) -> list[str]:
        if host.replace("_", "").isalpha() and host not in table:
            raise OSError("no such name")
        return table[host].split(",") if host in table else [host.strip("[]")]

    return resolve


def judged(url: str, *, allow=(), resolve=None):
    return asyncio.run(Gate(allow, resolve or names(open="93.184.216.34")).destination(url))


def refusal(url: str, **options) -> str:
    with pytest.raises(ValidationFailed) as caught:
        judged(url, **options)
    assert caught.value.extra["errors"][0]["pointer"] == "/webhook_url"
    return caught.value.detail


@pytest.mark.parametrize(
    "url", ["https://open/hook?x=1", "http://open:8080/", "https://93.184.216.34/", "https://[2606:4700::1]/"]
)
def test_the_open_internet_is_let_pass(url):
    assert judged(url).addresses


PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "255.255.255.255", "224.0.0.1", "239.255.255.250", "192.0.2.1", "198.18.0.1", "240.0.0.1",
    "192.88.99.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:7f00:1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::",
    "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_of_a_private_address_is_refused(address):
    assert "not on the open internet" in refusal("https://sly/", resolve=names(sly=address))


@pytest.mark.parametrize("address", PRIVATE)
def test_one_private_address_among_open_ones_is_enough(address):
    table = names(sly=f"93.184.216.34,{address}")
    assert "not on the open internet" in refusal("https://sly/", resolve=table)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://open/", "file:///etc/passwd", "gopher://open/", "javascript:alert(1)", "//open/", "open", "",
        "https://", "https:///x", "https://open:0/", "https://open:99999/", "https://o pen/", "http://[::1",
    ],
)  # fmt: skip
def test_other_addresses_than_http_are_refused(url):
    refusal(url)


@pytest.mark.parametrize("url", ["https://user:secret@open/", "https://user@open/", "https://:x@open/"])
def test_credentials_are_refused(url):
    assert "user or a password" in refusal(url)


def test_a_name_that_nobody_knows_is_refused():
    assert '"nowhere" is not known' in refusal("https://nowhere/")


def test_a_url_without_end_is_refused():
    assert "longer than 2000" in refusal("https://open/" + "x" * 2000)


@pytest.mark.parametrize(
    ("allow", "url", "address"),
    [
        ("internal", "http://internal/", "10.0.0.5"),
        ("10.0.0.5", "http://internal/", "10.0.0.5"),
        ("10.0.0.0/24", "http://internal/", "10.0.0.5"),
        ("127.0.0.1", "http://internal/", "::ffff:127.0.0.1"),
        ("fd00::/8", "http://internal/", "fd00::7"),
        ("INTERNAL", "http://internal./", "10.0.0.5"),
    ],
)
def test_what_the_operator_allows_is_let_pass_and_nothing_else(allow, url, address):
    table = names(**{"internal": address, "internal.": address, "other": "192.168.0.1"})

    async def resolve(host, port):
        return await table(host, port)

    assert judged(url, allow=(allow,), resolve=resolve).addresses == (address,)
    refusal("http://other/", allow=(allow,), resolve=resolve)


def test_a_signature_is_as_standard_webhooks_has_it():
    """Checked by a computation of its own."""
    body = b'{"type":"job.succeeded"}'
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = hmac.new(key, b"msg_1.1700000000." + body, hashlib.sha256).digest()
    signed = sign(signing_key(SECRET), "msg_1", 1_700_000_000, body)
    assert signed == "v1," + base64.b64encode(expected).decode()


def test_a_signature_is_the_one_of_the_specifications_own_example():
    """From the libraries of Standard Webhooks."""
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_may_be_any_text():
    assert signing_key("correct horse") == b"correct horse"
    assert signing_key("whsec_not base64!") == b"whsec_not base64!"


class Outbox:
    """One delivery, and what was told of it."""

    def __init__(self, url: str, attempts: int = 1) -> None:
        self.waiting = [Delivery("msg", "job", url, '{"a":1}', attempts, 1)]
        self.told: list[tuple[str, ...]] = []

    async def claim(self, owner):
        return self.waiting.pop() if self.waiting else None

    async def delivered(self, delivery):
        self.told.append(("delivered",))

    async def failed(self, delivery, reason, *, for_good=False):
        self.told.append(("failed", reason, str(for_good)))
        return not for_good

    async def give_back(self, delivery):
        self.told.append(("given back",))


def sent(url: str, answer, *, resolve=None, allow=()) -> tuple[Outbox, list[httpx2.Request]]:
    asked = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return answer(request)

    outbox = Outbox(url)

    async def story():
        gate = Gate(allow, resolve or names(open="93.184.216.34"))
        transport = httpx2.MockTransport(handle)
        sender = WebhookSender(
            outbox, SECRET, gate, owner="me", clock=lambda: 1_700_000_000.9, transport=transport
        )
        await sender.send_due()

    asyncio.run(story())
    return outbox, asked


def test_the_address_that_was_looked_at_is_the_one_connected_to():
    outbox, (request,) = sent("https://open:8443/hook?x=1", lambda _request: httpx2.Response(204))
    assert outbox.told == [("delivered",)]
    assert str(request.url) == "https://93.184.216.34:8443/hook?x=1"
    assert request.headers["host"] == "open:8443"
    assert request.extensions["sni_hostname"] == "open"
    assert request.headers["webhook-timestamp"] == "1700000000"
    assert request.headers["webhook-id"] == "msg"
    assert request.headers["webhook-signature"] == sign(
        signing_key(SECRET), "msg", 1_700_000_000, request.content
    )


def test_a_name_that_became_private_since_the_job_was_made_is_not_asked():
    """DNS rebinding: looked at again, and connected to as it was looked at."""
    outbox, asked = sent("https://sly/", lambda _request: httpx2.Response(200), resolve=names(sly="10.0.0.1"))
    assert asked == []
    assert outbox.told[0][0] == "failed"
    assert "not on the open internet" in outbox.told[0][1]


def test_the_resolver_is_asked_once_for_each_attempt():
    calls = []

    async def resolve(host, port):
        calls.append(host)
        return ["93.184.216.34"] if len(calls) == 1 else ["127.0.0.1"]

    outbox, (request,) = sent("https://sly/", lambda _request: httpx2.Response(200), resolve=resolve)
    assert request.url.host == "93.184.216.34"
    assert calls == ["sly"]
    assert outbox.told == [("delivered",)]


def test_a_redirect_is_not_followed():
    answer = httpx2.Response(302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
    outbox, asked = sent("https://open/", lambda _request: answer)
    assert len(asked) == 1
    assert outbox.told == [("failed", "answered 302", "False")]


@pytest.mark.parametrize(
    ("status", "for_good"), [(400, "False"), (404, "False"), (500, "False"), (410, "True")]
)
def test_other_answers_than_2xx_are_failures(status, for_good):
    outbox, _ = sent("https://open/", lambda _request: httpx2.Response(status))
    assert outbox.told == [("failed", f"answered {status}", for_good)]


def test_the_next_address_is_tried_where_one_cannot_be_reached():
    def answer(request):
        if request.url.host == "2606:4700::1":
            raise httpx2.ConnectError("network is unreachable")
        return httpx2.Response(200)

    outbox, asked = sent("https://two/", answer, resolve=names(two="2606:4700::1,93.184.216.34"))
    assert [request.url.host for request in asked] == ["2606:4700::1", "93.184.216.34"]
    assert outbox.told == [("delivered",)]


def test_a_connection_that_breaks_is_a_failure():
    def answer(_request):
        raise httpx2.ReadError("reset")

    outbox, _ = sent("https://open/", answer)
    assert outbox.told == [("failed", "broke off: reset", "False")]


def test_a_defect_of_ours_is_a_failure_of_one_message_and_does_not_stop_the_others():
    def answer(_request):
        raise RuntimeError("a defect")

    outbox, _ = sent("https://open/", answer)
    assert outbox.told == [("failed", "a defect of ours", "False")]


def test_a_server_that_leaves_while_it_sends_gives_it_back():
    async def story():
        outbox = Outbox("https://open/")
        begun = asyncio.Event()

        async def never(_request):
            begun.set()
            await asyncio.sleep(60)

        gate = Gate((), names(open="93.184.216.34"))
        sender = WebhookSender(outbox, SECRET, gate, owner="me", transport=httpx2.MockTransport(never))
        sender.start()
        await begun.wait()
        await sender.stop()
        assert outbox.told == [("given back",)]

    asyncio.run(story())

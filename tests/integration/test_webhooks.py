"""Webhooks: from the transaction that ends a job, through any server, to a receiver on a port; on both databases."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy as sa

from magic_eraser.accounts.principal import LOCAL_OWNER
from magic_eraser.db.base import now
from magic_eraser.db.blobs import FileBlobs
from magic_eraser.jobs.job import NewItem, NewJob
from magic_eraser.jobs.store import JobStore, new_id
from magic_eraser.jobs.tables import webhook_deliveries
from magic_eraser.jobs.webhook_address import Gate
from magic_eraser.jobs.webhook_store import KEPT_SECONDS, LEASE_SECONDS, WAITS, WebhookStore
from magic_eraser.jobs.webhooks import WebhookSender

KEY = b"0123456789abcdef01234567"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
HOME = Gate(("127.0.0.1",))


class Receiver:
    """Answers with the statuses of `answers`, then 200; `moved` is where its redirects lead."""

    def __init__(self, *answers: int, moved: str = "", certificate=None) -> None:
        self.answers = list(answers)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.heard = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                if moved:
                    self.send_header("Location", moved)
                self.end_headers()
                receiver.heard.set()

            def log_message(self, *_arguments) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.names: list[str | None] = []
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*certificate)
            tls.sni_callback = lambda _socket, name, _context: self.names.append(name)
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receive():
    receivers = []

    def begin(*answers: int, **options) -> Receiver:
        receivers.append(Receiver(*answers, **options))
        return receivers[-1]

    yield begin
    for receiver in receivers:
        receiver.close()


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """Of hooks.test and nobody else, signed by itself and trusted: (certificate, key)."""
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hooks.test",
         "-addext", "subjectAltName=DNS:hooks.test", "-out", str(files[0]), "-keyout", str(files[1])],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    return files


class Clock:
    """Of the database, moved on by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> sa.ColumnElement[float]:
        return now() + self.ahead


class House:
    """One server's share of what webhooks need."""

    def __init__(self, database, tmp_path, gate: Gate = HOME, owner: str = "me") -> None:
        self.clock = Clock()
        self.database = database
        self.store = WebhookStore(database, self.clock)
        self.sender = WebhookSender(self.store, SECRET, gate, owner=owner)
        blobs = FileBlobs(tmp_path / "blobs")
        self.jobs = JobStore(database, blobs, ttl_seconds=60, on_over=self.sender.on_over)

    async def job_over(self, url: str | None) -> str:
        """A job that is over, by being cancelled."""
        new = NewJob(new_id(), (NewItem("a.png", "f/a", "f/b"),), {}, url)
        await self.jobs.create(LOCAL_OWNER, new)
        await self.jobs.cancel(LOCAL_OWNER.tenant_id, new.id)
        return new.id

    async def outbox(self) -> list[sa.Row]:
        async with self.database.read() as connection:
            return list(await connection.execute(sa.select(webhook_deliveries)))


def test_the_end_of_a_job_is_told_signed(open_database, tmp_path, receive):
    receiver = receive()

    async def story():
        async with open_database() as database:
            house = House(database, tmp_path)
            job_id = await house.job_over(receiver.url)
            assert await house.sender.send_due() == 1
            assert await house.sender.send_due() == 0
            (row,) = await house.outbox()
            assert (row.state, row.attempts, row.owner, row.lease_until) == ("delivered", 1, None, None)
            job = await house.jobs.get(LOCAL_OWNER.tenant_id, job_id)
            return row, job

    row, job = asyncio.run(story())
    ((headers, body),) = receiver.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == row.id
    assert headers["content-type"] == "application/json"
    told = json.loads(body)
    assert told["type"] == "job.cancelled"
    assert set(told) == {"type", "timestamp", "data"}
    assert told["data"]["id"] == job.id
    assert (told["data"]["total"], told["data"]["succeeded"], told["data"]["failed"]) == (1, 0, 0)
    assert set(told["data"]) == {
        "id", "state", "total", "succeeded", "failed", "created_at", "finished_at", "expires_at",
    }  # fmt: skip


def test_a_job_that_asked_for_none_has_none(open_database, tmp_path):
    async def story():
        async with open_database() as database:
            house = House(database, tmp_path)
            await house.job_over(None)
            assert await house.outbox() == []

    asyncio.run(story())


def test_an_end_that_was_rolled_back_is_not_told(open_database, tmp_path, receive):
    receiver = receive()

    async def story():
        async with open_database() as database:
            house = House(database, tmp_path)
            job_id = await house.job_over(None)

            async def end_and_fail():
                async with database.write() as connection:
                    await connection.execute(sa.text(f"UPDATE jobs SET webhook_url = '{receiver.url}'"))
                    await house.sender.on_over(connection, job_id)
                    raise RuntimeError

            with pytest.raises(RuntimeError):
                await end_and_fail()
            assert await house.sender.send_due() == 0

    asyncio.run(story())
    assert receiver.got == []


def test_what_fails_is_tried_again_after_longer_and_longer_and_given_up_in_the_end(
    open_database, tmp_path, receive
):
    receiver = receive(*[500] * 20)

    async def story():
        async with open_database() as database:
            house = House(database, tmp_path)
            await house.job_over(receiver.url)
            assert await house.sender.send_due() == 1
            for number, wait in enumerate(WAITS, start=2):
                house.clock.ahead += wait - 2
                assert await house.sender.send_due() == 0
                house.clock.ahead += 3
                assert await house.sender.send_due() == 1
                assert len(receiver.got) == number
            (row,) = await house.outbox()
            assert (row.state, row.attempts, row.last_error) == ("failed", 7, "answered 500")
            house.clock.ahead += 10 * WAITS[-1]
            assert await house.sender.send_due() == 0
            assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
            house.clock.ahead = KEPT_SECONDS + 1
            await house.store.sweep()
            assert await house.outbox() == []

    asyncio.run(story())


def test_a_receiver_that_comes_back_hears_of_it(open_database, tmp_path, receive):
    receiver = receive(503, 500)

    async def story():
        async with open_database() as database:
            house = House(database, tmp_path)
            await house.job_over(receiver.url)
            for _ in range(3):
                assert await house.sender.send_due() == 1
                house.clock.ahead += 200
            (row,) = await house.outbox()
            assert (row.state, row.attempts, row.last_error) == ("delivered", 3, None)

    asyncio.run(story())


def test_a_redirect_to_a_private_address_is_not_followed(open_database, tmp_path, receive):
    inside = receive()
    receiver = receive(307, moved=inside.url)

    async def story():
        async with open_database() as database:
            house = House(database, tmp_path)
            await house.job_over(receiver.url)
            await house.sender.send_due()
            (row,) = await house.outbox()
            assert row.last_error == "answered 307"

    asyncio.run(story())
    assert inside.got == []


def test_a_private_address_hears_nothing_where_it_is_not_allowed(open_database, tmp_path, receive):
    receiver = receive()

    async def story():
        async with open_database() as database:
            house = House(database, tmp_path, gate=Gate())
            await house.job_over(receiver.url)
            await house.sender.send_due()
            (row,) = await house.outbox()
            assert "not on the open internet" in row.last_error

    asyncio.run(story())
    assert receiver.got == []


@pytest.mark.parametrize(("name", "state"), [("hooks.test", "delivered"), ("other.test", "pending")])
def test_the_certificate_must_be_the_names_although_an_address_is_connected_to(
    open_sqlite, tmp_path, receive, certificate, name, state
):
    receiver = receive(certificate=certificate)

    async def resolve(_host, _port):
        return ["127.0.0.1"]

    async def story():
        async with open_sqlite() as database:
            house = House(database, tmp_path, gate=Gate((name,), resolve))
            await house.job_over(f"https://{name}:{receiver.port}/hook")
            await house.sender.send_due()
            (row,) = await house.outbox()
            assert row.state == state, row.last_error
            assert row.last_error is None or "certificate" in row.last_error

    asyncio.run(story())
    assert receiver.names == [name]
    assert [headers["host"] for headers, _ in receiver.got] == (
        [f"{name}:{receiver.port}"] if receiver.got else []
    )
    assert len(receiver.got) == (state == "delivered")


def test_a_proxy_of_the_environment_is_not_used(open_sqlite, tmp_path, receive, monkeypatch):
    receiver, proxy = receive(), receive()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("ALL_PROXY", proxy.url)

    async def story():
        async with open_sqlite() as database:
            house = House(database, tmp_path)
            await house.job_over(receiver.url)
            await house.sender.send_due()

    asyncio.run(story())
    assert (len(receiver.got), len(proxy.got)) == (1, 0)


def test_what_a_server_was_sending_when_it_died_is_sent_by_another(open_database, tmp_path, receive):
    receiver = receive()

    async def story():
        async with open_database() as database:
            dead = House(database, tmp_path, owner="dead")
            await dead.job_over(receiver.url)
            lost = await dead.store.claim("dead")  # and is never heard of again
            assert lost is not None
            other = House(database, tmp_path, owner="other")
            assert await other.sender.send_due() == 0
            other.clock.ahead = LEASE_SECONDS + 1
            assert await other.sender.send_due() == 1
            await dead.store.failed(lost, "too late")  # its fence is an older one
            (row,) = await other.outbox()
            assert (row.state, row.attempts, row.last_error) == ("delivered", 2, None)
            assert receiver.got[0][0]["webhook-id"] == lost.id

    asyncio.run(story())


def test_a_clock_that_was_set_back_holds_nothing_up(open_database, tmp_path, receive):
    receiver = receive()

    async def story():
        async with open_database() as database:
            house = House(database, tmp_path)
            house.clock.ahead = 10 * WAITS[-1]
            await house.job_over(receiver.url)
            await house.store.claim("me")
            house.clock.ahead = 0.0
            assert await house.sender.send_due() == 1

    asyncio.run(story())


def test_many_servers_send_each_message_once(open_database, tmp_path, receive):
    receiver = receive()

    async def story():
        async with open_database() as database:
            house = House(database, tmp_path)
            for _ in range(6):
                await house.job_over(receiver.url)
            senders = [House(database, tmp_path, owner=f"server {n}").sender for n in range(3)]
            counts = await asyncio.gather(*(sender.send_due() for sender in senders))
            assert sum(counts) == 6

    asyncio.run(story())
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == len(receiver.got) == 6


def test_a_job_that_ends_here_is_told_within_a_moment(open_database, tmp_path, receive):
    receiver = receive()

    async def story():
        async with open_database() as database:
            house = House(database, tmp_path)
            house.sender.start()
            await asyncio.sleep(0.1)  # it waits for its next look, 15 s away
            await house.job_over(receiver.url)
            assert await asyncio.to_thread(receiver.heard.wait, 5)
            await house.sender.stop()

    asyncio.run(story())
    assert len(receiver.got) == 1


def test_a_receiver_that_says_nothing_is_given_up_after_the_time_limit(open_sqlite, tmp_path):
    async def story(silent):
        async with open_sqlite() as database:
            house = House(database, tmp_path)
            house.sender = WebhookSender(house.store, SECRET, HOME, owner="me", seconds=0.2)
            await house.job_over(f"http://127.0.0.1:{silent.getsockname()[1]}/")
            assert await house.sender.send_due() == 1
            (row,) = await house.outbox()
            assert "no answer within" in row.last_error

    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never looks at them
        asyncio.run(story(silent))

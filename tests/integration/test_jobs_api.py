"""Jobs over a real port: progress as it happens, clients that go, servers that die, and what it all costs in memory."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import os
import signal
import socket
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from made_zips import made

MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="session")
def pictures(coffee_png, dot_png) -> tuple[bytes, bytes]:
    return coffee_png, dot_png


def submit(url: str, pictures, count: int = 1, **fields) -> dict:
    image, mask = pictures
    files = [("image", (f"{number}.png", image)) for number in range(count)] + [("mask", ("m", mask))] * count
    response = httpx2.post(f"{url}/v1/jobs", files=files, data=fields, timeout=60)
    assert response.status_code == 202, response.text
    return response.json()


def listen(url: str, job: dict, after: int = 0, most: int = 10**6) -> list[tuple[float, dict]]:
    """(moment, event), up to the end of the stream, or to `most`; then the connection is closed."""
    found = []
    fields: dict = {}
    headers = {"Last-Event-ID": str(after)} if after else {}
    with httpx2.stream("GET", f"{url}{job['links']['events']}", headers=headers, timeout=60) as response:
        if response.status_code == 204:
            return []
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if line.startswith(":"):
                continue
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                found.append((time.monotonic(), {**fields, "data": json.loads(fields["data"])}))
                if len(found) == most:
                    break
                fields = {}
    return found


def over(url: str, job: dict, seconds: float = 60) -> dict:
    give_up = time.monotonic() + seconds
    while True:
        seen = httpx2.get(f"{url}{job['links']['self']}").json()
        if seen["finished_at"]:
            return seen
        assert time.monotonic() < give_up, seen
        time.sleep(0.05)


def test_events_come_as_they_happen(start, pictures):
    server = start(slow=0.6, ERASER_JOBS__CONCURRENCY="1", ERASER_CACHE__BACKEND="null")
    job = submit(server.url, pictures, 3, model="slow")
    events = listen(server.url, job)
    assert [event["event"] for _, event in events] == ["item", "item", "item", "job"]
    moments = [moment for moment, _ in events]
    assert moments[1] - moments[0] > 0.2  # one after the other, not all at the end
    assert moments[2] - moments[1] > 0.2
    assert all(event["data"]["success"] for _, event in events[:3])


def test_clients_that_go_leave_no_stream_behind(start, pictures):
    server = start(slow=8)
    job = submit(server.url, pictures, model="slow")
    for _ in range(20):  # more than one caller may have open
        with httpx2.stream("GET", f"{server.url}{job['links']['events']}", timeout=10) as response:
            assert response.status_code == 200
            assert next(response.iter_lines()) == "retry: 3000"
    time.sleep(0.2)
    with httpx2.stream("GET", f"{server.url}{job['links']['events']}", timeout=10) as response:
        assert response.status_code == 200


def test_a_server_that_dies_and_comes_back_goes_on_where_it_was(start, pictures, tmp_path):
    """The job is there, what was done is done, and a client that comes back misses nothing."""
    folder = tmp_path / "kept"
    rules = {
        "ERASER_JOBS__CONCURRENCY": "1",
        "ERASER_JOBS__LEASE_SECONDS": "1",
        "ERASER_CACHE__BACKEND": "null",
    }
    first = start(slow=0.4, data_dir=folder, **rules)
    job = submit(first.url, pictures, 4, model="slow")
    before = [event for _, event in listen(first.url, job, most=2)]
    first.signal(signal.SIGKILL)
    first.process.wait()
    second = start(slow=0.1, data_dir=folder, **rules)
    after = [event for _, event in listen(second.url, job, after=int(before[-1]["id"]))]
    events = [*before, *after]
    assert [int(event["id"]) for event in events] == list(range(1, 6))
    assert sorted(event["data"]["index"] for event in events[:-1]) == [0, 1, 2, 3]
    assert events[-1]["data"]["state"] == "succeeded"
    assert listen(second.url, job, after=5) == []


def test_streams_end_when_the_server_is_told_to_leave(start, pictures):
    server = start(slow=30, ERASER_SERVER__DRAIN_SECONDS="5")
    job = submit(server.url, pictures, model="slow")
    heard: list = []
    listener = threading.Thread(target=lambda: heard.append(listen(server.url, job)))
    listener.start()
    time.sleep(0.5)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    listener.join(5)
    assert heard == [[]]


def test_a_webhook_is_told_signed(start, pictures):
    got = []
    heard = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers.items()), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()
            heard.set()

        def log_message(self, *_arguments) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as receiver:
        threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True).start()
        server = start(ERASER_JOBS__WEBHOOK_SECRET="a secret", ERASER_JOBS__WEBHOOK_ALLOW="127.0.0.0/8")
        url = f"http://127.0.0.1:{receiver.server_port}/erased"
        job = submit(server.url, pictures, 2, model="telea", webhook_url=url)
        assert heard.wait(20)
        receiver.shutdown()
    ((headers, body),) = got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.new(b"a secret", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
    told = json.loads(body)
    assert (told["type"], told["data"]["id"], told["data"]["succeeded"]) == ("job.succeeded", job["id"], 2)


def test_a_large_job_is_taken_in_and_given_out_in_little_memory(start):
    """160 MiB in as pairs, and again as a ZIP: 2 MiB each, and broken, so that nothing but the intake counts."""
    server = start()
    large = os.urandom(2 * MEBIBYTE)
    tiny = [("image", ("x.png", b"x")), ("mask", ("x.png", b"x"))]
    over(server.url, httpx2.post(f"{server.url}/v1/jobs", files=tiny).json())
    before = server.memory("VmHWM")
    files = [(name, ("x.png", large)) for name in ["image"] * 40 + ["mask"] * 40]
    response = httpx2.post(f"{server.url}/v1/jobs", files=files, data={"model": "telea"}, timeout=120)
    assert response.status_code == 202, response.text
    members = {f"{folder}/{number}.png": large for folder in ("images", "masks") for number in range(40)}
    archive = made(members, method=zipfile.ZIP_STORED)
    response = httpx2.post(f"{server.url}/v1/jobs", files={"archive": ("a.zip", archive)}, timeout=120)
    assert response.status_code == 202, response.text
    assert {item["code"] for item in over(server.url, response.json())["items"]} == {"invalid_image"}
    grown = (server.memory("VmHWM") - before) / MEBIBYTE
    assert grown < 80, grown  # 30 to 45: some pictures at work, and never all of them


def test_results_of_many_items_come_as_one_archive(start, pictures):
    server = start()
    job = over(server.url, submit(server.url, pictures, 30, model="telea"))
    assert job["state"] == "succeeded"
    response = httpx2.get(f"{server.url}{job['links']['archive']}", timeout=60)
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["report.json", *(f"{number}.png" for number in range(30))]


def test_a_client_that_goes_away_in_the_middle_of_its_sending_leaves_nothing(start):
    server = start()
    head = (
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head + bytes(5 * MEBIBYTE))
    time.sleep(0.3)
    assert httpx2.get(f"{server.url}/v1/jobs").json()["jobs"] == []
    assert [path for path in (server.data_dir / "blobs").rglob("*") if path.is_file()] == []


def test_an_archive_of_which_a_result_is_gone_is_cut_off_and_nothing_worse(start, pictures):
    server = start()
    job = over(server.url, submit(server.url, pictures, 2, model="telea"))
    result = httpx2.get(f"{server.url}{job['items'][1]['result']}").content
    files = [path for path in (server.data_dir / "blobs").rglob("*") if path.is_file()]
    for path in files:
        if path.read_bytes() == result:  # of both items: their pictures are one
            path.unlink()
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(f"{server.url}{job['links']['archive']}")
    assert "archive_cut_off" in server.log
    assert "request_failed" not in server.log
    assert httpx2.get(f"{server.url}{job['items'][1]['result']}").status_code == 404
    assert httpx2.get(f"{server.url}/readyz").status_code == 200

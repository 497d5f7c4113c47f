"""The command line and a server that is not always there: by answers that are written down here."""

from __future__ import annotations

import base64
import email
import json
import re
from dataclasses import replace

import httpx2
import pytest
import typer

from magic_eraser.cli import remote
from magic_eraser.cli.pairs import Pair
from magic_eraser.cli.remote_form import Form
from magic_eraser.cli.remote_notes import NAME, Notes, Sent
from magic_eraser.cli.remote_server import Refused, RemoteServer, Unreachable
from magic_eraser.models.inpainter import Effort, Sampler
from magic_eraser.service.request import EraseOptions


class JobServer:
    """Jobs as `/v1/jobs` answers them. An item whose picture is b"bad" fails.

    Attributes:
        faults: answers, or errors, that come before the real ones: by method and the beginning of the path.
        cuts: after how many events each stream breaks off; none after that.
        most: items in a job.
        tells: whether a refusal says how many.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, list[tuple[str, bytes, bytes]]] = {}
        self.keys: dict[str, str] = {}
        self.faults: list[tuple[str, object]] = []
        self.asked: list[str] = []
        self.headers: list[httpx2.Headers] = []
        self.cuts: list[int] = []
        self.streams = True
        self.most = 1000
        self.tells = True
        self.waited: list[float] = []

    def client(self, **options) -> RemoteServer:
        return RemoteServer(
            "http://eraser.test/base/",
            "secret",
            pause=self.waited.append,
            transport=httpx2.MockTransport(self.answer),
            **options,
        )

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        body = request.read()
        path = request.url.path.removeprefix("/base")
        asked = f"{request.method} {path}"
        self.asked.append(asked)
        self.headers.append(request.headers)
        for number, (start, fault) in enumerate(self.faults):
            if asked.startswith(start):
                del self.faults[number]
                if isinstance(fault, BaseException):
                    raise fault
                return fault
        if asked == "POST /v1/jobs":
            return self.create(request, body)
        job, _, rest = path.removeprefix("/v1/jobs/").partition("/")
        if job not in self.jobs:
            return problem(404, "not_found")
        if rest.startswith("items/"):
            _, image, mask = self.jobs[job][int(rest.removeprefix("items/"))]
            return httpx2.Response(200, content=b"without " + mask + b": " + image)
        if rest == "events":
            return self.events(job, int(request.headers.get("last-event-id", "0")))
        return httpx2.Response(200, json={"id": job, "state": "failed", "items": self.items(job)})

    def create(self, request, body) -> httpx2.Response:
        key = request.headers["idempotency-key"]
        if key not in self.keys:
            parts = parsed(request.headers["content-type"], body)
            files = [part for part in parts if part[1] is not None]
            items = [
                (image[1], image[2], mask[2]) for image, mask in zip(files[::2], files[1::2], strict=True)
            ]
            if len(items) > self.most:
                refusal = problem(413, "batch_too_large").json()
                return httpx2.Response(413, json=refusal | ({"max_items": self.most} if self.tells else {}))
            self.keys[key] = f"job{len(self.jobs)}"
            self.jobs[self.keys[key]] = items
        return httpx2.Response(202, json={"id": self.keys[key], "state": "queued"})

    def items(self, job) -> list[dict]:
        return [
            {
                "index": index,
                "name": name,
                "success": image != b"bad",
                "error": "It is bad.",
                "model": "patch",
            }
            for index, (name, image, _) in enumerate(self.jobs[job])
        ]

    def events(self, job, after) -> httpx2.Response:
        if not self.streams:
            return httpx2.Response(200, html="<p>a proxy</p>")
        told = [("item", item) for item in self.items(job)] + [("job", {"state": "failed"})]
        texts = [
            f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()
            for number, (kind, data) in enumerate(told, 1)
        ][after:]
        cut = self.cuts.pop(0) if self.cuts else len(texts)

        def stream():
            yield b"retry: 3000\n\n: still here\n\n"
            yield from texts[:cut]
            if cut < len(texts):
                raise httpx2.ReadError("cut")

        return httpx2.Response(200, content=stream(), headers={"Content-Type": "text/event-stream"})


def problem(status, code, **headers) -> httpx2.Response:
    body = {"code": code, "detail": f"It is {code}.", "hint": "Do something."}
    return httpx2.Response(status, json=body, headers=headers)


def parsed(content_type, body) -> list[tuple[str, str | None, bytes]]:
    """(field, file name, content), by a parser that is not ours."""
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_payload(decode=True),
        )
        for part in message.get_payload()
    ]


@pytest.fixture
def server() -> JobServer:
    return JobServer()


@pytest.fixture
def pairs(tmp_path) -> list[Pair]:
    """a, b (whose picture is bad), c and d, each with a mask."""
    made = []
    for name, content in (("a", b"A"), ("b", b"bad"), ("c", b"C"), ("d", b"D")):
        photo, mask = tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png"
        photo.write_bytes(content)
        mask.write_bytes(name.encode())
        made.append(Pair(photo, mask, tmp_path / "out" / f"{name}.png", "same"))
    return made


def run(server, pairs, *, skip_done=True, **wishes):
    with server.client() as client:
        return remote.run(
            client,
            pairs,
            wishes or {"model": "auto"},
            pairs[0].target.parent,
            skip_done=skip_done,
            show=False,
        )


def texts(pairs) -> dict[str, str]:
    folder = pairs[0].target.parent
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.exists() else {}


DONE = {"a.png": "without a: A", "c.png": "without c: C", "d.png": "without d: D"}


# --- what is sent -----------------------------------------------------------------------------------------


def test_a_form_is_what_another_parser_reads(tmp_path):
    names = ["plain.png", 'a "quoted"\r\nname.png', "照片.jpg"]
    contents = [b"", b"--\r\n", bytes(range(256)) * 5000]
    for name, content in zip(("0", "1", "2"), contents, strict=True):
        (tmp_path / name).write_bytes(content)
    files = [("image", name, tmp_path / str(number)) for number, name in enumerate(names)]
    form = Form({"model": "auto", "prompt": "grüß dich"}, files)
    body = b"".join(form)

    assert len(body) == int(form.headers["Content-Length"])
    assert b"".join(form) == body
    read = parsed(form.headers["Content-Type"], body)
    assert [part[2] for part in read] == [b"auto", "grüß dich".encode(), *contents]
    assert [part[1] for part in read[2:4]] == ["plain.png", "a %22quoted%22%0D%0Aname.png"]
    assert 'filename="照片.jpg"'.encode() in body


def test_a_file_name_that_is_no_text_can_be_sent(tmp_path):
    (tmp_path / "x").write_bytes(b"x")
    assert b'filename="a?.png"' in b"".join(Form({}, [("image", "a\udcff.png", tmp_path / "x")]))


def test_only_what_differs_from_the_defaults_is_sent():
    assert remote.form_fields(EraseOptions(), "same", None) == {"model": "auto"}
    options = EraseOptions(
        model="ldm",
        dilate="auto",
        feather=3,
        seed=7,
        effort=Effort.BEST,
        rough_when_late=True,
        steps=9,
        sampler=Sampler.DDIM,
        prompt="a lawn",
    )
    assert remote.form_fields(options, "webp", 80) == {
        "model": "ldm",
        "dilate": "auto",
        "feather": "3",
        "seed": "7",
        "effort": "best",
        "rough_when_late": "true",
        "steps": "9",
        "sampler": "ddim",
        "prompt": "a lawn",
        "format": "webp",
        "quality": "80",
    }


@pytest.mark.parametrize(
    "address",
    ["", "host", "ftp://host", "http://", "http://h:x", "http://h?q", "http://me:pw@h", "http://h#m"],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="address"):
        RemoteServer(address)


def test_the_key_of_the_person_goes_with_every_request(server, pairs):
    run(server, pairs)
    assert {headers["authorization"] for headers in server.headers} == {"Bearer secret"}
    assert {headers["x-api-key"] for headers in server.headers} == {"secret"}


# --- a folder -----------------------------------------------------------------------------------------------


def test_a_folder_is_one_job_and_its_results_are_fetched(server, pairs):
    reports = run(server, pairs)

    assert [report.error for report in reports] == [None, "It is bad.", None, None]
    assert reports[0].model == "patch"
    assert texts(pairs) == DONE
    assert list(server.jobs) == ["job0"]
    assert "GET /v1/jobs/job0" not in server.asked  # the events were enough


def test_what_is_there_already_has_no_mask_or_cannot_be_read_is_not_sent(server, pairs):
    run(server, pairs[:1])
    pairs[2] = replace(pairs[2], mask=None)
    pairs[3].photo.unlink()

    reports = run(server, pairs)

    assert reports[0].skipped
    assert "no mask" in reports[2].error
    assert "d.png" in reports[3].error
    assert [name for name, *_ in server.jobs["job1"]] == ["b.png"]


@pytest.mark.parametrize(
    ("most", "tells", "jobs"), [(3, True, [3, 1]), (3, False, [2, 2]), (1, True, [1] * 4)]
)
def test_more_than_the_server_takes_goes_in_several_jobs(server, pairs, most, tells, jobs):
    server.most, server.tells = most, tells
    assert [report.error for report in run(server, pairs)] == [None, "It is bad.", None, None]
    assert [len(items) for items in server.jobs.values()] == jobs


def test_more_bytes_than_go_into_one_job_go_in_several(server, pairs, tmp_path):
    for pair in pairs[:2]:
        with pair.photo.open("wb") as file:
            file.truncate(remote.MOST_BYTES // 2 + 1)  # sparse: takes no room
    opened = [remote._Open(pair, pair.mask, "", pair.photo.stat().st_size) for pair in pairs]
    assert [len(batch) for batch in remote._batches(opened, 1000)] == [1, 3]


def test_one_pair_that_is_too_large_fails_and_the_others_go_on_together(server, pairs):
    server.faults = [("POST", problem(413, "body_too_large"))] * 3
    reports = run(server, pairs)
    assert reports[0].error == "The server answered 413: It is body_too_large. Do something."
    assert {name: text for name, text in DONE.items() if name != "a.png"} == texts(pairs)
    assert [len(items) for items in server.jobs.values()] == [1, 2]


def test_a_stream_that_breaks_off_is_taken_up_where_it_was(server, pairs):
    server.cuts = [1, 0, 2]
    run(server, pairs)
    asked = [
        headers.get("last-event-id") for headers in server.headers if "event-stream" in headers["accept"]
    ]
    assert texts(pairs) == DONE
    assert asked[0] is None
    assert len([call for call in server.asked if "/items/" in call]) == 3


def test_a_server_that_is_restarted_is_waited_for(server, pairs):
    refused, reset = httpx2.ConnectError("refused"), httpx2.ReadError("reset")
    draining = problem(503, "draining", **{"Retry-After": "5"})
    server.faults = [("GET /v1/jobs/job0", fault) for fault in (refused, draining, refused, reset)]
    run(server, pairs)
    assert texts(pairs) == DONE
    assert 5 in server.waited


def test_without_a_stream_of_events_the_job_is_asked_for(server, pairs):
    server.streams = False
    run(server, pairs)
    assert texts(pairs) == DONE


def test_a_server_that_stays_away_is_given_up_and_the_same_command_goes_on(server, pairs):
    down = httpx2.ConnectError("refused")
    server.cuts = [1]
    server.faults = [("GET /v1/jobs/job0/events", down)] + [("GET /v1/jobs/job0", down)] * 3
    with server.client(patience=0.1) as client, pytest.raises(Unreachable):
        remote.run(client, pairs, {"model": "auto"}, pairs[0].target.parent, skip_done=True, show=False)
    assert NAME in texts(pairs)

    server.faults = []
    run(server, pairs)
    assert texts(pairs) == DONE
    assert list(server.jobs) == ["job0"]


def test_one_that_was_never_there_is_told_at_once_and_nothing_is_noted(server, pairs):
    server.faults = [("POST", httpx2.ConnectError("refused"))]
    with pytest.raises(Unreachable, match="refused"):
        run(server, pairs)
    assert server.waited == []
    assert texts(pairs) == {}


def test_an_upload_whose_answer_was_lost_is_sent_again_with_the_same_key(server, pairs):
    server.faults = [("POST", httpx2.ReadError("reset")), ("POST", httpx2.RemoteProtocolError("closed"))]
    run(server, pairs)
    keys = [headers["idempotency-key"] for headers in server.headers if "idempotency-key" in headers]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert re.fullmatch(r'"[0-9a-f-]{36}"', keys[0])


def test_an_upload_that_breaks_again_and_again_is_given_up(server, pairs):
    server.faults = [("POST", httpx2.WriteError("reset"))] * 9
    with pytest.raises(Unreachable):
        run(server, pairs)
    assert server.asked.count("POST /v1/jobs") == 5

    first = server.headers[0]["idempotency-key"]
    server.faults = []
    run(server, pairs)  # it may have come through after all: the same key
    assert server.headers[5]["idempotency-key"] == first


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (problem(401, "not_authenticated"), "answered 401: It is not_authenticated. Do something."),
        (problem(429, "quota_exhausted", **{"Retry-After": "3600"}), "answered 429"),
        (httpx2.Response(302, headers={"Location": "https://elsewhere"}), "https://elsewhere"),
        (httpx2.Response(200, html="<p>hello</p>"), "no Magic Eraser"),
        (httpx2.Response(404, html="<p>nothing here</p>"), "no reason given"),
    ],
)
def test_a_refusal_is_the_servers_own_words_and_nothing_stays_noted(server, pairs, answer, words):
    server.faults = [("POST", answer)]
    with pytest.raises(Refused) as refused:
        run(server, pairs)
    assert words in refused.value.sentence()
    assert texts(pairs) == {}


def test_a_rush_is_waited_out(server, pairs):
    server.faults = [
        ("POST", problem(429, "rate_limited", **{"Retry-After": "7"})),
        ("POST", problem(409, "idempotency_in_flight", **{"Retry-After": "2"})),
    ]
    run(server, pairs)
    assert texts(pairs) == DONE
    assert server.waited == [7, 2]


def test_a_result_that_went_is_a_failure_of_its_own(server, pairs):
    server.faults = [("GET /v1/jobs/job0/items/2", problem(404, "not_found"))]
    reports = run(server, pairs)
    assert "404" in reports[2].error
    assert reports[3].error is None


# --- again, and interrupted -----------------------------------------------------------------------------------


def interrupted(server, pairs, capsys) -> str:
    server.faults = [("GET /v1/jobs/job0/items/2", KeyboardInterrupt())]
    with pytest.raises(typer.Exit) as left:
        run(server, pairs)
    assert left.value.exit_code == 130
    return capsys.readouterr().err


def test_interrupted_it_leaves_the_job_and_says_how_to_go_on(server, pairs, capsys):
    said = interrupted(server, pairs, capsys)
    assert said.count("\n") == 1
    assert "The same command goes on" in said
    assert "curl -X DELETE http://eraser.test/base/v1/jobs/job0" in said


def test_the_same_command_goes_on_without_sending_anything_again(server, pairs, capsys):
    interrupted(server, pairs, capsys)
    reports = run(server, pairs)
    assert texts(pairs) == DONE
    assert [report.skipped for report in reports] == [True, False, False, False]
    assert server.asked.count("POST /v1/jobs") == 1
    assert server.asked.count("GET /v1/jobs/job0/items/0") == 1


def test_what_changed_meanwhile_is_sent_anew(server, pairs, capsys):
    interrupted(server, pairs, capsys)
    pairs[3].photo.write_bytes(b"D2")
    run(server, pairs)
    assert texts(pairs) == DONE | {"d.png": "without d: D2"}
    assert [name for name, *_ in server.jobs["job1"]] == ["d.png"]


def test_with_other_wishes_it_is_other_work(server, pairs, capsys):
    interrupted(server, pairs, capsys)
    run(server, pairs, model="telea")
    assert [name for name, *_ in server.jobs["job1"]] == ["b.png", "c.png", "d.png"]


def test_where_the_job_is_gone_what_is_missing_is_sent_anew(server, pairs, capsys):
    interrupted(server, pairs, capsys)
    server.jobs["job0"], gone = [], server.jobs.pop("job0")
    server.jobs = {"another": gone}
    server.faults = [("GET /v1/jobs/job0/events", problem(404, "not_found"))]
    run(server, pairs)
    assert texts(pairs) == DONE


def test_a_failure_is_tried_again_by_the_next_run(server, pairs):
    run(server, pairs)
    pairs[1].photo.write_bytes(b"B")
    assert [report.error for report in run(server, pairs)] == [None] * 4
    server.jobs = {}
    pairs[1].target.unlink()
    run(server, pairs)
    assert len(server.jobs) == 1


def test_notes_that_cannot_be_understood_are_none(tmp_path):
    for text in ("", "{", "[1]", '[{"server": 1}]', "{}"):
        (tmp_path / NAME).write_text(text)
        assert Notes(tmp_path).of("http://h") == []


def test_notes_are_of_one_server_and_gone_when_nothing_is_left(tmp_path):
    notes, sent = Notes(tmp_path), Sent("http://h", "key", ("digest",))
    notes.add(sent)
    assert Notes(tmp_path).of("http://h") == [sent]
    assert Notes(tmp_path).of("http://other") == []
    known = notes.accepted(sent, "job")
    assert Notes(tmp_path).of("http://h") == [replace(sent, job="job")]
    notes.remove(known)
    assert list(tmp_path.iterdir()) == []


# --- one photograph -------------------------------------------------------------------------------------------


def erased() -> httpx2.Response:
    url = "data:image/png;base64," + base64.b64encode(b"clean").decode()
    return httpx2.Response(
        200, json={"image": url, "model": "patch", "notices": [{"code": "x", "message": "Hm."}]}
    )


def test_one_photograph_is_sent_once_and_its_answer_written(server, pairs):
    server.faults = [("POST /v1/erase", erased())]
    with server.client() as client:
        report = remote.one(client, pairs[0], {"model": "auto"}, 12.5)
    assert (report.error, report.model, report.notices) == (None, "patch", ("Hm.",))
    assert pairs[0].target.read_bytes() == b"clean"
    assert server.headers[0]["x-eraser-deadline"] == "12.500"


def test_one_photograph_does_not_wait_for_a_busy_server_but_for_a_lost_answer(server, pairs):
    server.faults = [("POST", httpx2.ReadError("reset")), ("POST", problem(409, "idempotency_in_flight")),
                     ("POST", problem(503, "queue_full", **{"Retry-After": "3"}))]  # fmt: skip
    with server.client() as client:
        report = remote.one(client, pairs[0], {"model": "auto"}, None)
    assert report.error == "The server answered 503: It is queue_full. Do something."
    assert len({headers["idempotency-key"] for headers in server.headers}) == 1
    assert not pairs[0].target.exists()

"""Bodies into fields: whatever was sent comes back, however it was cut into pieces; nothing else gets through."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from magic_eraser.api.body.base64_text import LONG, LONGEST, NOT_BASE64, Base64Text
from magic_eraser.api.body.json_text import JsonReader
from magic_eraser.api.body.read import read_body, read_json_body
from magic_eraser.api.body.spool import SPOOLS, Spool, Upload
from magic_eraser.errors import BodyTooLarge, EraserError, StorageFull, ValidationFailed


def request_of(content_type: str, pieces, *, ends: bool = True) -> Request:
    """A request whose body comes in such pieces; the client goes away before its end where `ends` is False."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append(
        {"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"}
    )
    coming = iter(messages)

    async def receive():
        return next(coming)

    headers = [(b"content-type", content_type.encode("latin-1"))]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


def read(content_type: str, body: bytes, cuts=(), **options):
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    pieces = [body[a:b] for a, b in pairwise(edges)]
    return asyncio.run(read_body(request_of(content_type, pieces), **options)).fields


def read_json(text: str | bytes, cuts=(), **options):
    body = text if isinstance(text, bytes) else text.encode()
    return read("application/json", body, cuts, **options)


def plain(value):
    """With bytes in the place of uploads."""
    if isinstance(value, Upload):
        return value.read()
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def form_of(files=(), fields=()) -> tuple[str, bytes]:
    """A form as httpx writes it."""
    sent = httpx2.Request("POST", "http://x/", files=[*files], data=dict(fields))
    return sent.headers["content-type"], sent.read()


# quotes are written as %22 by HTML's rules, and nobody turns them back
names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters='"\\'), min_size=1, max_size=20
)
cuts = st.lists(st.integers(0, 100_000), max_size=12)
contents = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda piece, times: piece * times, st.binary(min_size=1, max_size=40), st.integers(1, 2000)),
    st.sampled_from([b"\r\n", b"\r\n--", b"--", b"\r\r\n\n--\r\n", b"\r" * 3000]),
)

# --- forms ----------------------------------------------------------------------------------------------


@given(
    files=st.dictionaries(names, st.tuples(names, contents), min_size=1, max_size=4),
    texts=st.dictionaries(names, st.text(st.characters(codec="utf-8"), max_size=200), max_size=4),
    cuts=cuts,
)
@hypothesis_settings(deadline=None)
def test_a_form_comes_back_as_it_was_sent_however_it_is_cut(files, texts, cuts):
    texts = {name: text for name, text in texts.items() if name not in files}
    content_type, body = form_of(files.items(), texts)

    fields = read(content_type, body, cuts)

    assert set(fields) == files.keys() | texts.keys()
    for name, (filename, content) in files.items():
        assert fields[name].read() == content
        assert fields[name].filename == filename
    for name, text in texts.items():
        assert plain(fields[name]) == text


@given(body=st.binary(max_size=400), cuts=cuts)
def test_random_bytes_are_no_form_and_nothing_worse(body, cuts):
    with suppress(EraserError):
        read("multipart/form-data; boundary=b", b"--b\r\n" + body, cuts)


@given(
    pieces=st.lists(
        st.sampled_from([
            b"--b", b"--b--", b"\r\n", b"\n", b"--", b"Content-Disposition: form-data; ", b'name="x"',
            b'; filename="y"', b"Content-Type: a/b", b"A: ", b":", b"abc", b"\r", b" ", b"\x00\xff", b"name*=utf-8''x",
        ]),
        max_size=30,
    ),
    cuts=cuts,
)  # fmt: skip
def test_a_form_of_misplaced_pieces_is_fields_or_a_typed_error(pieces, cuts):
    with suppress(EraserError):
        assert isinstance(read("multipart/form-data; boundary=b", b"".join(pieces), cuts), dict)


def part(head: str, content: bytes = b"x") -> bytes:
    return b"--b\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


NAMED = 'Content-Disposition: form-data; name="image"'
FORM = "multipart/form-data; boundary=b"


def test_what_is_before_and_behind_the_form_does_not_count():
    fields = read(FORM, b"\r\n" + part(NAMED) + b"--b--\r\nbehind\r\n--b\r\n")
    assert fields == {"image": "x"}


@pytest.mark.parametrize(
    ("content_type", "body", "says"),
    [
        ("multipart/form-data", part(NAMED) + b"--b--", "boundary"),
        ("multipart/form-data; boundary=" + "b" * 300, b"", "Boundary"),
        (FORM, part(NAMED), "last boundary"),
        (FORM, b"", "last boundary"),
        (FORM, part("Content-Disposition: form-data") + b"--b--", '"name"'),
        (FORM, part("Content-Type: text/plain") + b"--b--", '"name"'),
        (FORM, part(NAMED + "\r\nA: b" * 9) + b"--b--", "header"),
        (FORM, part(NAMED + "\r\nA: " + "b" * 9000) + b"--b--", "header"),
        (FORM, b"nothing of the kind", "form"),
        (FORM, (part(NAMED) + part(NAMED) + b"--b--"), "twice"),
        (FORM, b"".join(part(NAMED + f'; filename="{n}"') for n in range(9)) + b"--b--", "more than 8 files"),
        (FORM, b"".join(part(NAMED) for _ in range(65)) + b"--b--", "more than 64 fields"),
        (FORM, b"".join(part(NAMED, b"\xff" * 60_000) for _ in range(20)) + b"--b--", "1024 KiB"),
        ("application/x-www-form-urlencoded", b"a=" + b"b" * 2**20, "1 MiB"),
        ("application/x-www-form-urlencoded", b"a=b&" * 65, "more than 64 fields"),
        ("application/x-www-form-urlencoded", b"a=b&a=c", "twice"),
        ("text/plain", b"", "text/plain"),
        ("", b"", "multipart"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_form_is_said(content_type, body, says):
    with pytest.raises((ValidationFailed, BodyTooLarge)) as caught:
        read(content_type, body)
    assert says in caught.value.detail


def test_what_may_be_repeated_comes_in_order():
    body = b"".join(part(NAMED + f'; filename="{n}"', str(n).encode()) for n in range(1000)) + b"--b--"
    fields = read(FORM, body, max_files=1000, repeated=frozenset({"image"}))
    assert [upload.read() for upload in fields["image"]] == [str(n).encode() for n in range(1000)]
    assert [upload.filename for upload in fields["image"]] == [str(n) for n in range(1000)]


def test_a_file_keeps_its_type_and_a_part_without_a_filename_is_a_text():
    head = NAMED + '; filename="a.png"\r\nContent-Type: image/png'
    fields = read(FORM, part(head) + part('Content-Disposition: form-data; name="text"', b"\xe9") + b"--b--")
    assert (fields["image"].content_type, fields["image"].name) == ("image/png", "image")
    assert fields["text"] == "é"  # latin-1 where it is not what the form says


@pytest.mark.parametrize("charset", ["undefined", "idna", "hex", "utf-16", "no such", "a\0b", ""])
def test_a_form_of_an_odd_charset_is_read_nevertheless(charset):
    fields = read(f"{FORM}; charset={charset}", part(NAMED, b"\xff..\xff") + b"--b--")
    assert list(fields.values()) == ["ÿ..ÿ"] or charset == "utf-16"


def test_a_name_in_quotes_may_hold_quotes_and_semicolons():
    head = r'Content-Disposition: form-data; name="a;\"b"; filename="c\"d;=.png"; filename*=UTF-8\'\'e'
    fields = read(FORM, part(head.replace("\\'", "'")) + b"--b--")
    assert fields['a;"b'].filename == 'c"d;=.png'  # RFC 7578, 4.2: no filename* in forms


def test_a_long_text_of_a_form_is_a_picture_or_nothing():
    content = os.urandom(100_000)
    wrapped = base64.encodebytes(content)
    fields = read(
        FORM,
        part(NAMED, b"data:image/png;base64," + wrapped)
        + part('Content-Disposition: form-data; name="mask"', b"*" * (LONGEST + 1))
        + b"--b--",
    )
    assert fields["image"].read() == content
    assert fields["mask"] is NOT_BASE64


@given(
    fields=st.dictionaries(names, st.text(st.characters(codec="utf-8"), max_size=50), max_size=5), cuts=cuts
)
def test_a_form_in_the_address_style_comes_back(fields, cuts):
    assert read("application/x-www-form-urlencoded", urlencode(fields).encode(), cuts) == fields


# --- JSON -----------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(
    value=st.dictionaries(texts, values, max_size=5),
    cuts=cuts,
    ascii_=st.booleans(),
    indent=st.sampled_from([None, 2]),
)
def test_json_comes_back_as_it_was_sent_however_it_is_cut(value, cuts, ascii_, indent):
    assert read_json(json.dumps(value, ensure_ascii=ascii_, indent=indent), cuts) == value


@given(
    content=st.builds(
        lambda seed, size: seed * size, st.binary(min_size=1, max_size=30), st.integers(200, 3000)
    ),
    style=st.sampled_from(["bare", "url", "wrapped", "slashes", "unicode"]),
    around=st.dictionaries(texts, texts, max_size=3),
    cuts=cuts,
)
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_picture_in_json_comes_back_however_it_is_written(content, style, around, cuts):
    plain_text = base64.b64encode(content).decode()
    if len(plain_text) <= LONG:
        return
    text = base64.encodebytes(content).decode() if style == "wrapped" else plain_text
    text = "data:image/png;base64," + text if style == "url" else text
    body = json.dumps({**around, "images": [1, {"image": text}]})
    body = body.replace("/", "\\/") if style == "slashes" else body
    body = body.replace("+", "\\u002B").replace("=", "\\u003d") if style == "unicode" else body

    fields = read_json(body, cuts)

    assert plain(fields) == {**around, "images": [1, {"image": content}]}


@given(body=st.binary(max_size=300), cuts=cuts)
def test_random_bytes_are_json_or_a_typed_error(body, cuts):
    for whole in (body, b'{"a": "' + body * 20, b'{"a": "' + base64.b64encode(body * 30) + body):
        with suppress(EraserError):
            read_json(whole, cuts)


@given(text=st.text('"\\u0041{}:,na /', max_size=40), cuts=cuts, long=st.booleans())
def test_what_json_refuses_is_refused_here_and_what_it_takes_is_taken(text, cuts, long):
    body = '{"key": "' + "A" * (2000 * long) + text
    try:
        expected = json.loads(body)
    except ValueError:
        with pytest.raises(ValidationFailed):
            read_json(body, cuts)
        return
    assert read_json(body, cuts).keys() == expected.keys()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"5", b'"' + b"A" * 4000 + b'"', b"{", b"\xff", b'{"a": "\n"}', b'{"a": "x']
)
def test_what_is_no_json_object_is_refused(body):
    with pytest.raises(ValidationFailed):
        read_json(body)


def test_much_json_beside_the_pictures_is_refused():
    with pytest.raises(BodyTooLarge) as caught:
        read_json(json.dumps({"numbers": list(range(300_000))}))
    assert "1024 KiB" in caught.value.detail
    assert (
        len(read_json(json.dumps({"numbers": list(range(300_000))}), most_json=2**22)["numbers"]) == 300_000
    )


def test_deep_json_is_refused():
    with pytest.raises(ValidationFailed):
        read_json(b'{"a": ' + b"[" * 200_000 + b'"' + b"A" * 4000 + b'"' + b"]" * 200_000 + b"}")


def test_a_picture_that_breaks_in_its_middle_is_not_base64():
    text = "A" * 200_000
    for broken in (text[:-1], text + "****", text + "=", text[:90_000] + "A==" + text, text + "é"):
        assert read_json(json.dumps({"image": broken}))["image"] is NOT_BASE64


def test_a_long_prompt_stays_a_text():
    prompt = "a vase, " * 1000
    assert read_json(json.dumps({"prompt": prompt}))["prompt"] == prompt
    chinese = "橡" * 1000
    assert read_json(json.dumps({"prompt": chinese}))["prompt"] == chinese


def test_a_text_cannot_pass_itself_off_as_a_picture():
    reader = JsonReader(Spool())
    reader.write(json.dumps({"a": f"{reader._token}-0"}).encode())
    assert isinstance(reader.finish()["a"], str)


def test_a_body_without_a_json_type_is_json_where_only_json_is_expected():
    request = request_of("text/plain", [b'{"name": "lama"}'])
    assert asyncio.run(read_json_body(request)).fields == {"name": "lama"}


@given(content=st.binary(max_size=300), width=st.integers(1, 90), cuts=cuts)
def test_base64_comes_back_however_it_is_cut_and_wrapped(content, width, cuts):
    text = base64.b64encode(content)
    wrapped = b"\r\n".join(text[start : start + width] for start in range(0, len(text), width))
    edges = [0, *sorted(cut % (len(wrapped) + 1) for cut in cuts), len(wrapped)]
    reader = Base64Text(Spool())
    for start, end in pairwise(edges):
        reader.append(wrapped[start:end])
    upload = reader.finish()
    assert isinstance(upload, Upload)
    assert upload.read() == content


# --- what goes wrong on the way -------------------------------------------------------------------------


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_client_that_leaves_in_the_middle_leaves_no_file():
    before = open_files()
    for content_type, head in (
        (FORM, b"--b\r\n" + NAMED.encode() + b'; filename="x"\r\n\r\n'),
        ("application/json", b'{"image": "'),
    ):
        gc.collect()
        gc.disable()
        try:
            with pytest.raises(ClientDisconnect):
                asyncio.run(read_body(request_of(content_type, [head, b"A" * 3_000_000], ends=False)))
            assert open_files() == before
        finally:
            gc.enable()


def test_a_full_disk_is_said_while_the_body_comes_in():
    def full() -> Spool:
        return Spool(lambda: Path("/dev/full").open("wb", buffering=0))

    before = open_files()
    with pytest.raises(StorageFull):
        asyncio.run(read_body(request_of("application/json", [b'{"image": "', b"A" * 3_000_000]), spool=full))
    gc.collect()
    assert open_files() == before


def test_the_file_is_in_the_scope_for_whoever_ends_the_request():
    before = open_files()
    request = request_of("application/json", [b'{"image": "', b"A" * 4_000_000, b'"}'])
    fields = asyncio.run(read_body(request)).fields
    assert open_files() == before + 1
    (spool,) = request.scope[SPOOLS]
    spool.release()
    assert open_files() == before
    assert fields["image"].length == 3_000_000


def test_the_file_goes_with_the_fields_where_nobody_does():
    before = open_files()
    fields = read_json(json.dumps({"image": "A" * 4_000_000}))
    assert open_files() == before + 1
    del fields
    assert open_files() == before

"""`/ui`: nothing until somebody comes, then Gradio with `/predict`, by the same path and no more than that."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image, ImageCms

from magic_eraser.ui.lazy import LazySimpleMode, install

pytest.importorskip("gradio", reason="the extra `ui` is not installed")
gradio_client = pytest.importorskip("gradio_client")

# Gradio's client speaks by `httpx` and is not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9"}


def has_imported_gradio(process: subprocess.Popen) -> bool:
    """Gradio imports pandas, nothing of ours does, and a compiled module is on the process's map."""
    return "/pandas/" in Path(f"/proc/{process.pid}/maps").read_text()


@pytest.fixture(scope="module")
def simple(tmp_path_factory) -> str:
    """The address of a server for the tests that only call it."""
    folder = tmp_path_factory.mktemp("simple")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "ERASER_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "magic_eraser", "serve", "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "log"
    with log.open("w") as output, subprocess.Popen(command, env=env, stdout=output, stderr=output) as process:
        url = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 30
        while True:
            try:
                if httpx2.get(f"{url}/readyz").status_code == 200:
                    break
            except httpx2.TransportError:
                assert process.poll() is None
                assert time.monotonic() < end
            time.sleep(0.05)
        yield url
        process.terminate()
        assert process.wait(20) == 0
    assert "Traceback" not in log.read_text()


def connect(url: str, folder: Path, **options):
    return gradio_client.Client(
        url, verbose=False, analytics_enabled=False, download_files=str(folder), **options
    )


@pytest.fixture
def client(simple, tmp_path):
    return connect(f"{simple}/ui", tmp_path)


@pytest.fixture
def given(tmp_path):
    """`given("a.png", content)`: a file as `Client.predict` wants it."""

    def write(name: str, content: bytes):
        path = tmp_path / name
        path.write_bytes(content)
        return gradio_client.handle_file(str(path))

    return write


# --- predict --------------------------------------------------------------------------------------------


def test_predict_erases_and_touches_nothing_else(client, given, coffee, coffee_png, dot, dot_png):
    answer = client.predict(given("cup.png", coffee_png), given("m.png", dot_png), api_name="/predict")

    result = np.asarray(Image.open(answer))
    assert Path(answer).name == "cup-erased.png"
    assert result.shape == coffee.shape
    assert (result[~dot] == coffee[~dot]).all()
    assert (result[dot] != coffee[dot]).any()


def test_predict_takes_names_and_a_model(client, given, coffee_png, dot_png):
    answers = [
        client.predict(
            image=given("a.png", coffee_png), mask=given("m.png", dot_png), model=model, api_name="/predict"
        )
        for model in ("telea", "ns")
    ]

    first, second = (np.asarray(Image.open(answer)) for answer in answers)
    assert (first != second).any()


def test_predict_is_the_only_api_and_its_names_are_stable(simple):
    endpoints = httpx2.get(f"{simple}/ui/gradio_api/info").json()["named_endpoints"]

    assert list(endpoints) == ["/predict"]
    parameters = endpoints["/predict"]["parameters"]
    assert [item["parameter_name"] for item in parameters] == ["image", "mask", "model"]
    assert parameters[2]["parameter_default"] == "auto"
    assert {"auto", "patch", "telea", "ns"} <= set(parameters[2]["type"]["enum"])


def test_a_jpeg_comes_back_as_a_jpeg_and_upright(client, given, coffee, dot_png):
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(coffee)))
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", quality=95, exif=exif)

    answer = client.predict(given("p.jpg", buffer.getvalue()), given("m.png", dot_png), api_name="/predict")

    with Image.open(answer) as result:
        assert (result.format, result.size) == ("JPEG", (600, 400))
        assert result.getexif().get(274, 1) == 1
        assert np.abs(np.asarray(result).astype(int) - coffee).mean() < 4


def test_sixteen_bits_and_the_profile_survive(client, given, dot, dot_png, coffee):
    deep = coffee[..., 0].astype(np.uint16) * 257 + 3
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = io.BytesIO()
    Image.fromarray(deep).save(buffer, "PNG")
    wide = io.BytesIO()
    Image.fromarray(coffee).save(wide, "PNG", icc_profile=profile)

    answer = client.predict(
        given("deep.png", buffer.getvalue()), given("m.png", dot_png), api_name="/predict"
    )

    result = np.asarray(Image.open(answer))
    assert (result[~dot] == deep[~dot]).all()
    answer = client.predict(given("wide.png", wide.getvalue()), given("m.png", dot_png), api_name="/predict")
    with Image.open(answer) as result:
        assert result.info["icc_profile"] == profile


# --- what goes wrong, in a sentence ---------------------------------------------------------------------


def test_a_mask_of_another_size_is_named(client, given, coffee_png, dot, encode):
    small = encode(dot[:100].astype(np.uint8) * 255)
    with pytest.raises(
        gradio_client.exceptions.AppError, match=r"mask has 600 x 100 pixels, the image 600 x 400"
    ):
        client.predict(given("a.png", coffee_png), given("m.png", small), api_name="/predict")


@pytest.mark.parametrize(
    ("image", "mask", "model", "sentence"),
    [
        (None, "mask", "auto", "Choose a photo first"),
        ("photo", None, "auto", "Choose a mask first"),
        ("photo", "empty", "auto", "No pixel of the 600 x 400 mask"),
        ("text", "mask", "auto", "not a picture of any known kind"),
        ("photo", "text", "auto", "Send an image in which white marks"),
        ("photo", "mask", "nope", 'There is no model "nope"'),
        ("a string", "mask", "auto", "must be an uploaded file"),
        ("link", "mask", "auto", "not fetched from other addresses"),
    ],
)
def test_failures_are_sentences(
    client, given, coffee_png, dot_png, dot, encode, image, mask, model, sentence
):
    files = {
        "photo": given("a.png", coffee_png),
        "mask": given("m.png", dot_png),
        "empty": given("e.png", encode(np.zeros_like(dot, np.uint8))),
        "text": given("t.png", b"what is this, a picture?"),
        "a string": "c29tZSBiYXNlNjQ=",
        "link": gradio_client.handle_file("http://127.0.0.1:9/a.png"),
        None: None,
    }
    with pytest.raises(gradio_client.exceptions.AppError) as failure:
        client.predict(files[image], files[mask], model, api_name="/predict")
    assert sentence in str(failure.value)
    assert "c29tZSBiYXNlNjQ" not in str(failure.value)


def test_failures_speak_chinese_to_a_chinese_caller(simple, tmp_path, given, coffee_png):
    client = connect(f"{simple}/ui", tmp_path, headers=CHINESE)
    with pytest.raises(gradio_client.exceptions.AppError, match="请先选择蒙版"):
        client.predict(given("a.png", coffee_png), None, api_name="/predict")
    with pytest.raises(gradio_client.exceptions.AppError, match="必须是已上传的文件"):
        client.predict("abc", None, api_name="/predict")


def call(url: str, *data) -> str:
    """The protocol itself: what the stream of events says."""
    event = httpx2.post(f"{url}/ui/gradio_api/call/predict", json={"data": list(data)}).json()["event_id"]
    return httpx2.get(f"{url}/ui/gradio_api/call/predict/{event}", timeout=30).text


def upload(url: str, content: bytes, name: str) -> dict:
    [path] = httpx2.post(f"{url}/ui/gradio_api/upload", files={"files": (name, content)}).json()
    return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}


def test_what_the_format_could_not_keep_is_told(simple, coffee, dot_png):
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    buffer = io.BytesIO()
    Image.fromarray(coffee).save(buffer, "JPEG", exif=exif)
    url = f"{simple}/ui/gradio_api/queue"
    config = httpx2.get(f"{simple}/ui/config").json()
    number = next(item["id"] for item in config["dependencies"] if item["api_name"] == "predict")
    data = [upload(simple, buffer.getvalue(), "a.jpg"), upload(simple, dot_png, "m.png"), "telea"]
    httpx2.post(f"{url}/join", json={"data": data, "fn_index": number, "session_hash": "s1"}, headers=CHINESE)

    messages = []
    with httpx2.stream("GET", f"{url}/data", params={"session_hash": "s1"}, timeout=30) as events:
        for line in events.iter_lines():
            if line.startswith("data: "):
                messages.append(json.loads(line[6:]))
            if messages and messages[-1]["msg"] in ("process_completed", "close_stream"):
                break

    assert [item["log"] for item in messages if item["msg"] == "log"] == [
        "已从文件中移除拍摄地点（GPS）信息。"
    ]


# --- what it must not do --------------------------------------------------------------------------------


@pytest.mark.parametrize("tagged", [True, False])
def test_a_file_of_the_server_cannot_be_read(simple, tmp_path, coffee_png, dot_png, tagged):
    secret = tmp_path / "secret.png"
    secret.write_bytes(coffee_png)
    file = {"path": str(secret), **({"meta": {"_type": "gradio.FileData"}} if tagged else {})}

    answer = call(simple, file, upload(simple, dot_png, "m.png"), "auto")

    assert "event: error" in answer
    assert "no longer here" in answer
    assert httpx2.get(f"{simple}/ui/gradio_api/file={secret}").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=http://127.0.0.1:9/a.png", "gradio_api/proxy=http://127.0.0.1:9/", "gradio_api/runs",
        "gradio_api/component_server", "gradio_api/deep_link?session_hash=a", "gradio_api/process_recording",
        "gradio_api/vibe-code", "monitoring", "login",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_nobody_needs_is_closed(simple, method, path):
    assert httpx2.request(method, f"{simple}/ui/{path}", content=b"").status_code == 404


def test_other_origins_get_no_permission(simple):
    headers = {"Origin": "https://elsewhere.example", "Host": "192.168.1.9"}
    assert "access-control-allow-origin" not in httpx2.get(f"{simple}/ui/config", headers=headers).headers


# --- coming and going -----------------------------------------------------------------------------------


def test_gradio_is_imported_by_the_first_visit_and_not_before(start, coffee_png, dot_png):
    server = start()
    files = {"image": coffee_png, "mask": dot_png}
    assert httpx2.post(f"{server.url}/v1/erase", files=files, timeout=60).status_code == 200
    httpx2.get(f"{server.url}/").raise_for_status()
    httpx2.get(f"{server.url}/openapi.json").raise_for_status()
    assert not has_imported_gradio(server.process)

    assert httpx2.get(f"{server.url}/ui", follow_redirects=True, timeout=30).status_code == 200

    assert has_imported_gradio(server.process)


def test_first_visitors_together_build_once_and_others_are_served_meanwhile(start):
    server = start()
    waits = []
    done = threading.Event()

    def knock():
        while not done.is_set():
            before = time.monotonic()
            httpx2.get(f"{server.url}/livez", timeout=20).raise_for_status()
            waits.append(time.monotonic() - before)
            time.sleep(0.02)

    with ThreadPoolExecutor(6) as visitors:
        knocking = visitors.submit(knock)
        visits = [visitors.submit(httpx2.get, f"{server.url}/ui/", timeout=30) for _ in range(5)]
        pages = [visit.result() for visit in visits]
        done.set()
        knocking.result()

    assert [page.status_code for page in pages] == [200] * 5
    assert server.log.count("simple_mode_starting") == 1
    assert len(waits) > 10  # an import holds the interpreter's lock for a while, never for all its seconds
    assert sorted(waits)[len(waits) // 2] < 0.5


@pytest.mark.parametrize("moment", ["never visited", "while building", "after use"])
def test_it_ends_clean_at_any_moment(start, tmp_path, coffee_png, dot_png, moment):
    kept = tmp_path / "kept"
    server = start(GRADIO_TEMP_DIR=str(kept))
    if moment == "while building":
        visit = threading.Thread(target=lambda: httpx2.get(f"{server.url}/ui/", timeout=30))
        visit.start()
        while "simple_mode_starting" not in server.log:
            time.sleep(0.01)
        time.sleep(0.3)
    if moment == "after use":
        httpx2.get(f"{server.url}/ui/", timeout=30).raise_for_status()
        photo, mask = upload(server.url, coffee_png, "a.png"), upload(server.url, dot_png, "m.png")
        assert "event: complete" in call(server.url, photo, mask, "telea")
        assert list(kept.rglob("a-erased.png"))

    start_of_end = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.process.wait(20) == 0

    assert time.monotonic() - start_of_end < 10
    assert not kept.exists() or list(kept.iterdir()) == []
    assert "Traceback" not in server.log
    if moment == "while building":
        visit.join()


@pytest.mark.parametrize("prefix", ["", "/eraser"])
def test_it_works_behind_a_proxy_that_strips_its_path_or_keeps_it(start, coffee_png, dot_png, prefix):
    server = start(ERASER_SERVER__ROOT_PATH="/eraser")
    headers = {"Host": "photos.example", "X-Forwarded-Proto": "https"}

    config = httpx2.get(f"{server.url}{prefix}/ui/config", headers=headers, timeout=30).json()
    page = httpx2.get(f"{server.url}{prefix}/ui/").text
    script = page.split('src="./assets/')[1].split('"')[0]

    assert config["root"] == "https://photos.example/eraser/ui"
    assert httpx2.get(f"{server.url}{prefix}/ui/assets/{script}").status_code == 200
    assert httpx2.get(f"{server.url}{prefix}/ui").is_redirect


def test_what_a_killed_run_left_is_removed_and_what_another_uses_is_not(start, tmp_path, coffee_png):
    kept = tmp_path / "kept"
    killed, alive = start(GRADIO_TEMP_DIR=str(kept)), start(GRADIO_TEMP_DIR=str(kept))
    for server in (killed, alive):
        httpx2.get(f"{server.url}/ui/", timeout=30).raise_for_status()
    left, used = (Path(upload(server.url, coffee_png, "a.png")["path"]) for server in (killed, alive))
    killed.process.kill()
    killed.process.wait()
    assert left.exists()

    httpx2.get(f"{start(GRADIO_TEMP_DIR=str(kept)).url}/ui/", timeout=30).raise_for_status()

    assert not left.exists()
    assert used.exists()


# --- lazy, by itself ------------------------------------------------------------------------------------


def outer(simple_mode: LazySimpleMode) -> FastAPI:
    app = FastAPI()
    install(app, simple_mode)
    return app


def visit(app: FastAPI, path: str, **options):
    async def ask():
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://here") as client:
            return await client.get(path, **options)

    return ask()


@pytest.mark.parametrize(("headers", "sentence"), [({}, "cannot be started"), (CHINESE, "无法启动简易模式")])
def test_without_gradio_it_says_so(headers, sentence):
    def build(service, **options):
        raise ImportError("no module named gradio")

    async def story():
        simple_mode = LazySimpleMode(None, build=build)
        answer = await visit(outer(simple_mode), "/ui/", headers=headers)
        await simple_mode.close()
        return answer

    answer = asyncio.run(story())

    assert answer.status_code == 503
    assert sentence in answer.text
    assert "Error" not in answer.text


def test_its_life_begins_and_ends_in_one_task():
    tasks = []

    @asynccontextmanager
    async def life(app):
        tasks.append(asyncio.current_task())
        yield
        tasks.append(asyncio.current_task())

    def build(service, **options):
        return FastAPI(lifespan=life)

    async def story():
        simple_mode = LazySimpleMode(None, build=build)
        answers = await asyncio.gather(*(visit(outer(simple_mode), "/ui/openapi.json") for _ in range(3)))
        await simple_mode.close()
        return answers, await visit(outer(simple_mode), "/ui/openapi.json")

    answers, late = asyncio.run(story())

    assert [answer.status_code for answer in answers] == [200] * 3
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]
    assert late.status_code == 503


def test_the_way_to_it_is_relative_and_keeps_the_query():
    async def story():
        return await visit(outer(LazySimpleMode(None)), "/ui?__theme=dark")

    answer = asyncio.run(story())

    assert answer.status_code == 307
    assert answer.headers["location"] == "ui/?__theme=dark"

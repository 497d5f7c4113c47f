"""A publisher's web server, as good or as bad as a test wants it."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

BLOCK = 16 * 1024


@dataclass
class Published:
    """What is served under one path.

    `ranges`: it heeds Range and If-Range. `cuts`: bytes after which the connection of the first, second... request
    breaks. `busy`: so many requests are answered 503 first. `pause`: seconds between blocks of 16 KiB.
    """

    content: bytes = b""
    etag: str = ""
    status: int = 200
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    busy: int = 0
    pause: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    asked: list[dict[str, str]] = field(default_factory=list)


class FileServer:
    """`with FileServer() as server: server.publish("/a.pt", content)`."""

    def __init__(self) -> None:
        self.files: dict[str, Published] = {}
        files = self.files

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answer(self, files.get(self.path, Published(status=404)))

            def log_message(self, *_arguments) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def publish(self, path: str, content: bytes = b"", **facts) -> Published:
        facts.setdefault("etag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.files[path] = Published(content, **facts)
        return self.files[path]


def answer(handler: BaseHTTPRequestHandler, file: Published) -> None:
    file.asked.append(dict(handler.headers))
    if file.busy:
        file.busy -= 1
        return plain(handler, 503, {})
    if file.status != 200:
        return plain(handler, file.status, file.headers)
    start, total = 0, len(file.content)
    if file.ranges and (wanted := handler.headers.get("Range")):
        if handler.headers.get("If-Range", file.etag) == file.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= total:
            return plain(handler, 416, {"Content-Range": f"bytes */{total}"})
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
    if file.etag:
        handler.send_header("ETag", file.etag)
    for name, value in {"Content-Length": str(total - start), **file.headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    stream(handler, file, file.content[start:])
    return None


def stream(handler: BaseHTTPRequestHandler, file: Published, content: bytes) -> None:
    end = file.cuts.pop(0) if file.cuts else len(content)
    try:
        for place in range(0, min(end, len(content)), BLOCK):
            block = content[place : min(place + BLOCK, end)]
            file.sent += len(block)  # before it is written: the client may be done before we go on
            handler.wfile.write(block)
            time.sleep(file.pause)
    except OSError:
        end = 0  # the client went away
    if end < len(content):
        handler.close_connection = True


def plain(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": "0", **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()

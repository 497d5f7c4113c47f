"""A server that answers as IOPaint 1.6 does with its model `cv2`: routes, fields, envelopes and status codes, bad ones
among them. For tests of what talks to it."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

MODEL = {
    "name": "cv2",
    "path": "cv2",
    "model_type": "inpaint",
    "is_single_file_diffusers": False,
    "need_prompt": False,
    "controlnets": [],
    "brushnets": [],
    "support_strength": False,
    "support_outpainting": False,
    "support_lcm_lora": False,
    "support_controlnet": False,
    "support_brushnet": False,
    "support_powerpaint_v2": False,
}


class IOPaintStandIn(ThreadingHTTPServer):
    """`asked` holds the bodies of its requests; `hold` makes it wait before it answers one."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[dict[str, Any]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.left = threading.Event()


class Answer(BaseHTTPRequestHandler):
    server: IOPaintStandIn

    def log_message(self, *_: Any) -> None:
        return None

    def do_GET(self) -> None:
        if self.path == "/api/v1/model":
            self.json(MODEL)
        elif self.path == "/api/v1/server-config":
            self.json(
                {"plugins": [], "modelInfos": [MODEL], "enableFileManager": False, "samplers": ["DDIM"]}
            )
        else:
            self.json({"detail": "Not Found"}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        if not self.server.hold.is_set():
            self.connection.settimeout(10)
            if self.connection.recv(1) == b"":  # the client closed it
                self.server.left.set()
            return
        try:
            picture, media, seed = inpaint(body)
        except SizeError as error:
            self.fail(400, "HTTPException", str(error))
        except Exception as error:  # noqa: BLE001 (so it does there)
            self.fail(500, type(error).__name__, str(error))
        else:
            self.send(200, picture, media, {"X-Seed": str(seed)})

    def fail(self, status: int, kind: str, detail: str) -> None:
        errors = f"{status}: {detail}" if status == 400 else detail
        self.json({"error": kind, "detail": detail, "body": "", "errors": errors}, status)

    def json(self, value: Any, status: int = 200) -> None:
        self.send(status, json.dumps(value).encode(), "application/json")

    def send(self, status: int, body: bytes, media: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": media,
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class SizeError(ValueError):
    """400 there."""


def opened(text: str) -> Image.Image:
    data = base64.b64decode(re.sub(r"^data:[^,]*;base64,", "", text))
    return Image.open(io.BytesIO(data))


def inpaint(body: dict[str, Any]) -> tuple[bytes, str, int]:
    """(file, media type, seed) for an `InpaintRequest`; hd_strategy makes no difference to this model's result here."""
    source = opened(body["image"])
    image = np.asarray(ImageOps.exif_transpose(source).convert("RGB"))
    mask = np.asarray(ImageOps.exif_transpose(opened(body["mask"])).convert("L"))
    if image.shape[:2] != mask.shape:
        raise SizeError(f"Image size({image.shape[:2]}) and mask size({mask.shape}) not match.")
    method = cv2.INPAINT_TELEA if body.get("cv2_flag") == "INPAINT_TELEA" else cv2.INPAINT_NS
    hole = (mask > 127).astype(np.uint8) * 255
    filled = cv2.inpaint(image[..., ::-1].copy(), hole, body.get("cv2_radius", 4), method)[..., ::-1]
    out = io.BytesIO()
    Image.fromarray(np.where(hole[..., None] > 0, filled, image)).save(out, source.format, quality=100)
    return out.getvalue(), f"image/{source.format.lower()}", body.get("sd_seed", 42)


@contextmanager
def iopaint_stand_in(port: int = 0) -> Iterator[IOPaintStandIn]:
    """One on that port, or a free one."""
    server = IOPaintStandIn(port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

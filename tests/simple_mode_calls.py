"""The API of the simple mode, by Gradio's own protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2


def uploaded(client: httpx2.Client, pictures: Sequence[bytes]) -> list[dict[str, Any]]:
    """Files as its calls take them."""
    found = []
    for picture in pictures:
        answer = client.post("/ui/gradio_api/upload", files={"files": ("x.png", picture, "image/png")})
        [path] = answer.raise_for_status().json()
        found.append({"path": path, "meta": {"_type": "gradio.FileData"}})
    return found


def told(client: httpx2.Client, files: Sequence[dict[str, Any]], model: str = "telea") -> str:
    """What `/predict` tells in the end: the event and its data, as text."""
    answer = client.post("/ui/gradio_api/call/predict", json={"data": [*files, model]}).raise_for_status()
    return client.get(f"/ui/gradio_api/call/predict/{answer.json()['event_id']}").text

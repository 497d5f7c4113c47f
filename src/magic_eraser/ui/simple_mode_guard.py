"""What of Gradio 6.31 the world may reach. Imports Gradio: see `lazy`.

Measured (tests/integration/test_simple_mode.py): a mounted Gradio copies any file of the server that is named
in a request to where it can be downloaded, fetches any address that it is given, and lets a component's server
functions fill the memory. None of it is needed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import gradio as gr
from gradio.blocks import BlockFunction
from gradio.context import LocalContext
from gradio.state_holder import SessionState
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from magic_eraser.ui.simple_mode_text import Language, text

API = "/gradio_api/"
PAGE_ROUTES = frozenset({"", "assets", "config", "favicon.ico", "manifest.json", "pwa_icon", "robots.txt"}) | {
    "static", "svelte", "theme.css",
}  # fmt: skip
API_ROUTES = frozenset(
    {
        "app_id", "call", "cancel", "heartbeat", "info", "login_check", "openapi.json", "queue", "reset",
        "startup-events", "theme.css", "upload", "upload_progress", "user",
    }
)  # fmt: skip
PICTURES = (gr.Image, gr.ImageEditor)


class OnlyWhatIsUsed:
    """404 for every route of Gradio that neither the page nor its clients ask for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _open(scope["path"].removeprefix(scope.get("root_path", ""))):
            await PlainTextResponse("Not found\n", 404)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _open(path: str) -> bool:
    if not path.startswith(API):
        return path.split("/")[1:2] in ([], *([name] for name in PAGE_ROUTES))
    route = path.removeprefix(API)
    if route.startswith("file="):
        return route.startswith("file=/")  # a local path, which Gradio checks; no address of another host
    return route.split("/")[0] in API_ROUTES


class GuardedBlocks(gr.Blocks):  # type: ignore[misc]  # Gradio comes without types
    """Blocks that take uploaded files only.

    Args:
        language: Accept-Language header to the language a caller reads.
        folder: where uploads lie.
        options: as for `gr.Blocks`.
    """

    def __init__(self, *, language: Callable[[str], Language], folder: Path, **options: Any) -> None:
        self._language = language
        self._folder = folder.resolve()
        super().__init__(**options)

    async def process_api(
        self, *args: Any, request: gr.Request | None = None, **options: Any
    ) -> dict[str, Any]:
        LocalContext.request.set(request)  # Gradio does so later, when its checks are over
        answer: dict[str, Any] = await super().process_api(*args, request=request, **options)
        return answer

    async def preprocess_data(
        self,
        block_fn: BlockFunction,
        inputs: list[Any],
        state: SessionState | None,
        explicit_call: bool = False,
    ) -> list[Any]:
        self._check(block_fn.inputs, inputs)
        answer: list[Any] = await super().preprocess_data(block_fn, inputs, state, explicit_call)
        return answer

    def _check(self, components: Sequence[Any], values: Sequence[Any]) -> None:
        for component, value in zip(components, values, strict=False):
            if isinstance(component, PICTURES):
                for uploaded in _files(component, value):
                    self._check_file(uploaded)

    def _check_file(self, uploaded: Any) -> None:
        request = LocalContext.request.get(None)
        accept = request.headers.get("accept-language", "") if request is not None else ""
        language = self._language(accept)
        path = uploaded.get("path") if isinstance(uploaded, dict) else None
        if not isinstance(path, str) or not path:
            fail(text("not_a_file", language))
        if path.startswith(("http://", "https://")):
            fail(text("no_links", language))
        if not Path(path).resolve().is_relative_to(self._folder) or not Path(path).is_file():
            fail(text("file_gone", language))


def _files(component: Any, value: Any) -> Iterator[Any]:
    """Every picture in what a component was sent; None is left out."""
    if (
        isinstance(component, gr.ImageEditor)
        and isinstance(value, dict)
        and not {"path", "url"} & value.keys()
    ):
        layers = value.get("layers") or []
        parts = [
            value.get("background"),
            value.get("composite"),
            *(layers if isinstance(layers, list) else [layers]),
        ]
        yield from (part for part in parts if part is not None)
    elif value is not None:
        yield value


def fail(sentence: str) -> NoReturn:
    """Raise what Gradio shows to a visitor and sends to a client."""
    raise gr.Error(sentence, duration=10, print_exception=False)

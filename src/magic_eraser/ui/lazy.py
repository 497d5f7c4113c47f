"""`/ui` without its cost: Gradio (4 s and 250 MB) is imported on the first visit."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import Receive, Scope, Send

from magic_eraser.errors import EraserError
from magic_eraser.service.erase import EraseService
from magic_eraser.telemetry.logging import get_logger
from magic_eraser.ui.simple_mode_folder import run_folder
from magic_eraser.ui.simple_mode_text import Language, first_language, text

log = get_logger(__name__)

UPLOAD = "/gradio_api/upload"

Admit = Callable[[Mapping[str, str], str], Awaitable[None]]
"""Headers and the client's address; raises an `EraserError` for who may leave nothing here."""


class SimpleModeUnavailable(Exception):
    """Gradio cannot be imported or started; the cause is in the log."""


class Build(Protocol):
    """Makes the application, in a thread; see `gradio.build_app`."""

    def __call__(
        self,
        service: EraseService,
        *,
        language: Callable[[str], Language],
        folder: Path,
        max_body_bytes: int | None,
        **more: Any,
    ) -> FastAPI: ...


def import_and_build(service: EraseService, **options: Any) -> FastAPI:
    """The real one."""
    from magic_eraser.ui import gradio

    return gradio.build_app(service, **options)


def install(app: FastAPI, simple_mode: LazySimpleMode) -> None:
    """Serve it at `/ui/`, and lead there from `/ui`: by a relative address, right behind any reverse proxy."""

    async def add_slash(request: Request) -> RedirectResponse:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse("ui/" + query)

    app.add_route("/ui", add_slash, include_in_schema=False)
    app.mount("/ui", simple_mode)


class LazySimpleMode:
    """An ASGI application that becomes the Gradio one when somebody comes. Mount it at `/ui`: see `install`.

    Args:
        service: where every erase goes.
        language: Accept-Language header to the language a caller reads; the first one named where None.
        temp_dir: folder in which uploads and results live for two hours at most, in a folder of this run that is
            removed on `close`; the system's where None.
        max_body_bytes: largest file that may be uploaded; None for no limit.
        admit: asked before a file is taken; everybody may leave one where None.
        build: makes the application.
        more: for `build`.
    """

    def __init__(
        self,
        service: EraseService,
        *,
        language: Callable[[str], Language] | None = None,
        temp_dir: Path | None = None,
        max_body_bytes: int | None = None,
        admit: Admit | None = None,
        build: Build = import_and_build,
        **more: Any,
    ) -> None:
        self._language = language or first_language
        self._temp_dir = temp_dir
        self._admit = admit
        self._build = partial(build, service, language=self._language, max_body_bytes=max_body_bytes, **more)
        self._life: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[FastAPI] | None = None
        self._closing = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if self._admit is not None and _is_upload(scope):
                client = scope.get("client")
                await self._admit(Headers(scope=scope), client[0] if client else "")
            app = await self._application()
        except EraserError as error:  # the first byte of the file was not read yet
            language = self._language(Headers(scope=scope).get("accept-language", ""))
            await PlainTextResponse(error.sentence(language), error.status)(scope, receive, send)
            return
        except SimpleModeUnavailable:
            await self._refuse(scope, receive, send)
            return
        await app(_under_root(scope), receive, send)

    async def _application(self) -> FastAPI:
        if self._closing.is_set():
            raise SimpleModeUnavailable
        if self._opened is None:  # the first visitors arrive together: no await before the next line
            self._opened = asyncio.get_running_loop().create_future()
            # A context of its own: the first visitor's request id is not that of everything that follows.
            self._life = asyncio.create_task(self._live(self._opened), context=contextvars.Context())
        return await asyncio.shield(self._opened)

    async def _live(self, opened: asyncio.Future[FastAPI]) -> None:
        """From the first visit to `close`, in one task: anyio's scopes must be left where they were entered."""
        try:
            log.info("simple_mode_starting")
            with ExitStack() as closing:
                # Before the import: Gradio makes folders of its own there while it is imported.
                folder = await asyncio.to_thread(closing.enter_context, run_folder(self._temp_dir))
                app = await asyncio.to_thread(self._build, folder=folder)
                async with app.router.lifespan_context(app):
                    log.info("simple_mode_ready")
                    opened.set_result(app)
                    await self._closing.wait()
        except Exception:
            log.exception("simple_mode_failed")
        finally:
            if not opened.done():
                opened.set_exception(SimpleModeUnavailable())
                opened.exception()  # seen: perhaps nobody waits any more

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        language = self._language(Headers(scope=scope).get("accept-language", ""))
        response = PlainTextResponse(text("unavailable", language), 503)
        await response(scope, receive, send)

    async def close(self) -> None:
        """End Gradio's background tasks and remove its files; waits for an import that is under way."""
        self._closing.set()
        if self._life is not None:
            await asyncio.wait({self._life})


def _is_upload(scope: Scope) -> bool:
    return scope["type"] == "http" and str(scope["path"]).rstrip("/").endswith(UPLOAD)


def _under_root(scope: Scope) -> Scope:
    """A scope of its own, with a path that begins with its root path whether or not the reverse proxy kept the
    prefix: below a mount, Starlette finds its routes only in such a path, and Gradio makes its addresses from it."""
    root, path = scope.get("root_path", ""), scope["path"]
    outer = scope.get("app_root_path", "")
    if outer and path != root and not path.startswith(root + "/"):
        return {**scope, "path": outer + path}
    return dict(scope)

"""`/ui` without its cost: Gradio (4 s and 250 MB) is imported on the first visit."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from starlette.types import ASGIApp, Receive, Scope, Send

from magic_eraser.service.erase import EraseService
from magic_eraser.telemetry.logging import get_logger

log = get_logger(__name__)


class LazySimpleMode:
    """An ASGI application that becomes the Gradio one when somebody comes. Mount it at `/ui`."""

    def __init__(self, service: EraseService) -> None:
        self._service = service
        self._app: ASGIApp | None = None
        self._building = asyncio.Lock()
        self._closing = AsyncExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app or await self._build(scope.get("root_path", ""))
        await app(scope, receive, send)

    async def _build(self, root_path: str) -> ASGIApp:
        async with self._building:  # the first visitors arrive together; one of them builds
            if self._app is None:
                from magic_eraser.ui import gradio

                log.info("simple_mode_starting")
                app = await asyncio.to_thread(gradio.build_app, self._service)
                await self._closing.enter_async_context(app.router.lifespan_context(app))
                self._app = app
                log.info("simple_mode_ready")
        return self._app

    async def close(self) -> None:
        """End Gradio's background tasks."""
        await self._closing.aclose()

"""Failures in the shape that another product's clients expect."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from magic_eraser.api.problems import translate
from magic_eraser.errors import EraserError

Render = Callable[[Request, EraserError], Response]


def route_with(render: Render) -> type[APIRoute]:
    """A route class for an `APIRouter`: errors of the tree are answered by `render`, defects of ours go on."""

    class CompatibleRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handle(request)
                except Exception as error:
                    known = translate(error)
                    if known is None:
                        raise
                    return render(request, known)

            return answer

    return CompatibleRoute

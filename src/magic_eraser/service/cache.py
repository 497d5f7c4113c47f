"""Results kept by what they were made from."""

from __future__ import annotations

from typing import Protocol

from magic_eraser.service.request import EraseRequest, EraseResult


class Cache(Protocol):
    """Where results are looked up before the work, and kept after it."""

    async def get(self, tenant_id: str, request: EraseRequest, model: str) -> EraseResult | None: ...

    async def put(self, tenant_id: str, request: EraseRequest, result: EraseResult) -> None: ...


class NullCache:
    """Keeps nothing."""

    async def get(self, tenant_id: str, request: EraseRequest, model: str) -> EraseResult | None:
        return None

    async def put(self, tenant_id: str, request: EraseRequest, result: EraseResult) -> None:
        return None

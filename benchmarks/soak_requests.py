"""One client's request of each kind, and what it may be answered."""

from __future__ import annotations

import asyncio
import base64
import io
import random
import secrets
import time
from collections.abc import Mapping
from typing import Any

import httpx2
from PIL import Image

from load_pictures import encoded, hole, photograph
from soak_house import Post
from soak_ledger import Ledger

SMALL, MIDDLE, LARGE = (480, 360), (1024, 768), (2048, 1536)
OK = frozenset({200})
TRIES = 200
"""Of a request with a key, half a second apart: longer than any fault, and than a dead server's key is held."""


class Pictures:
    """Made once: photographs by size and format, masks by size."""

    def __init__(self) -> None:
        sizes = (SMALL, MIDDLE, LARGE)
        self.photos = {
            (size, name): encoded(photograph(*size), name) for size in sizes for name in ("jpeg", "png")
        }
        self.masks = {
            size: [hole(*size, seed, across=min(size) // 8) for seed in range(16)] for size in sizes
        }
        out = io.BytesIO()
        Image.new("L", SMALL).save(out, "PNG")
        self.empty = out.getvalue()


class Client:
    """Asks one server.

    Args:
        post: the server.
        line: its connections, of an event loop.
        chance: by seed.
    """

    def __init__(
        self, post: Post, line: httpx2.AsyncClient, ledger: Ledger, pictures: Pictures, chance: random.Random
    ) -> None:
        self.post = post
        self.line = line
        self.ledger = ledger
        self.pictures = pictures
        self.chance = chance

    async def ask(
        self, what: str, method: str, path: str, expected: frozenset[int] = OK, **content: Any
    ) -> httpx2.Response | None:
        """The answer, noted; None where none came."""
        begun = time.monotonic()
        try:
            response = await self.line.request(method, self.post.url + path, **content)
        except httpx2.TransportError as error:
            self.ledger.cut_off(what, self.post.name, begun, repr(error)[:100])
            await asyncio.sleep(0.2)  # nobody asks a server that is away as fast as it can
            return None
        patient = "retry-after" in response.headers
        said = "" if response.is_success else response.text[:300]
        self.ledger.answered(what, response.status_code, expected, said=said, patient=patient)
        return response

    def pair(self, size: tuple[int, int] = SMALL, name: str | None = None) -> dict[str, bytes]:
        name = name or self.chance.choice(("jpeg", "png"))
        return {
            "image": self.pictures.photos[size, name],
            "mask": self.chance.choice(self.pictures.masks[size]),
        }

    def new(self) -> dict[str, str]:
        """Fields of a request that was never made before."""
        return {"model": "telea", "seed": str(self.chance.randrange(2**32))}

    def whole(self, what: str, data: bytes, size: tuple[int, int]) -> None:
        """Complain of a picture that is not whole."""
        try:
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                if image.size != size:
                    self.ledger.complain(f"{what}: a picture of {image.size} for one of {size}")
        except Exception as error:  # noqa: BLE001 (whatever is wrong with it)
            self.ledger.complain(f"{what}: a broken picture, {error!r}")

    # --- erase, by every door ---------------------------------------------------------------------------

    async def erase(self) -> None:
        size = self.chance.choice((SMALL, SMALL, MIDDLE))
        response = await self.ask("erase", "POST", "/v1/erase", files=self.pair(size), data=self.new())
        if response is not None and response.status_code == 200:
            self.whole("erase", response.content, size)

    async def erase_json(self) -> None:
        body = {name: base64.b64encode(data).decode() for name, data in self.pair().items()}
        response = await self.ask(
            "erase, JSON", "POST", "/v1/erase", json={**body, "model": "telea"}, headers={"Accept": "application/json"}
        )  # fmt: skip
        if response is not None and response.status_code == 200:
            self.whole("erase, JSON", _of_data_url(response.json()["image"]), SMALL)

    async def predict(self) -> None:
        data = [base64.b64encode(each).decode() for each in self.pair().values()]
        response = await self.ask("predict", "POST", "/api/predict", json={"data": data})
        if response is not None and response.status_code == 200:
            self.whole("predict", _of_data_url(response.json()["data"][0]), SMALL)

    async def iopaint(self) -> None:
        body = {name: base64.b64encode(data).decode() for name, data in self.pair().items()}
        response = await self.ask("IOPaint", "POST", "/api/v1/inpaint", json=body)
        if response is not None and response.status_code == 200:
            self.whole("IOPaint", response.content, SMALL)

    async def rounds(self) -> None:
        """An upload, two rounds on it, and away with it."""
        stored = await self.ask(
            "upload", "POST", "/v1/images", frozenset({200, 201}), files={"image": self.pair()["image"]}
        )
        if stored is None or not stored.is_success:
            return
        image_id = stored.json()["id"]
        for _ in range(2):
            fields = {**self.new(), "image_id": image_id}
            mask = {"mask": self.pair()["mask"]}
            response = await self.ask("round", "POST", "/v1/erase", files=mask, data=fields)
            if response is None or response.status_code != 200:
                return
            self.whole("round", response.content, SMALL)
            if (
                "x-eraser-image-id" not in response.headers
            ):  # the picture is done, and the disk too full to keep it
                return
            image_id = response.headers["x-eraser-image-id"]
        await self.ask("forget", "DELETE", f"/v1/images/{image_id}", frozenset({200, 204}))

    async def cached(self) -> None:
        files, fields = self.pair(), self.new()
        answers = [await self.ask("twice", "POST", "/v1/erase", files=files, data=fields) for _ in range(2)]
        if all(answer is not None and answer.status_code == 200 for answer in answers):
            first, second = (answer for answer in answers if answer is not None)
            self.ledger.answers[f"twice: {second.headers['x-eraser-cache']}"] += 1
            if first.content != second.content:
                self.ledger.complain("twice: another picture the second time")

    async def not_kept(self) -> None:
        headers = {"Cache-Control": "no-store"}
        response = await self.ask(
            "no-store", "POST", "/v1/erase", files=self.pair(), data=self.new(), headers=headers
        )
        if (
            response is not None
            and response.status_code == 200
            and response.headers["x-eraser-cache"] == "hit"
        ):
            self.ledger.complain("no-store: a hit")

    # --- keys -------------------------------------------------------------------------------------------

    async def keyed(self) -> None:
        """Until it is answered, and once more; then another request by the same key."""
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        files, fields = self.pair(), self.new()
        first = await self.until_answered("key", "/v1/erase", files=files, data=fields, headers=headers)
        if first is None:
            return
        again = await self.until_answered("key again", "/v1/erase", files=files, data=fields, headers=headers)
        if again is None:
            return
        if again.content != first.content:
            self.ledger.complain("key again: another picture")
        # an answer that could not be kept, for want of the database, leaves its key free
        kept = again.headers.get("idempotency-replayed") == "true"
        await self.ask(
            "key, another request", "POST", "/v1/erase", frozenset({422} if kept else {200, 422, 409}),
            files=files, data={**fields, "seed": "1"}, headers=headers,
        )  # fmt: skip

    async def until_answered(
        self, what: str, path: str, expected: frozenset[int] = OK, **content: Any
    ) -> httpx2.Response | None:
        for _ in range(TRIES):
            response = await self.ask(what, "POST", path, expected | {409}, **content)
            if response is not None and response.status_code in expected:
                return response
            await asyncio.sleep(0.5)
        self.ledger.given_up[what] += 1
        return None

    # --- what cannot be done ----------------------------------------------------------------------------

    async def hurried(self) -> None:
        headers = {"X-Eraser-Deadline": "0.1"}
        files = self.pair(LARGE, "png")
        await self.ask("deadline 0.1 s", "POST", "/v1/erase", files=files, data=self.new(), headers=headers)

    async def empty_mask(self) -> None:
        await self._refused("empty mask", {**self.pair(), "mask": self.pictures.empty}, {400})

    async def broken_file(self) -> None:
        photo = self.pair()["image"]
        broken = photo[: len(photo) // 2] if self.chance.random() < 0.5 else b"no picture at all"
        await self._refused("broken file", {**self.pair(), "image": broken}, {400, 415})

    async def too_large(self) -> None:
        await self._refused("too large", {**self.pair(), "image": bytes(9 * 1024 * 1024)}, {413})

    async def _refused(self, what: str, files: Mapping[str, bytes], statuses: set[int]) -> None:
        await self.ask(what, "POST", "/v1/erase", frozenset(statuses), files=files, data=self.new())

    async def look(self) -> None:
        path = self.chance.choice(("/v1/status", "/metrics", "/v1/models", "/livez", "/"))
        await self.ask(f"GET {path}", "GET", path)


def _of_data_url(text: str) -> bytes:
    return base64.b64decode(text.partition(",")[2])

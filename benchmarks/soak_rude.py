"""Clients that leave at each stage of a request, and those that never come to its end."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress

from load_pictures import form, post
from soak_house import Post
from soak_ledger import Ledger
from soak_requests import SMALL, Pictures

STAGES = ("connected", "head", "half of the body", "all sent", "half of the answer")
LONGEST_DRIP = 40.0
"""Seconds after which a slow client must have been shown the door: twice the server's patience and what it judges
rates by."""


async def leave(to: Post, ledger: Ledger, pictures: Pictures, chance: random.Random) -> None:
    """Go away at some stage, without a word."""
    stage = chance.choice(STAGES)
    fields = {
        "model": "telea",
        "seed": str(chance.randrange(2**32)),
        "image": pictures.photos[SMALL, "png"],
        "mask": pictures.masks[SMALL][0],
    }
    request = post("/v1/erase", form(fields))
    head = request.index(b"\r\n\r\n") + 4
    sent = {"connected": 0, "head": head, "half of the body": (head + len(request)) // 2}
    begun = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", to.port)
    except OSError as error:
        ledger.cut_off("leaves", to.name, begun, repr(error))
        await asyncio.sleep(0.2)
        return
    with suppress(OSError, asyncio.IncompleteReadError):
        writer.write(request[: sent.get(stage, len(request))])
        await writer.drain()
        if stage == "half of the answer":
            await reader.readexactly(1024)
        else:
            await asyncio.sleep(chance.uniform(0, 0.1))
    writer.transport.abort()
    ledger.answers[f"leaves, {stage}"] += 1


async def drip(to: Post, ledger: Ledger, chance: random.Random) -> None:
    """A head or a body, a byte a second; or nothing any more after its beginning."""
    stage = chance.choice(("head", "body", "silence"))
    begun = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", to.port)
    except OSError as error:
        ledger.cut_off("drips", to.name, begun, repr(error))
        await asyncio.sleep(0.2)
        return
    request = post("/v1/erase", form({"image": bytes(100_000)}))
    head = request.index(b"\r\n\r\n") + 4
    first = 20 if stage == "head" else head + 10
    over = asyncio.ensure_future(reader.read())
    with suppress(OSError):
        writer.write(request[:first])
        for k in range(int(LONGEST_DRIP)):
            if over.done():
                break
            if stage != "silence":
                writer.write(request[first + k : first + k + 1])
            await asyncio.wait({over}, timeout=1)
    _judge(to, ledger, stage, over, begun)
    over.cancel()
    writer.transport.abort()


def _judge(to: Post, ledger: Ledger, stage: str, over: asyncio.Future[bytes], begun: float) -> None:
    if not over.done():
        ledger.complain(f"drips, {stage}: still served after {LONGEST_DRIP:.0f} s")
        return
    answer = b"" if over.exception() else over.result()
    status = answer[9:12].decode() or "closed"
    ledger.answers[f"drips, {stage} {status}"] += 1
    if status not in ("408", "closed", "503", "429", "507"):
        ledger.complain(f"drips, {stage}: {status}")
    if status == "closed" and not to.absences.explains(begun, time.monotonic()):
        ledger.answers[f"drips, {stage}: no word"] += 1
